"""Many small steps: how many parts a session has after many flushes of one line, and what keeping them few costs.

The flushes are made in one process, by the API; a proxy sees what is written.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks.measure import BenchmarkError
from benchmarks.programs import Place
from benchmarks.sessions.sources import Growing
from tests.support.proxy import Proxy, Request
from tests.support.servers import Endpoint
from tracecraft.sessions import registry
from tracecraft.sessions.harness import Found
from tracecraft.sessions.mirror import SessionMirror
from tracecraft.sessions.redaction import Redactor

WORDS = (40, 1000)
"""About how many words the texts have, for short lines and for long ones."""


def many_flushes(place: Place, endpoint: Endpoint, flushes: int, words: int) -> dict[str, Any]:
    """One row. Bytes are of the bodies of requests; parts are those that the manifest names at the end."""
    project_name = f"steps-{words}"
    source = Growing(place.seat(project_name, "ann"), words=words)
    most, written = 0, {"parts": 0, "manifests": 0}
    with Proxy(endpoint.url) as proxy:
        mirror = _mirror(place.through(endpoint, proxy.url), project_name, source)
        for _ in range(flushes):
            source.grow_a_line()
            mirror.flush()
            assert mirror.manifest is not None
            most = max(most, len(mirror.manifest.parts))
            written["parts"] += _written(proxy.requests, "/part-")
            written["manifests"] += _written(proxy.requests, "/meta.json")
            proxy.clear()
    source.transcript.require_mirrored(place, project_name)
    if (manifest := mirror.manifest) is None:
        raise BenchmarkError("nothing was mirrored")
    print(f"  {flushes} flushes of a line: {len(manifest.parts)} parts", flush=True)
    return {
        "flushes": flushes,
        "source_bytes": source.transcript.size,
        "parts": len(manifest.parts),
        "most_parts": most,
        "uploaded_bytes": manifest.total_uploaded_bytes,
        "written": written,
    }


def _mirror(place: Place, project: str, source: Growing) -> SessionMirror:
    transcript = source.transcript
    found = Found(transcript.harness, transcript.session_id, transcript.path, "")
    return SessionMirror(place.project(project, "ann"), registry.harness(transcript.harness), found, Redactor())


def _written(requests: Iterable[Request], part: str) -> int:
    return sum(len(request.body) for request in requests if request.method == "PUT" and part in request.key)
