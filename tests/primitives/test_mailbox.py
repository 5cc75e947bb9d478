"""The mailbox: order, what is new, readers that die or meet, clocks that are off, receipts."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import pytest

from tests.primitives.team import Team
from tests.support.world import World
from tracecraft.errors import Missing, TracecraftError, UsageError
from tracecraft.layout import BROADCAST
from tracecraft.project import Project

HOUR_NS = 3600 * 10**9


def texts(project: Project, *, limit: int | None = None, batch: int = 200) -> list[str]:
    return [letter.message.message for part in project.mailbox.new(limit=limit, batch=batch) for letter in part]


def plant(team: Team, to: str, sender: str, text: str, *, sent_ns: int) -> None:
    """A message whose sender's clock says `sent_ns`."""
    key = team.agent(sender).layout.message(to, f"{sent_ns}_{sender}_{random.randbytes(4).hex()}")
    team.store.plant(key, {"from": sender, "to": to, "message": text, "sent_at": "whenever"})


def test_a_message_arrives_whole(team: Team) -> None:
    sent = team.agent("ann").mailbox.send("bob", "read this", step="S1.A", reply_to="123_bob_abcd1234", ack=True)
    (letter,) = team.agent("bob").mailbox.read()
    message = letter.message
    assert (letter.id, letter.broadcast) == (sent.id, False)
    assert (message.sender, message.to, message.message) == ("ann", "bob", "read this")
    assert (message.step, message.reply_to, message.ack) == ("s1-a", "123_bob_abcd1234", True)


def test_only_its_own_mail_and_broadcasts_reach_an_agent(team: Team) -> None:
    ann = team.agent("ann")
    ann.mailbox.send("bob", "for bob")
    ann.mailbox.send("cid", "for cid")
    ann.mailbox.send(BROADCAST, "for all")
    assert texts(team.agent("bob")) == ["for bob", "for all"]
    assert texts(team.agent("cid")) == ["for cid", "for all"]
    assert texts(ann) == []
    assert ann.mailbox.read() == []


def test_a_name_that_begins_like_another_is_another(team: Team) -> None:
    """`x` broadcasts; `x_y` is another agent, whose broadcasts `x` must see."""
    team.agent("x_y").mailbox.send(BROADCAST, "from x_y")
    team.agent("x").mailbox.send(BROADCAST, "from x")
    assert texts(team.agent("x")) == ["from x_y"]
    assert texts(team.agent("x_y")) == ["from x"]


def test_messages_come_in_the_order_in_which_they_were_stored(team: Team) -> None:
    now = time.time_ns()
    for number, off in enumerate((HOUR_NS, -HOUR_NS, 0, HOUR_NS, -HOUR_NS)):
        plant(team, "bob", "ann", f"m{number}", sent_ns=now + off)
    assert texts(team.agent("bob")) == [f"m{number}" for number in range(5)]
    assert [letter.message.message for letter in team.agent("bob").mailbox.read()] == [f"m{n}" for n in range(5)]


def test_clocks_an_hour_off_neither_hide_nor_repeat_mail(team: Team) -> None:
    bob = team.agent("bob")
    shown: list[str] = []
    expected = []
    for number in range(60):
        off = (-HOUR_NS, 0, HOUR_NS)[number % 3]
        plant(team, BROADCAST if number % 2 else "bob", "ann", f"m{number}", sent_ns=time.time_ns() + off)
        expected.append(f"m{number}")
        if number % 7 == 0:
            shown += texts(bob)
    assert shown + texts(bob) == expected
    assert texts(bob) == []


def test_new_shows_once_and_read_always(team: Team) -> None:
    team.agent("ann").mailbox.send("bob", "once")
    bob = team.agent("bob")
    assert bob.mailbox.unread_count() == 1
    assert texts(bob) == ["once"]
    assert (texts(bob), bob.mailbox.unread_count()) == ([], 0)
    assert [letter.message.message for letter in bob.mailbox.read()] == ["once"]
    # Another machine of the same agent has read it too.
    assert texts(team.agent("bob", place="elsewhere")) == []


def test_what_was_not_shown_is_still_new(team: Team) -> None:
    ann, bob = team.agent("ann"), team.agent("bob")
    for number in range(7):
        ann.mailbox.send("bob", f"m{number}")
    assert texts(bob, limit=3) == ["m0", "m1", "m2"]
    assert bob.mailbox.unread_count() == 4
    ann.mailbox.send("bob", "m7")
    assert texts(bob, limit=2) == ["m3", "m4"]
    assert texts(bob) == ["m5", "m6", "m7"]


