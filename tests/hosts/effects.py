"""What must be true after a command was cut off: it was told the truth, and what it did was done once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.faults.commands import MEMORY
from tests.hosts.cutting import Aftermath
from tests.races.judge import listed
from tracecraft.claims import View
from tracecraft.errors import Missing

CODES = {"exec": (0, 103, 107), "exec-fail": (1, 103, 107), "next": (0, 4, 7)}
"""How a command may end when it is cut off, where that is not 0, 3 or 7."""


def check(after: Aftermath) -> None:
    """Fails the test with the whole aftermath where a promise is broken."""
    tell = (after.case, after.said, after.again, after.other)
    assert after.said.code in CODES.get(after.name, (0, 3, 7)), tell
    if after.said.code:
        assert after.name == "exec-fail" or after.said.error["hint"], tell
    assert after.again is None or after.again.code % 100 != 7, tell
    assert after.name in MEMORY or after.name in EFFECTS, tell
    assert EFFECTS.get(after.name, memory)(after), tell


def view(after: Aftermath) -> View:
    return after.world.open("judge").steps.view(after.case)


def is_now(after: Aftermath, state: str, agent: str, fence: int) -> bool:
    there = view(after)
    return (there.state, there.agent, there.fence) == (state, agent, fence)


def others(after: Aftermath, fence: int) -> bool:
    """The other has the step, and this agent was not told that it has."""
    return is_now(after, "in_progress", "other", fence)


def taken_once(after: Aftermath) -> bool:
    """One of the two has the step under the first fence, and only that one was told so."""
    if after.other_won:
        return not after.done and others(after, 1)
    return after.done and is_now(after, "in_progress", after.agent, 1)


def stolen(after: Aftermath) -> bool:
    return after.done and not after.other_won and is_now(after, "in_progress", after.agent, 2)


def kept(after: Aftermath) -> bool:
    return after.done and not after.other_won and is_now(after, "in_progress", after.agent, 1)


def released(after: Aftermath) -> bool:
    if after.other_won:
        return others(after, 2)
    return after.done and view(after).state == "pending" and view(after).fence == 1


def ended_as(state: str) -> Callable[[Aftermath], bool]:
    """Ended under the first fence; where the other took it up since, that is the second."""

    def ended(after: Aftermath) -> bool:
        if after.other_won and state != "complete":
            return others(after, 2)
        return after.done and not after.other_won and is_now(after, state, after.agent, 1)

    return ended


def forced(after: Aftermath) -> bool:
    # Repeating it is a hold of its own, so after an outcome in doubt there may have been two.
    fences = (2,) if after.again is None else (2, 3)
    return after.done and not after.other_won and any(is_now(after, "complete", after.agent, f) for f in fences)


def executed(state: str) -> Callable[[Aftermath], bool]:
    def ended(after: Aftermath) -> bool:
        there = view(after)
        if after.other_won:
            # The other came first, or after the command had failed and was put down as blocked.
            return others(after, 1) or (state == "blocked" and others(after, 2))
        told = 1 if state == "blocked" else 0
        # A command whose end was in doubt is repeated: nothing is left to do, or it takes its own dead hold up again.
        in_doubt = after.again is not None and after.again.code in (told, 103)
        return (after.said.code == told or in_doubt) and (there.state, there.agent) == (state, after.agent)

    return ended


def declared(after: Aftermath) -> bool:
    names = [after.case, *([f"{after.case}-2"] if after.name == "load" else [])]
    return after.done and all("spec.json" in listed(after.world, f"steps/{name}/") for name in names)


def memory(after: Aftermath) -> bool:
    memory = after.world.open("judge").memory
    history = Counter(str(entry.value) for entry in memory.history(after.case))
    if after.name == "forget":
        return gone(after) and (after.done or (after.again is not None and after.again.code == 4))
    value = memory.get(after.case).value
    if after.name == "set":
        mine = (1,) if after.again is None else (1, 2)
        return after.done and value in ("new", "theirs") and history["new"] in mine and history["theirs"] == 1
    if after.other_won:
        return not after.done and value == "theirs" and history["new"] == 0
    # Refused when it was repeated: what is there is its own, as a look at it tells.
    told = after.done or (after.again is not None and after.again.code == 3)
    return told and value == "new" and history["new"] == 1


def gone(after: Aftermath) -> bool:
    try:
        after.world.open("judge").memory.get(after.case)
    except Missing:
        return True
    return False


def delivered(after: Aftermath) -> bool:
    """The other was shown the message once, then or now."""
    now = after.world.run("other", "inbox", "--new", "--json")
    assert after.other is not None
    texts = [letter["message"] for result in (after.other, now) for letter in letters(result)]
    return texts.count(f"from {after.case}") == 1


def shown(after: Aftermath) -> bool:
    """Every message at least once, and no more of them when the command had said that it was done."""
    texts = {f"to {after.case} {n}" for n in range(3)}
    ends = [after.said, *([after.again] if after.again else [])]
    seen = {letter["message"] for result in ends for letter in letters(result)}
    left = letters(after.host.run(after.agent, "inbox", "--new", "--json"))
    return after.done and seen == texts and not left


def letters(result: Any) -> list[Any]:
    return list(result.json["messages"]) if result.out.strip() else []


def acknowledged(after: Aftermath) -> bool:
    sent = after.world.run("sender", "sent", "--json").json["sent"]
    mine = [letter for letter in sent if letter["message"] == f"to {after.case} 0"]
    return after.done and len(mine) == 1 and mine[0]["acked_by"] == [after.agent]


def uploaded(after: Aftermath) -> bool:
    back = after.world.folder(f"back-{after.case}")
    after.world.open("judge").artifacts.download(f"{after.case}.txt", to=back / "file")
    return after.done and (back / "file").read_text() == after.case


def settled(after: Aftermath) -> bool:
    """After `init` the agent is there and can work."""
    claimed = after.host.run(after.agent, "claim", after.case, "--json").json
    return after.done and claimed["fence"] == 1


def nothing_old(after: Aftermath) -> bool:
    """Nothing here is old enough to be collected, and who was told otherwise finds that out the next time."""
    return after.again is None or after.again.code == 0


EFFECTS: dict[str, Callable[[Aftermath], bool]] = {
    "gc": nothing_old,
    "init": settled,
    "claim": taken_once,
    "next": taken_once,
    "steal": stolen,
    "renew": kept,
    "release": released,
    "reopen": released,
    "complete": ended_as("complete"),
    "blocked": ended_as("blocked"),
    "review": ended_as("needs_review"),
    "force": forced,
    "exec": executed("complete"),
    "exec-fail": executed("blocked"),
    "add": declared,
    "load": declared,
    "send": delivered,
    "broadcast": delivered,
    "inbox-new": shown,
    "inbox-delete": shown,
    "ack": acknowledged,
    "upload": uploaded,
}
