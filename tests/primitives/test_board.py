"""Many steps at one look: what is read for it, and that nothing which anybody wrote is overlooked."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from tests.support.proxy import Match, Proxy
from tests.support.s3 import Endpoint
from tests.support.world import World
from tracecraft.objectcache import WORTHWHILE

STEPS = WORTHWHILE // 2 + 6
"""So many that their claims and statuses are worth a second look at what must be read."""
OLD = {"status": "complete", "agent": "old", "started_at": "2026-05-01", "completed_at": "2026-05-02"}


@pytest.fixture
def crowd(s3_endpoint: Endpoint, bucket: str, tmp_path: Path) -> World:
    """A project with many steps in progress."""
    world = World.in_bucket(tmp_path, s3_endpoint, bucket)
    world.run("a", "init")
    project = world.open("a")
    project.store.together([partial(project.steps.claim, f"step-{n:03}") for n in range(STEPS)])
    return world


def test_a_status_that_is_the_view_of_its_claim_is_not_read(crowd: World, s3_endpoint: Endpoint, bucket: str) -> None:
    with Proxy(s3_endpoint.url) as proxy:
        look = World.in_bucket(crowd.root, s3_endpoint, bucket, through=proxy.url).open("looker")
        views = look.steps.board().views
        assert {view.state for view in views.values()} == {"in_progress"}
        assert len(views) == STEPS
        read = [request.path for request in proxy.requests if Match("GET", pattern="/step-")(request)]
    assert sum(path.endswith("claim.json") for path in read) == STEPS
    assert not [path for path in read if path.endswith("status.json")]


def test_a_status_that_somebody_else_wrote_is(crowd: World) -> None:
    project = crowd.open("looker")
    names, store = project.layout, project.store
    present = json.loads(store.get(names.status("step-001")).data)
    store.put(names.status("step-001"), json.dumps(OLD).encode())
    store.put(names.status("step-002"), b"{")
    store.put(names.status("step-003"), json.dumps({**present, "agent": "b"}).encode())
    store.put(names.status("only-a-status"), json.dumps(OLD).encode())
    store.put(names.claim("step-004"), b"{")
    board = project.steps.board()
    assert (board.views["step-001"].state, board.views["step-001"].agent) == ("complete", "old")
    assert board.state("only-a-status") == "complete"
    assert {board.views[f"step-{n:03}"].agent for n in (2, 3)} == {"a"}
    assert "step-004" not in board.views
    assert {error.fields["key"] for error in project.broken} == {names.status("step-002"), names.claim("step-004")}