def test_messages_older_than_two_minutes_are_new_all_the_same(team: Team) -> None:
    """A reader that comes after long finds everything, in batches whose times lie far apart."""
    ann, bob = team.agent("ann"), team.agent("bob")
    for number in range(6):
        letter = ann.mailbox.send("bob", f"m{number}")
        team.store.age(letter.key, 3600 - 300 * number)
    assert texts(bob, batch=2) == [f"m{number}" for number in range(6)]
    assert texts(bob) == []


def test_a_message_that_the_store_shows_late_is_not_missed(team: Team) -> None:
    """It became visible after a newer one was read."""
    ann, bob = team.agent("ann"), team.agent("bob")
    ann.mailbox.send("bob", "newer")
    assert texts(bob) == ["newer"]
    letter = ann.mailbox.send("bob", "late")
    team.store.age(letter.key, 60)
    assert texts(bob) == ["late"]
    assert texts(bob) == []


def test_a_killed_reader_is_shown_its_batch_again_and_nothing_is_skipped(team: Team) -> None:
    ann, bob = team.agent("ann"), team.agent("bob")
    for number in range(10):
        ann.mailbox.send("bob", f"m{number}")
    reading = bob.mailbox.new(batch=4)
    assert len(next(reading)) == 4
    assert [letter.message.message for letter in next(reading)] == ["m4", "m5", "m6", "m7"]
    assert texts(bob) == ["m4", "m5", "m6", "m7", "m8", "m9"]


def test_two_readers_of_one_mailbox_merge_what_they_read(team: Team) -> None:
    ann, here, there = team.agent("ann"), team.agent("bob"), team.agent("bob", place="there")
    for number in range(6):
        ann.mailbox.send("bob", f"m{number}")
    first, second = here.mailbox.new(limit=4), there.mailbox.new(batch=6)
    assert len(next(first)) == 4
    assert len(next(second)) == 6
    assert list(second) == []
    # The slower one moves on from what the faster one has written: nothing becomes new again.
    assert list(first) == []
    assert texts(here) == texts(there) == []


def test_three_thousand_messages_with_readers_killed_between(team: Team) -> None:
    bob, chance = team.agent("bob"), random.Random(7)
    shown: set[str] = set()
    finished: set[str] = set()
    for number in range(3000):
        off = chance.choice((-HOUR_NS, 0, HOUR_NS))
        plant(team, chance.choice(("bob", BROADCAST)), f"s{number % 50}", f"m{number}", sent_ns=time.time_ns() + off)
        if number % 500 == 499:
            reading, going_on = bob.mailbox.new(batch=100), set[str]()
            for _ in range(chance.randrange(1, 5)):
                batch = {letter.message.message for letter in next(reading)}
                finished |= going_on
                assert not finished & batch, "shown again though its reader had gone on"
                shown, going_on = shown | batch, batch
    rest = texts(bob)
    assert not finished & set(rest)
    assert shown | set(rest) == {f"m{number}" for number in range(3000)}
    assert len(rest) == len(set(rest))
    assert texts(bob) == []


def test_watch_brings_mail_as_it_comes(team: Team) -> None:
    bob = team.agent("bob")
    team.agent("ann").mailbox.send("bob", "before")
    watching = bob.mailbox.watch()
    assert [letter.message.message for letter in next(watching)] == ["before"]
    later = threading.Timer(0.05, lambda: team.agent("ann").mailbox.send("bob", "after"))
    later.start()
    assert [letter.message.message for letter in next(watching)] == ["after"]
    later.join()
    # It was left before it could tell that the last one was shown.
    assert texts(bob) == ["after"]


def test_a_broken_message_is_named_and_hides_no_other(team: Team) -> None:
    ann, bob = team.agent("ann"), team.agent("bob")
    team.store.put(bob.layout.message("bob", f"{time.time_ns()}_eve_abcd1234"), b'{"from": ')
    ann.mailbox.send("bob", "whole")
    assert texts(bob) == ["whole"]
    assert ["_eve_" in error.fields["key"] for error in bob.broken] == [True]
    assert texts(bob) == []


def test_delete_removes_direct_mail_for_good_and_leaves_broadcasts(team: Team) -> None:
    ann, bob = team.agent("ann"), team.agent("bob")
    ann.mailbox.send("bob", "direct")
    ann.mailbox.send(BROADCAST, "for all")
    assert bob.mailbox.delete(bob.mailbox.read()) == 1
    assert [letter.message.message for letter in bob.mailbox.read()] == ["for all"]
    assert texts(team.agent("cid")) == ["for all"]
    assert bob.mailbox.delete([]) == 0


# Acknowledging


