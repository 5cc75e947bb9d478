"""Puts sessions into a store as a mirrorer would have, part by part, or as 0.2.x writes them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.support.world import World
from tracecraft.layout import new_short_id
from tracecraft.project import Project
from tracecraft.records import commit, read
from tracecraft.sessions.harness import MAIN
from tracecraft.sessions.harnesses.pi import Pi
from tracecraft.sessions.manifest import Generation, Manifest, Origin, Part, counted
from tracecraft.sessions.statistics import Fold

SESSION = "0190c0de-0000-7000-8000-00000000000a"
NOTHING: Mapping[str, Sequence[bytes]] = {}


def said(role: str, text: str, at: str = "2026-01-01T10:00:00Z", **more: Any) -> bytes:
    """A line of Pi's in which somebody says something."""
    message = {"role": role, "content": [{"type": "text", "text": text}], **more}
    return json.dumps({"type": "message", "timestamp": at, "message": message}).encode() + b"\n"


def put_session(
    project: Project,
    parts: Sequence[bytes],
    *,
    session_id: str = SESSION,
    harness: str = "pi",
    others: Mapping[str, Sequence[bytes]] = NOTHING,
    redactions: Mapping[str, int] | None = None,
    **fields: Any,
) -> Manifest:
    """A session of which every given piece is a part. `others` are further streams; those of text are whole."""
    manifest = Manifest(
        harness=harness, session_id=session_id, source_path=f"/h/{session_id}.jsonl", agent_id=project.agent, **fields
    )
    for stream, pieces in {MAIN: parts, **others}.items():
        append_generation(project, manifest, pieces, stream, redactions=redactions)
    commit(project.store, project.layout.manifest(harness, session_id), counted(manifest), None)
    return manifest


def append_generation(
    project: Project,
    manifest: Manifest,
    pieces: Sequence[bytes],
    stream: str = MAIN,
    *,
    redactions: Mapping[str, int] | None = None,
) -> None:
    """Upload pieces and name them in a manifest as a new generation; the manifest itself is the caller's to write."""
    fold, at, g = Fold(bounded=True), 0, manifest.next_generation()
    for piece in pieces:
        part = Part(
            seq=manifest.next_seq(), uuid=new_short_id(), g=g, cursor_range=(at, at + len(piece)),
            source_bytes=len(piece), uploaded_bytes=len(piece), sha256=hashlib.sha256(piece).hexdigest(),
            lines=piece.count(b"\n"), redactions=dict(redactions or {}),
        )  # fmt: skip
        at += len(piece)
        project.store.put(part_key(project, manifest, part), piece)
        manifest.parts.append(part)
        for line in piece.splitlines():
            fold.feed_line(Pi(), line)
    whole = bool(stream) and not stream.endswith(".jsonl")
    origin = Origin(machine="m", path=manifest.source_path)
    manifest.generations.append(
        Generation(g=g, stream=stream, source=origin, end=at, cursor={"end": at}, whole=whole, fold=fold.to_json())
    )


def put_02_session(
    project: Project, pieces: Sequence[bytes], *, session_id: str = SESSION, harness: str = "codex", compacted: int = 0
) -> None:
    """A session as 0.2.x writes it; the first so many pieces as one part that it compacted."""
    parts: list[dict[str, Any]] = []
    if compacted:
        pieces = [b"".join(pieces[:compacted]), *pieces[compacted:]]
    at = 0
    for seq, piece in enumerate(pieces):
        short_id = new_short_id()
        project.store.put(project.layout.part(harness, session_id, seq, short_id), piece)
        part: dict[str, Any] = {"seq": seq, "uuid": short_id, "uploaded_bytes": len(piece), "uploaded_at": "2026-01-01"}
        if compacted and seq == 0:
            part |= {"compacted_from": compacted}
        else:
            part |= {"cursor_range": [at, at + len(piece)], "source_bytes": len(piece), "redactions": {}}
        at += len(piece)
        parts.append(part)
    manifest = {
        "schema_version": 1, "harness": harness, "session_id": session_id, "source_path": "/h/x.jsonl", "cwd": None,
        "agent_id": None, "started_at": "2026-01-01", "last_uploaded_at": "2026-01-01", "ended_at": None,
        "total_source_bytes": at, "total_uploaded_bytes": at, "redaction_counts": {}, "parts": parts,
    }  # fmt: skip
    project.store.put(project.layout.manifest(harness, session_id), json.dumps(manifest).encode())


def part_key(project: Project, manifest: Manifest, part: Part) -> str:
    return project.layout.part(manifest.harness, manifest.session_id, part.seq, part.uuid)


def stored_manifest(world: World, session_id: str = SESSION, harness: str = "pi") -> Manifest:
    project = world.open()
    found = read(project.store, project.layout.manifest(harness, session_id), Manifest)
    assert found is not None
    return found.record


def objects(world: World, session_id: str = SESSION, harness: str = "pi") -> list[str]:
    """The keys of a session's objects."""
    project = world.open()
    return [info.key for info in project.store.list(project.layout.session(harness, session_id))]
