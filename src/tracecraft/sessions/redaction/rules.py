"""Every kind of secret that is looked for, in the order in which they give their name to what several of them find."""

from __future__ import annotations

import zlib
from functools import cache

from tracecraft.sessions.redaction.kinds.behind_names import BEHIND_NAMES
from tracecraft.sessions.redaction.kinds.clouds import CLOUDS
from tracecraft.sessions.redaction.kinds.code import CODE
from tracecraft.sessions.redaction.kinds.fields import FIELDS
from tracecraft.sessions.redaction.kinds.models import MODELS
from tracecraft.sessions.redaction.kinds.services import SERVICES
from tracecraft.sessions.redaction.kinds.structures import STRUCTURES
from tracecraft.sessions.redaction.rule import Rule

VERSION = 1
"""Grows when the way in which rules are applied changes what is found."""

RULES: tuple[Rule, ...] = (*MODELS, *CLOUDS, *CODE, *SERVICES, *BEHIND_NAMES, *STRUCTURES, *FIELDS)


@cache
def ruleset() -> str:
    """Which rules these are: the version and a checksum of the rules themselves."""
    return f"{VERSION}-{zlib.crc32(repr(RULES).encode()):08x}"
