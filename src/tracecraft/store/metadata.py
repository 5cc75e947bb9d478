"""Whether this is a machine in a cloud, whose metadata server gives credentials.

Elsewhere obstore would ask for them again and again for most of a minute, where they are merely missing.
"""

from __future__ import annotations

import socket

from tracecraft.errors import Denied

ADDRESS = "169.254.169.254"
"""Of the metadata server, at Google as at Azure."""

_SECONDS = 2.0
_QUESTION = b"GET / HTTP/1.0\r\nMetadata-Flavor: Google\r\nMetadata: true\r\n\r\n"


def require(address: str, hint: str) -> None:
    """Raises Denied, with this hint, when nobody answers at `host` or `host:port`."""
    host, _, port = address.partition(":")
    try:
        with socket.create_connection((host, int(port or 80)), timeout=_SECONDS) as connection:
            connection.sendall(_QUESTION)
            if connection.recv(1):
                return
    except (OSError, ValueError):
        pass
    raise Denied("no credentials for the store were found", hint=hint)
