"""Sends what processes that died left on disk."""

from __future__ import annotations
