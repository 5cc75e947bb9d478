"""What must hold after commands were killed: every reader works, others can go on, and doctor mends the views."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tests.faults.commands import MEMORY, STEPS, agent_of
from tests.faults.later import in_forty_days
from tests.support.shell import Shell
from tests.support.world import World


def look_at_everything(shell: Shell, world: World, command: str, cases: Sequence[str]) -> None:
    """One pass over all readers of the project; none finds an error."""
    for arguments in (
        ["status"],
        ["agents"],
        ["log"],
        ["step", "list"],
        ["memory", "list"],
        ["artifact", "list"],
        ["sent"],
        ["inbox"],
    ):
        _read(shell, world, "onlooker", arguments)
    _read(shell, world, "onlooker", ["next", "--tag", "no-such-tag"], codes=(4,))
    for case in cases:
        if command in STEPS:
            _read(shell, world, "onlooker", ["step", "show", case], codes=(0, 4))
            _read(shell, world, "onlooker", ["step-status", case])
            _read(shell, world, "onlooker", ["handoff", case], codes=(0, 4))
        elif command in MEMORY:
            _read(shell, world, "onlooker", ["memory", "get", case], codes=(0, 4))
            _read(shell, world, "onlooker", ["memory", "history", case], codes=(0, 4))
        else:
            _read(shell, world, agent_of(case), ["inbox"])
            _read(shell, world, agent_of(case), ["sent"])
    _read(shell, world, "onlooker", ["doctor"])


def go_on(shell: Shell, world: World, command: str, case: str) -> None:
    """A second agent does what comes next with what the killed command worked on."""
    second = world.open("second")
    if command in STEPS:
        if second.steps.view(case).state == "complete":
            second.steps.reopen(case)
        hold = second.steps.claim(case, steal=True)
        ended = second.steps.complete(case, note="by the second", fence=hold.fence)
        assert (ended.state, ended.agent) == ("complete", "second")
    elif command in MEMORY:
        second.memory.update(case, lambda value: [value, "by the second"])
        assert second.memory.history(case)[-1].value[-1] == "by the second"
    elif command in ("inbox-new", "ack"):
        world.open("sender").mailbox.send(agent_of(case), "one more")
        texts = [letter.message.message for letter in world.open(agent_of(case)).mailbox.read()]
        assert texts == [f"to {case} {n}" for n in range(3)] + ["one more"]
        shown = [letter.message.message for batch in world.open(agent_of(case)).mailbox.new() for letter in batch]
        assert shown in (texts, texts[3:])
    elif command == "init":
        shell.run(world, agent_of(case), "init", "--agent", agent_of(case))
    elif command == "gc":
        for _ in range(2):
            entries = [e for e in second.events.timeline() if e.name.type in ("send", "ack")]
            assert [(e.name.type, bool(e.body)) for e in entries] == [("send", True), ("ack", True)]
            assert {r.state for r in world.open(f"sender-{case}").mailbox.sent()} <= {"acknowledged"}
            second.gc.collect(now=in_forty_days())
        assert not [info for info in second.store.list(second.layout.messages()) if "_reader" not in info.key]
        assert {presence.name for presence in second.agents.list()} <= {"second"}
    elif command == "upload":
        file = world.folder("second") / f"{case}.txt"
        file.write_text(case)
        second.artifacts.upload(file)
        second.artifacts.download(f"{case}.txt", to=world.folder("back"))


def repair(shell: Shell, world: World) -> None:
    """After `doctor --repair`, doctor has nothing to say about views and history."""
    shell.run(world, "onlooker", "doctor", "--repair", "--json")
    findings = json.loads(shell.run(world, "onlooker", "doctor", "--json").out)["findings"]
    assert {f["check"] for f in findings} >= {"views", "history", "records"}
    assert not [f for f in findings if f["check"] in ("views", "history", "records") and f["verdict"] != "ok"]


def _read(shell: Shell, world: World, agent: str, arguments: list[str], *, codes: Sequence[int] = (0,)) -> None:
    result = shell.run(world, agent, *arguments, "--json", exits=None)
    assert result.code in codes, (arguments, result)
    assert "skipped" not in result.err, (arguments, result.err)