def test_an_id_or_an_unambiguous_end_of_it_acknowledges(team: Team) -> None:
    ann, bob = team.agent("ann"), team.agent("bob")
    ids = [ann.mailbox.send("bob", f"m{number}", ack=True).id for number in range(3)]
    assert bob.mailbox.ack([ids[0]]) == [ids[0]]
    assert bob.mailbox.ack([ids[1].rpartition("_")[2]]) == [ids[1]]
    assert bob.mailbox.ack([ids[2][:-3]]) == [ids[2]]
    assert [receipt.state for receipt in ann.mailbox.sent()] == ["acknowledged"] * 3
    assert bob.mailbox.ack([ids[0]]) == [ids[0]]


def test_an_ambiguous_id_is_refused_whole(team: Team) -> None:
    ann, bob = team.agent("ann"), team.agent("bob")
    ids = [ann.mailbox.send("bob", "m").id for _ in range(2)]
    with pytest.raises(UsageError, match="fits 2 messages"):
        bob.mailbox.ack([ids[0], ids[0][:5]])
    assert [receipt.state for receipt in ann.mailbox.sent()] == ["stored", "stored"]


@pytest.mark.parametrize("wanted", ["", "nothing", "../x"])
def test_an_unknown_id_is_missing(team: Team, wanted: str) -> None:
    team.agent("ann").mailbox.send("bob", "m")
    with pytest.raises(Missing):
        team.agent("bob").mailbox.ack([wanted])


def test_nobody_acknowledges_the_mail_of_another(team: Team) -> None:
    message_id = team.agent("ann").mailbox.send("bob", "m").id
    with pytest.raises(Missing):
        team.agent("cid").mailbox.ack([message_id])


# Receipts


def test_what_became_of_what_was_sent(team: Team) -> None:
    ann, bob = team.agent("ann"), team.agent("bob")
    for name in ("read", "acknowledged", "deleted"):
        ann.mailbox.send("bob", name)
    letters = bob.mailbox.read()
    bob.mailbox.delete([letters[2]])
    bob.mailbox.ack([letters[1].id])
    assert texts(bob, limit=1) == ["read"]
    ann.mailbox.send("bob", "stored")
    receipts = {receipt.message.message: receipt for receipt in ann.mailbox.sent()}
    assert {text: receipt.state for text, receipt in receipts.items()} == {
        "read": "read",
        "acknowledged": "acknowledged",
        "deleted": "deleted",
        "stored": "stored",
    }
    assert receipts["read"].read_by == ["bob"]
    assert receipts["acknowledged"].acked_by == ["bob"]
    assert [receipt.message.message for receipt in ann.mailbox.sent(unread=True)] == ["stored"]


def test_a_broadcast_names_each_of_its_readers(team: Team) -> None:
    ann = team.agent("ann")
    for name in ("ann", "bob", "cid", "dan"):
        team.agent(name).agents.register()
    message_id = ann.mailbox.send(BROADCAST, "all hands").id
    assert ann.mailbox.sent()[0].state == "stored"
    assert texts(team.agent("bob")) == ["all hands"]
    team.agent("cid").mailbox.ack([message_id])
    (receipt,) = ann.mailbox.sent()
    assert (receipt.state, receipt.read_by, receipt.acked_by) == ("acknowledged", ["bob", "cid"], ["cid"])


def test_mail_to_a_stranger_is_kept_and_noticed(team: Team) -> None:
    ann = team.agent("ann")
    ann.mailbox.send("newcomer", "welcome")
    assert any("newcomer" in notice for notice in ann.notices)
    assert texts(team.agent("newcomer")) == ["welcome"]


# What is refused


@pytest.mark.parametrize("name", ["", "../bob", "a/b", "_sent", ".hidden", "a\nb", "x" * 65])
def test_bad_names_are_refused(team: Team, name: str) -> None:
    with pytest.raises(UsageError):
        team.agent("ann").mailbox.send(name, "m")
    assert team.store.written == []


def test_what_is_too_large_or_no_text_is_refused(team: Team) -> None:
    for text in ("x" * (17 << 20), "\ud800"):
        with pytest.raises(UsageError):
            team.agent("ann").mailbox.send("bob", text)
    assert team.store.written == []


def test_ten_megabytes_arrive(tmp_path: Path) -> None:
    world = World.in_folder(tmp_path)
    world.open("ann").mailbox.send("bob", "y" * (10 << 20))
    assert [len(text) for text in texts(world.open("bob"))] == [10 << 20]


def test_without_an_agent_there_is_no_mail(team: Team) -> None:
    nobody = team.agent("")
    for act in (nobody.mailbox.read, lambda: nobody.mailbox.send("bob", "m"), lambda: list(nobody.mailbox.new())):
        with pytest.raises(TracecraftError, match="no agent"):
            act()
    assert team.store.written == []
