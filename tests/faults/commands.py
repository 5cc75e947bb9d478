"""Every command that writes, with what must be there before it, for tests that stop it half way.

A case works on things of its own, named after it, so that what all cases leave behind can be looked at together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.world import World
from tracecraft.specs import make_spec

Before = Callable[[World, str], list[str]]
"""Prepares a case in a world; what it returns fills the command's `{0}`, `{1}`."""


@dataclass(frozen=True)
class Command:
    """A command line in which `{case}` and `{agent}` stand for the case's name and who runs it."""

    arguments: Sequence[str]
    before: Before = lambda _world, _case: []

    def line(self, world: World, case: str) -> list[str]:
        found = self.before(world, case)
        return [part.format(*found, case=case, agent=agent_of(case)) for part in self.arguments]


def agent_of(case: str) -> str:
    return f"a-{case}"


def claimed(world: World, case: str) -> list[str]:
    world.open(agent_of(case)).steps.claim(case)
    return []


def claimed_by_another(world: World, case: str) -> list[str]:
    world.open("holder").steps.claim(case)
    return []


def completed(world: World, case: str) -> list[str]:
    claimed(world, case)
    world.open(agent_of(case)).steps.complete(case, note="done once")
    return []


def declared(world: World, case: str) -> list[str]:
    world.open("planner").steps.load([(case, make_spec(tags=[case]))])
    return []


def remembered(world: World, case: str) -> list[str]:
    return [world.open("planner").memory.set(case, "old").version]


def written_to(world: World, case: str) -> list[str]:
    sender = world.open("sender").mailbox
    return [sender.send(agent_of(case), f"to {case} {n}", ack=True).id for n in range(3)]


def read_and_done_with(world: World, case: str) -> list[str]:
    """What all may go in some time: two events, a message with its copy and receipt, two agents."""
    sender, reader = world.open(f"sender-{case}"), world.open(f"reader-{case}")
    letter = sender.mailbox.send(reader.agent, case, ack=True)
    for _ in reader.mailbox.new():
        pass
    reader.mailbox.ack([letter.id])
    return []


def file_of_steps(world: World, case: str) -> list[str]:
    file = world.folder(agent_of(case)) / "steps.jsonl"
    file.write_text(f'{{"step": "{case}"}}\n{{"step": "{case}-2", "needs": ["{case}"]}}\n')
    return [str(file)]


def file_to_share(world: World, case: str) -> list[str]:
    file: Path = world.folder(agent_of(case)) / f"{case}.txt"
    file.write_text(case)
    return [str(file)]


COMMANDS: dict[str, Command] = {
    "init": Command(["init", "--agent", "{agent}"]),
    "claim": Command(["claim", "{case}"]),
    "steal": Command(["claim", "{case}", "--steal"], claimed_by_another),
    "release": Command(["release", "{case}", "--note", "later"], claimed),
    "renew": Command(["renew", "{case}"], claimed),
    "complete": Command(["complete", "{case}", "--note", "done", "--to", "other"], claimed),
    "blocked": Command(["complete", "{case}", "--blocked", "--note", "stuck"], claimed),
    "review": Command(["complete", "{case}", "--needs-review", "--note", "look"], claimed),
    "force": Command(["complete", "{case}", "--force", "--note", "done"], claimed_by_another),
    "reopen": Command(["reopen", "{case}", "--note", "again"], completed),
    "exec": Command(["exec", "{case}", "--", "true"]),
    "exec-fail": Command(["exec", "{case}", "--on-fail", "blocked", "--", "false"]),
    "add": Command(["step", "add", "{case}", "--title", "a title"]),
    "load": Command(["step", "load", "{0}"], file_of_steps),
    "next": Command(["next", "--tag", "{case}"], declared),
    "set": Command(["memory", "set", "{case}", "new"], remembered),
    "swap": Command(["memory", "set", "{case}", "new", "--if-version", "{0}"], remembered),
    "create": Command(["memory", "set", "{case}", "new", "--if-absent"]),
    "forget": Command(["memory", "delete", "{case}"], remembered),
    "send": Command(["send", "other", "from {case}", "--ack"]),
    "broadcast": Command(["broadcast", "from {case}"]),
    "inbox-new": Command(["inbox", "--new"], written_to),
    "inbox-delete": Command(["inbox", "--delete"], written_to),
    "ack": Command(["ack", "{0}"], written_to),
    "upload": Command(["artifact", "upload", "{0}"], file_to_share),
    "gc": Command(["gc", "--apply"], read_and_done_with),
}
"""By a short name that may begin the name of a step. Left alone, all exit 0, but exec-fail exits 1."""

MEMORY = ("set", "swap", "create", "forget")
STEPS = (
    *("claim", "steal", "release", "renew", "complete", "blocked", "review", "force", "reopen"),
    *("exec", "exec-fail", "add", "load", "next"),
)

WHOLE_BOARD = ("add", "load", "next", "gc")
"""These read all there is. So each case has a project of its own: what earlier ones left would be requests."""
