"""Who won a race, judged from the object in the store and from what every racer was told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tests.races.jobs import WON, Outcome
from tests.support.world import World


def complaints(world: World, step: str, outcomes: Sequence[Outcome], *, fence: int = 1) -> list[str]:
    """What is wrong with how a race for one step ended; nothing where one racer won and all others know who."""
    stored = stored_json(world, f"steps/{step}/claim.json")
    winners = [outcome.agent for outcome in outcomes if outcome.said == WON]
    losers = [outcome for outcome in outcomes if outcome.said != WON]
    found = []
    if len(winners) != 1:
        found.append(f"{step}: {len(winners)} of {len(outcomes)} won: {', '.join(winners)}")
    if stored["agent"] not in winners:
        found.append(f"{step}: the store says {stored['agent']}, who was not told")
    if (stored["state"], stored["fence"]) != ("in_progress", fence):
        found.append(f"{step}: the store says {stored['state']} under fence {stored['fence']}")
    found += [f"{step}: {o.agent} was told {o.said}" for o in losers if o.said != "held"]
    found += [f"{step}: {o.agent} was told that {o.holder} won" for o in losers if o.holder not in winners]
    return found


def stored_json(world: World, key: str) -> Any:
    """An object of the project, read past the layer that is tested."""
    store = world.open("judge").store
    return json.loads(store.get(f"{world.project}/{key}").data)


def listed(world: World, prefix: str) -> list[str]:
    """Keys of the project below a prefix, without it."""
    store = world.open("judge").store
    folder = f"{world.project}/{prefix}"
    return [info.key.removeprefix(folder) for info in store.list(folder)]
