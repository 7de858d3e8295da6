# SPDX-License-Identifier: AGPL-3.0-or-later
"""The ASGI front: events go to their own handler, everything else to the pages' threads.

A body is read here, on the loop, before a thread is taken: eight slow uploads must not stop the pages.
It lies in memory to 1 MiB, then in an unlinked temporary file.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from typing import IO, Any

from webmail.live.events import Receive, Scope, Send

_IN_MEMORY = 1024 * 1024
_CHUNK = 256 * 1024
_SLOWEST_S = 120.0

Pages = Callable[[Any, Any, Any], Awaitable[None]]


class Gate:
    """The whole web application. ``largest`` bounds a request's body, in bytes."""

    def __init__(self, pages: Pages, events: Pages, largest: int) -> None:
        self._pages = pages
        self._events = events
        self._largest = largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection event."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1000})
            return
        if scope["path"] == "/events":
            await self._events(scope, receive, send)
            return
        length = _content_length(scope)
        if not scope["query_string"].isascii():
            await _refuse(send, 400)
        elif length > self._largest:
            await _refuse(send, 413)
        elif length == 0:
            await self._pages(scope, _empty, send)
        else:
            with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as spool:
                try:
                    async with asyncio.timeout(_SLOWEST_S):
                        whole = await _gather(receive, spool, length)
                except TimeoutError:
                    await _refuse(send, 408)
                    return
                if whole:
                    await self._pages(scope, _replay(spool, length), send)


def _content_length(scope: Scope) -> int:
    """0 without the header: a chunked body is not read, the pages refuse it with 411."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0


async def _gather(receive: Receive, spool: IO[bytes], length: int) -> bool:
    held = 0
    while held < length:
        message = await receive()
        if message["type"] == "http.disconnect":
            return False
        held += len(message.get("body", b""))
        spool.write(message.get("body", b""))
        if not message.get("more_body", False):
            break
    spool.seek(0)
    return held == length


def _replay(spool: IO[bytes], length: int) -> Receive:
    async def receive() -> dict[str, Any]:
        chunk = await asyncio.to_thread(spool.read, _CHUNK) if length > _IN_MEMORY else spool.read(_CHUNK)
        return {"type": "http.request", "body": chunk, "more_body": spool.tell() < length}

    return receive


async def _empty() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _refuse(send: Send, status: int) -> None:
    headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{status}\n".encode(), "more_body": False})
