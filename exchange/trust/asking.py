# SPDX-License-Identifier: AGPL-3.0-or-later
"""One question over HTTP to an authority, bounded in time and size; no redirects, no proxy, no cookies.

It is asked in a thread of its own: a look-up of a name in the DNS can't be bounded otherwise. At most eight wait at once.
"""

from __future__ import annotations

import http.client
import queue
import ssl
import threading
import time
from urllib.parse import urlsplit

_PIECE = 16 * 1024
_waiting = threading.BoundedSemaphore(8)


def ask(address: str, seconds: float, largest: int, body: bytes | None = None, media_type: str = "") -> bytes:
    """The answer to a GET, or to a POST of ``body``; ``seconds`` are for all of it, ``largest`` its bytes.

    Raises OSError (TimeoutError too), ValueError (no http address), `http.client.HTTPException`.
    """
    if not _waiting.acquire(blocking=False):
        raise TimeoutError
    told: queue.SimpleQueue[bytes | Exception] = queue.SimpleQueue()

    def run() -> None:
        try:
            told.put(_ask(address, seconds, largest, body, media_type))
        except (OSError, ValueError, http.client.HTTPException) as problem:
            told.put(problem)
        finally:
            _waiting.release()

    threading.Thread(target=run, name="asking", daemon=True).start()
    try:
        answer = told.get(timeout=seconds + 0.1)
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _ask(address: str, seconds: float, largest: int, body: bytes | None, media_type: str) -> bytes:
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
