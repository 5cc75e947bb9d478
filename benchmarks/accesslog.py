"""Counts requests in the log of Ceph's gateway, where there are too many for a proxy to keep up with."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from benchmarks.counting import KINDS
from tests.support.processes import wait_until

_LINE = re.compile(rb'beast: .*?"(GET|PUT|HEAD|DELETE|POST) (\S+) HTTP/1\.[01]" (\d+) ')


class AccessLog:
    """The requests that the gateway, whose files are in `folder`, has answered since this was made."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "client.rgw.log"
        self._settle()
        self._begin = self._size()

    def by_kind(self) -> dict[str, int]:
        """How many of each kind (see counting.py), those of which there were none left out."""
        self._settle()
        found: Counter[str] = Counter()
        with self._path.open("rb") as file:
            file.seek(self._begin)
            for line in file:
                if parts := _LINE.search(line):
                    found[_kind(*parts.groups())] += 1
        return {name: found[name] for name in KINDS if found[name]}

    def _settle(self) -> None:
        """Wait until the log, which is written behind the answers, grows no more."""
        sizes = [self._size()]

        def is_still() -> bool:
            sizes.append(self._size())
            return sizes[-1] == sizes[-2]

        wait_until(is_still, seconds=30.0, every=1.0)

    def _size(self) -> int:
        return self._path.stat().st_size if self._path.exists() else 0


def _kind(method: bytes, target: bytes, status: bytes) -> str:
    if method != b"GET":
        return method.decode()
    if b"list-type=" in target:
        return "LIST"
    return "GET 200" if status == b"200" else "GET 304/404"
