"""Counts requests as a bill and a network count them: by kind, and in waves."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from tests.support.proxy import Request

KINDS = ("LIST", "PUT", "GET 200", "GET 304/404", "HEAD", "DELETE")


def kind(request: Request) -> str:
    """One of KINDS."""
    if request.method != "GET":
        return request.method
    if not request.key:
        return "LIST"
    return "GET 200" if request.status == 200 else "GET 304/404"


def by_kind(requests: Iterable[Request]) -> dict[str, int]:
    """How many of each kind, those of which there were none left out."""
    found = Counter(map(kind, requests))
    return {name: found[name] for name in KINDS if found[name]}


def waves(requests: Iterable[Request]) -> int:
    """How often the client waited for the store with nothing else under way.

    A wave of any size counts 1, and so does a LIST of any number of pages. To tell parallel requests from fast ones in
    a row, the proxy must delay each.
    """
    count, busy_until = 0, -math.inf
    for request in sorted(requests, key=lambda request: request.started):
        if "continuation-token" in request.query:
            continue
        if request.started > busy_until:
            count += 1
        busy_until = max(busy_until, request.ended)
    return count
