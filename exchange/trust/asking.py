# SPDX-License-Identifier: AGPL-3.0-or-later
"""One question over HTTP to an authority, bounded in time and size; no redirects, no proxy, no cookies."""

from __future__ import annotations

import http.client
import ssl
import time
from urllib.parse import urlsplit

_PIECE = 16 * 1024


def ask(address: str, seconds: float, largest: int, body: bytes | None = None, media_type: str = "") -> bytes:
    """The answer to a GET, or to a POST of ``body``; ``seconds`` are for all of it, ``largest`` its bytes.

    Raises OSError, ValueError (no http address), `http.client.HTTPException`.
    """
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("no http address")
    until = time.monotonic() + seconds
    link: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        link = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=seconds, context=context)
    else:
        link = http.client.HTTPConnection(parts.hostname, parts.port, timeout=seconds)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {"Content-Type": media_type} if body is not None else {}
        link.request("GET" if body is None else "POST", path, body, headers)
        answer = link.getresponse()
        if answer.status != 200:
            raise OSError(answer.status)
        data = bytearray()
        while True:
            if time.monotonic() > until:
                raise TimeoutError
            piece = answer.read1(_PIECE)
            if not piece:
                return bytes(data)
            data += piece
            if len(data) > largest:
                raise OSError("too long")
    finally:
        link.close()
