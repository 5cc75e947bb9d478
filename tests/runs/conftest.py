"""A home and an environment that hold nothing of the caller's."""

from __future__ import annotations

from tests.units.conftest import home

__all__ = ["home"]
