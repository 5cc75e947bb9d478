"""Removes parts that no manifest names: what a killed mirrorer uploaded, and what compaction replaced.

The order makes it safe: the parts are listed first, then the manifest is swapped, then what it does not name is
deleted. A part that was listed and is about to be named by somebody else cannot be: that swap is refused now, and its
mirrorer uploads again under a new id.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tracecraft.records import Stored, commit
from tracecraft.sessions.manifest import Manifest, part_key
from tracecraft.store import delete_many

if TYPE_CHECKING:
    from tracecraft.layout import Layout
    from tracecraft.project import Project


def part_keys(project: Project, harness: str, session_id: str) -> Sequence[str]:
    """The keys of all parts that lie in the store, named or not."""
    layout = project.layout
    listed = project.store.list(layout.session(harness, session_id))
    return [info.key for info in listed if layout.is_part(info.key)]


def named(layout: Layout, manifest: Manifest) -> set[str]:
    """The keys of the parts that the manifest names."""
    return {part_key(layout, manifest, part) for part in manifest.parts}


def sweep(project: Project, stored: Stored[Manifest]) -> tuple[Stored[Manifest], Sequence[str]]:
    """Delete the parts that are not named; returns the manifest as it stands and what was deleted. Raises Conflict."""
    manifest = stored.record
    listed = part_keys(project, manifest.harness, manifest.session_id)
    lost = sorted(set(listed) - named(project.layout, manifest))
    if lost:
        stored = commit(project.store, stored.key, manifest, stored)
        delete_many(project.store, lost)
    return stored, lost
