"""Flushing inside the test's own process."""

from __future__ import annotations

from tests.sessions.mirrored import SESSION, Growing
from tracecraft.project import Project
from tracecraft.sessions.harness import Found
from tracecraft.sessions.harnesses.pi import Pi
from tracecraft.sessions.mirror import SessionMirror
from tracecraft.sessions.redactor import Unredacted


def mirror_of(project: Project, source: Growing) -> SessionMirror:
    return SessionMirror(project, Pi(), Found("pi", SESSION, source.path, str(source.cwd)), Unredacted())
