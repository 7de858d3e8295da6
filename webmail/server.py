# SPDX-License-Identifier: AGPL-3.0-or-later
"""The ``web`` role: one asyncio server, TLS, events on the loop, pages in eight threads (DESIGN 4.19)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any, cast

import uvicorn
from a2wsgi import WSGIMiddleware

from config.settings import Settings
from webmail.app import create_app
from webmail.bridge import Bridge
from webmail.live.events import Events
from webmail.live.gate import Gate
from webmail.live.hub import Hub
from webmail.parts import Parts

_THREADS = 8
_GRACE_S = 2
_CONNECTIONS = 2000


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: the role that runs us listens for signals."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answering = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the sockets and say so."""
        await super().startup(sockets)
        self.answering.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


async def serve(parts: Parts, settings: Settings, *, ready: Callable[[int], None] | None = None) -> None:
    """Serve the pages until cancelled. ``ready`` is called with the port once they answer.

    Raises OSError when the address can't be had, and for a certificate that can't be read.
    """
    bridge = Bridge(asyncio.get_running_loop())
    app = cast(Any, create_app(parts, bridge))
    pages = WSGIMiddleware(app, workers=_THREADS, send_queue_size=64)
    largest = settings.mail.max_message_bytes + 1024 * 1024
    parts.wake.start()
    try:
        hub = Hub(parts.wake)
        front = Gate(pages, Events(parts, hub), largest)
        await answer(front, pages, settings.listen.web, settings, ready, stopping=hub.close)
    finally:
        parts.wake.stop()


async def answer(
    front: Gate,
    pages: WSGIMiddleware,
    address: str,
    settings: Settings,
    ready: Callable[[int], None] | None = None,
    *,
    stopping: Callable[[], None] | None = None,
    secure: bool = True,
) -> None:
    """Answer HTTPS (HTTP when not ``secure``) at ``address`` with ``front`` and its ``pages`` until cancelled. Raises as `serve`.

    ``stopping`` is called first of all when the end comes: it ends what would stay open.
    """
    host, _, port = address.rpartition(":")
    listener = _listen(host.strip("[]"), int(port))
    config = uvicorn.Config(
        front,
        loop="none",
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=20,
        timeout_graceful_shutdown=_GRACE_S,
        h11_max_incomplete_event_size=64 * 1024,
        ssl_context_factory=(lambda _config, _default: _tls(settings)) if secure else None,
    )
    server = _Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]), name="web")
    try:
        opened = asyncio.create_task(server.answering.wait())
        await asyncio.wait({running, opened}, return_when=asyncio.FIRST_COMPLETED)
        opened.cancel()
        if ready is not None and server.started:
            ready(listener.getsockname()[1])
        await asyncio.shield(running)
    finally:
        if stopping is not None:
            stopping()
        server.should_exit = True
        await running
        pages.executor.shutdown(wait=False, cancel_futures=True)
        listener.close()


def _listen(host: str, port: int) -> socket.socket:
    kind, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listener = socket.socket(kind, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(place)
    except OSError:
        listener.close()
        raise
    return listener


def _tls(settings: Settings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.at(settings.tls.certificate), settings.at(settings.tls.key))
    return context
