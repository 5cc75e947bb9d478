"""Secrets leave a transcript before the transcript leaves the machine. docs/redaction.md says what is found and how."""

from tracecraft.sessions.redaction.engine import Redactor
from tracecraft.sessions.redaction.known import KnownSecret, known_secrets

__all__ = ["KnownSecret", "Redactor", "known_secrets"]
