# SPDX-License-Identifier: AGPL-3.0-or-later
"""Wake-ups between processes: "something changed here, look" (DESIGN 4.4, 4.20).

On one machine each listening process owns a datagram socket in the run folder and everybody sends to
all of them; between nodes on one PostgreSQL `wake_nodes` carries them. A wake-up may be lost; it is a hint,
and listeners look by themselves now and then.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # brings the PostgreSQL driver along
    from config.wake_nodes import Nodes


_LIMIT = 4096
_KEYS = 100
"""Keys told in one datagram."""
_TICK_NS = 100_000_000
"""Two changes of a folder within a tick of the file system's clock may show one time."""
Listener = Callable[[str, str], None]


class Wake:
    """Publishes to every listener of the installation; listens at most once a process."""

    def __init__(self, run_dir: Path, nodes: Nodes | None = None) -> None:
        self._nodes = nodes
        self._folder = run_dir
        self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._own: Path | None = None
        self._socket: socket.socket | None = None
        self._listeners: list[Listener] = []
        self._known: tuple[int, list[str]] = (0, [])

    def publish(self, topic: str, *keys: str) -> None:
        """Tell every listener that ``topic`` changed at each of ``keys``. Never blocks, never raises.

        Keys hold no blanks.
        """
        for first in range(0, len(keys) or 1, _KEYS):
            self._publish(" ".join((topic, *keys[first : first + _KEYS])).encode()[:_LIMIT])

    def _publish(self, message: bytes) -> None:
        for name in self._listening():
            path = self._folder / name
            try:
                self._sender.sendto(message, str(path))
            except ConnectionRefusedError:
                path.unlink(missing_ok=True)  # its process is gone
            except OSError:
                continue
        if self._nodes is not None:
            self._nodes.publish(message.decode(errors="ignore"))

    def _listening(self) -> list[str]:
        """Names of the listeners' sockets; the folder is read again when something in it changed."""
        try:
            changed = os.stat(self._folder).st_mtime_ns
            if changed != self._known[0]:
                names = [name for name in os.listdir(self._folder) if name.endswith(".wake")]
                settled = time.time_ns() - changed > _TICK_NS
                self._known = (changed if settled else 0, names)
        except OSError:
            return []
        return self._known[1]

    def subscribe(self, listener: Listener) -> None:
        """Call ``listener(topic, key)`` in the event loop for each wake-up, once `start` ran."""
        self._listeners.append(listener)

    def start(self) -> None:
        """Begin to listen on the running event loop."""
        if self._socket is not None:
            return
        self._own = self._folder / f"{os.getpid()}.wake"
        self._own.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(self._own))
        loop = asyncio.get_running_loop()
        loop.add_reader(self._socket.fileno(), self._readable)
        if self._nodes is not None:
            self._nodes.listen(lambda message: _in_loop(loop, self._heard, message))

    def stop(self) -> None:
        """Stop listening."""
        if self._nodes is not None:
            self._nodes.stop()
        if self._socket is not None:
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None
        if self._own is not None:
            self._own.unlink(missing_ok=True)

    def _readable(self) -> None:
        if self._socket is None:
            return
        for _ in range(256):
            try:
                message = self._socket.recv(_LIMIT)
            except BlockingIOError:
                return
            self._heard(message.decode(errors="replace"))

    def _heard(self, message: str) -> None:
        topic, *keys = message.split(" ")
        for key in keys or ("",):
            for listener in self._listeners:
                listener(topic, key)


def _in_loop(loop: asyncio.AbstractEventLoop, call: Callable[[str], None], message: str) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(call, message)
