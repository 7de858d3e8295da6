# SPDX-License-Identifier: AGPL-3.0-or-later
"""The ``public`` role: the look-up of documents alone, on an address of its own; it only reads (DESIGN 4.20)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from a2wsgi import WSGIMiddleware

from config.settings import Settings
from webmail.app import PUBLIC_ROOMS, create_app
from webmail.bridge import Bridge
from webmail.live.gate import Gate
from webmail.pages.verify.checking import MAX_FILE
from webmail.parts import Parts
from webmail.server import answer

_THREADS = 4
_FORM = 1024 * 1024


async def serve(parts: Parts, settings: Settings, *, ready: Callable[[int], None] | None = None) -> None:
    """Serve the look-up until cancelled; nothing when no address is set. Raises OSError."""
    if not settings.listen.public:
        await asyncio.Event().wait()
    app = create_app(parts, Bridge(asyncio.get_running_loop()), PUBLIC_ROOMS)
    pages = WSGIMiddleware(cast(Any, app), workers=_THREADS, send_queue_size=64)
    await answer(Gate(pages, _no_events, MAX_FILE + _FORM), pages, settings.listen.public, settings, ready)


async def _no_events(_scope: Any, _receive: Any, send: Any) -> None:
    """There are no live events for the public."""
    await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
