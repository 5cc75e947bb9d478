"""status --at: the project as it was at a moment, folded from its events."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from tracecraft.cli.face import Face
from tracecraft.cli.output import one_line, show_time, table
from tracecraft.clock import iso
from tracecraft.replay.history import read_history
from tracecraft.replay.state import State, inbox

_SHOWN = 40
_GAPS_NAMED = 5
_ORDER = ("in_progress", "blocked", "needs_review", "pending", "complete")


def show_past(face: Face, at: float) -> None:
    """Show the state at a time of the store's clock, and what no event tells."""
    history = read_history(face.project)
    state = history.state_at(at)
    gaps = history.all_gaps()
    told = [{"subject": gap.subject, "why": gap.why} for gap in gaps]
    face.show({"project": face.project.name, "at": iso(at), "gaps": told, **_document(state)}, _screen(face, state, at))
    for gap in gaps[:_GAPS_NAMED]:
        face.project.say(f"not everything is told by events: {gap.subject}: {gap.why}")
    if len(gaps) > _GAPS_NAMED:
        face.project.say(f"{len(gaps) - _GAPS_NAMED} more gaps: --json names them all")


def _steps(state: State) -> list[tuple[str, dict[str, Any]]]:
    """Every step that was there, those that somebody should look at first; declared ones are pending."""
    declared = {step: {"state": "pending", "agent": None, "fence": 0} for step in state["declared"]}
    return sorted({**declared, **state["claims"]}.items(), key=lambda item: (_ORDER.index(item[1]["state"]), item[0]))


def _unread(state: State, agent: str) -> int:
    return sum(seen == "unread" for _, _, seen in inbox(state, agent))


def _screen(face: Face, state: State, at: float) -> str:
    steps = _steps(state)
    counts = Counter(claim["state"] for _, claim in steps)
    tally = ", ".join(f"{counts[name]} {name}" for name in _ORDER if counts[name])
    agents = [(name, ", ".join(held["steps"]) or "-", _unread(state, name)) for name, held in state["agents"].items()]
    lines = [f"project {face.project.name} on {face.project.store.url}, as it was at {show_time(at)} UTC"]
    lines += ["", table(sorted(agents), heads=("AGENT", "STEP", "UNREAD")) or "no agents"]
    lines += ["", f"{len(steps)} steps" + (f": {tally}" if tally else "")]
    rows = [(step, claim["state"], claim["agent"] or "") for step, claim in steps[:_SHOWN]]
    lines += [table(rows, heads=("STEP", "STATE", "AGENT"))] if rows else []
    lines += [f"... and {len(steps) - _SHOWN} more: --json names them all"] if len(steps) > _SHOWN else []
    memory = [(key, _value(value), value["by"]) for key, value in sorted(state["memory"].items())]
    if memory:
        lines += ["", table(memory[:_SHOWN], heads=("MEMORY", "VALUE", "SET BY"))]
        lines += [f"... and {len(memory) - _SHOWN} more"] if len(memory) > _SHOWN else []
    return "\n".join(lines)


def _value(value: dict[str, Any]) -> str:
    if value.get("deleted"):
        return "(deleted)"
    told = msgspec.json.encode(value.get("value")).decode(errors="replace")
    return one_line(told if len(told) <= 60 else told[:57] + "...")


def _document(state: State) -> dict[str, Any]:
    return {
        "agents": [
            {"agent": name, "steps": held["steps"], "unread": _unread(state, name)}
            for name, held in sorted(state["agents"].items())
        ],
        "steps": [
            {"step": step, "state": claim["state"], "agent": claim["agent"], "fence": claim["fence"]}
            for step, claim in _steps(state)
        ],
        "memory": [{"key": key, **value} for key, value in sorted(state["memory"].items())],
        "artifacts": [{"name": name, **file} for name, file in sorted(state["artifacts"].items())],
    }
