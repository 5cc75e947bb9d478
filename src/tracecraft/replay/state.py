"""What a project is at a moment, as plain data, and how a change is put into it.

The same changes are applied by the page that `replay --html` writes, whose script has the same five lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

SECTIONS = ("agents", "declared", "claims", "memory", "mail", "receipts", "artifacts")
"""What a state consists of; each section has entries by name:

    agents      agent                steps (those it holds)
    declared    step                 title, needs, tags, priority
    claims      step                 state, agent, fence, rev, alive, note, handoff
    memory      memory key           value, by, version; deleted
    mail        message id           from, to, text, step, reply_to, ack
    receipts    message id, agent    "read" or "acknowledged"
    artifacts   step/name            size, sha256, by
"""

State: TypeAlias = dict[str, dict[str, Any]]
Change: TypeAlias = tuple[str, str, Any]
"""A section, a name in it, and what is there from now on; None takes it away."""


def empty() -> State:
    return {section: {} for section in SECTIONS}


def apply(state: State, changes: Iterable[Change]) -> None:
    """Put changes into a state."""
    for section, name, value in changes:
        if value is None:
            state[section].pop(name, None)
        else:
            state[section][name] = value


def receipt(message: str, agent: str) -> str:
    """The name of a receipt."""
    return f"{message} {agent}"


def held_by(state: State, agent: str) -> list[str]:
    """The steps that an agent holds, in order of their names."""
    claims = state["claims"].items()
    return sorted(step for step, claim in claims if claim["state"] == "in_progress" and claim["agent"] == agent)


def inbox(state: State, agent: str) -> Iterator[tuple[str, dict[str, Any], str]]:
    """The messages to an agent that are there, in order of their ids: id, message, and `unread`, `read` or
    `acknowledged`."""
    for message, letter in sorted(state["mail"].items()):
        if letter["to"] == agent or (letter["to"] == "_broadcast" and letter["from"] != agent):
            yield message, letter, state["receipts"].get(receipt(message, agent), "unread")
