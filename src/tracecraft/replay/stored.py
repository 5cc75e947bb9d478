"""What the store holds, as a state of the same kind as the fold's, and where the two differ."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from tracecraft import oldmail
from tracecraft.claims import Handoff, View
from tracecraft.layout import BROADCAST, parse_leaf
from tracecraft.mailbox import Message
from tracecraft.memory import Value
from tracecraft.replay.facts import letter_of
from tracecraft.replay.reducer import PENDING, Gap
from tracecraft.replay.state import Change, State, empty, held_by, receipt
from tracecraft.specs import DEFAULT_PRIORITY, Spec

if TYPE_CHECKING:
    from tracecraft.oldmail import Mail
    from tracecraft.project import Project


def state_of(project: Project) -> State:
    """What the store holds now."""
    fillers = [partial(filler, project) for filler in (_steps, _memory, _mail, _artifacts)]
    state = empty()
    for part in project.store.together(fillers):
        state |= part
    state["agents"] = {presence.name: {"steps": held_by(state, presence.name)} for presence in project.agents.list()}
    return state


def differences(folded: State, stored: State) -> tuple[Sequence[Change], Sequence[Gap]]:
    """What makes the fold's state the store's, and what no event told."""
    changes: list[Change] = []
    gaps = []
    for section, entries in stored.items():
        for name in sorted({*entries, *folded[section]}):
            there, known = entries.get(name), folded[section].get(name)
            if known != there:
                changes.append((section, name, there))
                if not _untold(section, known, there):
                    gaps.append(Gap(f"{_NOUNS[section]} {name}", _why(known, there)))
    return changes, gaps


_NOUNS = {
    "declared": "declaration of",
    "claims": "step",
    "memory": "memory",
    "mail": "message",
    "receipts": "receipt of",
    "artifacts": "artifact",
}


def _untold(section: str, known: Any, there: Any) -> bool:
    """Whether the difference is one that events never tell: heartbeats alone make an agent known, and the process that
    keeps a claim itself renews it in silence."""
    if section == "claims" and known and there and there["alive"] == "self":
        return bool({**known, "rev": 0} == {**there, "rev": 0} and known["rev"] < there["rev"])
    return section == "agents"


def _why(known: Any, there: Any) -> str:
    if known is None:
        return "it is in the store, and no event tells how it came there"
    if there is None:
        return "events tell of it, and it is not in the store"
    return "the store holds something else than the events come to"


def _steps(project: Project) -> State:
    board = project.steps.board()
    return {
        "declared": {step: _declaration(spec) for step, spec in board.specs.items()},
        "claims": {step: _claim(view) for step, view in board.views.items() if view.exists},
    }


def _declaration(spec: Spec) -> dict[str, Any]:
    told = {"title": spec.title, "needs": spec.needs, "tags": spec.tags}
    priority = {"priority": spec.priority} if spec.priority != DEFAULT_PRIORITY else {}
    return {name: value for name, value in told.items() if value} | priority


def _claim(view: View) -> dict[str, Any]:
    record = view.claim.record if view.claim else None
    handoff = {"handoff": _handoff(view.handoff)} if view.handoff else {}
    return {
        **PENDING,
        "state": view.state,
        "agent": view.agent,
        "fence": view.fence,
        "rev": view.rev,
        "alive": record.alive if record and record.alive == "self" else "",
        "note": record.note if record else "",
        **handoff,
    }


def _handoff(handoff: Handoff) -> dict[str, Any]:
    told = {"to": handoff.next_agent, "note": handoff.note, "next_action": handoff.next_action}
    whole = {"from": handoff.from_agent, "state": handoff.state}
    return whole | {name: text for name, text in told.items() if text}


def _memory(project: Project) -> State:
    names = project.layout
    infos = {info.key: info for info in project.store.list(names.memory_root()) if names.memory_key_of(info.key)}
    found = project.read_listed(list(infos.values()), Value)
    return {"memory": {names.memory_key_of(path) or path: _value(item.record) for path, item in found.items()}}


def _value(record: Value) -> dict[str, Any]:
    told = {"by": record.set_by, "version": record.id}
    return {**told, "deleted": True} if record.deleted else {"value": record.value, **told}


def _mail(project: Project) -> State:
    mail = oldmail.look(project)
    infos = {info.key: info for box in mail.messages.values() for info in box}
    found = project.read_listed(list(infos.values()), Message)
    letters = {oldmail.name_of(infos[key]): letter_of(item.record) for key, item in found.items()}
    receipts = {name: seen for name, seen in _receipts(project, mail).items() if name.partition(" ")[0] in letters}
    return {"mail": letters, "receipts": receipts}


def _receipts(project: Project, mail: Mail) -> dict[str, str]:
    """Who read which message, and who acknowledged it."""
    found = {}
    for box, infos in mail.messages.items():
        for info in infos:
            leaf = parse_leaf(name := oldmail.name_of(info))
            agents = [agent for agent in mail.positions if not (leaf and leaf.agent == agent)]
            for agent in agents if box == BROADCAST else [box]:
                if mail.has_read(agent, info):
                    found[receipt(name, agent)] = "read"
    for name, infos in mail.acks.items():
        for info in infos:
            key = project.layout.mail_of(info.key)
            if key is not None:
                found[receipt(name, key.box)] = "acknowledged"
    return found


def _artifacts(project: Project) -> State:
    return {
        "artifacts": {
            f"{item.step}/{item.name}": {
                "size": item.size,
                **({"sha256": item.sha256} if item.sha256 else {}),
                "by": item.uploaded_by,
            }
            for item in project.artifacts.list()
        }
    }
