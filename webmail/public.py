# SPDX-License-Identifier: AGPL-3.0-or-later
"""The ``public`` role: the look-up of documents on an address of its own, and the status of our certificates on another,
without TLS; it only reads (DESIGN 4.20)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from a2wsgi import WSGIMiddleware
from flask import Flask

from config.settings import Settings
from exchange.trust.responder import MAX_REQUEST
from webmail.app import PUBLIC_ROOMS, create_app
from webmail.bridge import Bridge
from webmail.live.gate import Gate
from webmail.pages.verify.checking import MAX_FILE
from webmail.parts import Parts
from webmail.server import answer
from webmail.status import create_status_app

_THREADS = 4
_FORM = 1024 * 1024


async def serve(parts: Parts, settings: Settings, *, ready: Callable[[int], None] | None = None) -> None:
    """Serve the look-up, and the status of certificates, until cancelled; what has no address is not served.

    ``ready`` is called when all answer. Raises OSError.
    """
    bridge = Bridge(asyncio.get_running_loop())
    doors: list[tuple[str, Flask, int, bool]] = []
    if settings.listen.public:
        app = create_app(parts, bridge, PUBLIC_ROOMS)
        doors.append((settings.listen.public, app, MAX_FILE + _FORM, True))
    if settings.listen.status:
        doors.append((settings.listen.status, create_status_app(parts, bridge), MAX_REQUEST, False))
    if not doors:
        await asyncio.Event().wait()
    waiting = len(doors)

    def opened(port: int) -> None:
        nonlocal waiting
        waiting -= 1
        if waiting == 0 and ready is not None:
            ready(port)

    async with asyncio.TaskGroup() as group:
        for address, app, largest, secure in doors:
            pages = WSGIMiddleware(cast(Any, app), workers=_THREADS, send_queue_size=64)
            gate = Gate(pages, _no_events, largest)
            group.create_task(answer(gate, pages, address, settings, opened, secure=secure))


async def _no_events(_scope: Any, _receive: Any, send: Any) -> None:
    """There are no live events for the public."""
    await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
