# SPDX-License-Identifier: AGPL-3.0-or-later
"""What every role does alike: end with its supervisor, say that it is ready, stop on a signal."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

from config.settings import Settings

_PR_SET_PDEATHSIG = 1
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # malloc.h


def end_with_parent(parent: int) -> None:
    """Have the kernel end this process when its supervisor ``parent`` ends, however that happens."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(0)


def give_memory_back() -> None:
    """Have the C library return large blocks to the system at once, from every thread: it would keep 25 MiB messages'
    memory for later (mallopt(3): the threshold grows by itself until it is set).
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_M_MMAP_THRESHOLD, 512 * 1024)
        library.mallopt(_M_ARENA_MAX, 2)


def ready_file(settings: Settings, role: str) -> Path:
    """Where a role writes its pid once it serves."""
    return settings.run_dir / f"{role}.pid"


@contextlib.asynccontextmanager
async def announced(settings: Settings, role: str) -> AsyncIterator[None]:
    """Say that ``role`` serves, for as long as the body runs."""
    path = ready_file(settings, role)
    path.write_text(f"{os.getpid()}\n", encoding="ascii")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


async def serve_announced(
    settings: Settings, role: str, serve: Callable[[Callable[..., None]], Coroutine[Any, Any, None]]
) -> None:
    """Run ``serve(ready)`` until a signal comes; the role is announced once it called ``ready``.

    Raises what ``serve`` raises.
    """
    listening = asyncio.Event()
    serving = asyncio.create_task(serve(lambda *_: listening.set()))
    stopping = asyncio.create_task(until_stopped())
    waiting = asyncio.create_task(listening.wait())
    await asyncio.wait({serving, waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if listening.is_set():
        async with announced(settings, role):
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if serving.done():
        await serving
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def until_stopped() -> None:
    """Return on SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


def tls_context(settings: Settings) -> ssl.SSLContext:
    """The TLS context of mail and pages: TLS 1.2 or newer."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.at(settings.tls.certificate), settings.at(settings.tls.key))
    return context
