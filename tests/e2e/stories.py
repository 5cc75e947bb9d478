"""Stories to be looked at in a browser: a large one, and one in which everything that can be hostile is."""

from __future__ import annotations

from random import Random
from typing import Any

from tracecraft.replay.happening import Happening, Kind
from tracecraft.replay.state import Change, empty
from tracecraft.replay.story import Story

START = 1_780_000_000.0


def large(count: int, agents: int = 8, seed: int = 7) -> Story:
    """A night of agents who claim steps, talk, remember, measure and are sometimes blocked."""
    random = Random(seed)
    names = [f"agent-{number + 1}" for number in range(agents)]
    holds: dict[str, str] = {}
    found: list[Happening] = []
    at, step = START, 0
    while len(found) < count:
        at += random.choice((0.05, 0.4, 1.0, 3.0)) + (900.0 if random.random() < 0.001 else 0.0)
        name = random.choice(names)
        held = holds.get(name)
        if held is None:
            step += 1
            holds[name] = held = f"task-{step}"
            found.append(_claim(at, name, held))
        elif random.random() < 0.06:
            del holds[name]
            found.append(_end(at, name, held, blocked=random.random() < 0.1, to=random.choice(names)))
        else:
            found.append(_anything(random, at, name, names, len(found)))
    return Story("an overnight fleet", names, found, empty(), [], [])


def _claim(at: float, name: str, step: str) -> Happening:
    claim = {"state": "in_progress", "agent": name, "fence": 1, "rev": 1, "alive": "", "note": ""}
    changes: list[Change] = [("claims", step, claim), ("agents", name, {"steps": [step]})]
    details = {"event": "claim", "subject": step, "fence": 1}
    return Happening(at, name, "claim", f"claims {step} (fence 1)", until=at + 25, details=details, changes=changes)


def _end(at: float, name: str, step: str, *, blocked: bool, to: str) -> Happening:
    state = "blocked" if blocked else "complete"
    claim = {"state": state, "agent": name, "fence": 1, "rev": 2, "alive": "", "note": ""}
    changes: list[Change] = [("claims", step, claim), ("agents", name, {"steps": []})]
    if blocked:
        return Happening(at, name, "blocked", f"is blocked on {step}", bad=True, changes=changes)
    handed = to if to != name else ""
    return Happening(at, name, "done", f"completes {step}", to=handed, changes=changes)


def _anything(random: Random, at: float, name: str, names: list[str], number: int) -> Happening:
    kind: Kind = random.choice(("memory", "message", "message", "span", "span", "span", "metric", "said", "refusal"))
    to, until, changes = "", None, list[Change]()
    details: dict[str, Any] = {"number": number, "text": "some words of what was meant " * 3}
    if kind == "message":
        to = random.choice([other for other in names if other != name])
        changes = [("mail", f"{number}_{name}_0", {"from": name, "to": to, "text": f"note {number}"})]
    elif kind == "memory":
        changes = [("memory", f"key.{number % 400}", {"value": number, "by": name, "version": str(number)})]
    elif kind == "span":
        until = at + random.random() * 12
    bad = kind == "refusal"
    return Happening(at, name, kind, f"{kind} number {number}", to, until, bad, details=details, changes=changes)


PAYLOADS = (
    "</script><script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 2'>",
    "<svg onload=window.hacked=3>",
    "\u2028window.hacked = 4\u2029",
    "{{ story }}{{ script }}",
    "'\"><iframe srcdoc='<script>parent.hacked=5</script>'>",
    "javascript:window.hacked=6",
    "<!--<script>",
    "http://example.invalid/leak.png",
    "]]>\\u003c/script\x00\x1b[31m",
    "__proto__",
)


def hostile() -> Story:
    """Every place for text is taken by text that would do something if it were more than text."""
    found = []
    for number, text in enumerate(PAYLOADS):
        changes: list[Change] = [
            ("memory", text, {"value": {text: text}, "by": text, "version": text}),
            ("claims", text, {"state": text, "agent": text, "fence": 1, "rev": 1, "alive": "", "note": text}),
            ("mail", text, {"from": text, "to": text, "text": text}),
            ("agents", text, {"steps": [text]}),
            ("artifacts", text, {"size": 1, "by": text}),
            ("declared", text, {"title": text}),
        ]
        found.append(Happening(START + number, text, "message", text, to=text, details={text: text}, changes=changes))
    return Story(PAYLOADS[0], list(PAYLOADS), found, empty(), [], list(PAYLOADS))
