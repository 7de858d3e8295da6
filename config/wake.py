# SPDX-License-Identifier: AGPL-3.0-or-later
"""Wake-ups between processes: "something changed here, look" (DESIGN 4.4, 4.20).

On one machine each listening process owns a datagram socket in the run folder and everybody sends to
all others; between nodes on one PostgreSQL `wake_nodes` carries them. A wake-up may be lost; it is a hint,
and listeners look by themselves now and then. A process that changes much tells it every few milliseconds:
being woken costs each listener more than reading what changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # brings the PostgreSQL driver along
    from config.wake_nodes import Nodes


_LIMIT = 4096
_KEYS = 100
"""Keys told in one datagram."""
_APART_S = 0.005
"""What changed within this time is told together; the first change after a pause is told at once."""
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
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._untold: dict[str, dict[str, None]] = {}
        self._due = False
        self._told = 0.0

    def publish(self, topic: str, *keys: str) -> None:
        """Tell every listener that ``topic`` changed at each of ``keys``. From any thread; never blocks, never raises.

        Keys hold no blanks.
        """
        with self._lock:
            self._untold.setdefault(topic, {}).update(dict.fromkeys(keys))
            if self._due:
                return
            loop = self._loop
            self._due = loop is not None
        if loop is None or not _in_loop(loop, self._tell_soon):
            self._tell()

    def _tell_soon(self) -> None:
        pause = self._told + _APART_S - time.monotonic()
        if pause > 0:
            asyncio.get_running_loop().call_later(pause, self._tell)
        else:
            self._tell()

    def _tell(self) -> None:
        with self._lock:
            untold, self._untold, self._due = self._untold, {}, False
        self._told = time.monotonic()
        for topic, found in untold.items():
            keys = list(found)
            for first in range(0, len(keys) or 1, _KEYS):
                message = " ".join((topic, *keys[first : first + _KEYS]))[:_LIMIT]
                if self._loop is not None:
                    self._heard(message)
                self._send(message.encode())

    def _send(self, message: bytes) -> None:
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
                own = self._own.name if self._own is not None else ""
                names = [name for name in os.listdir(self._folder) if name.endswith(".wake") and name != own]
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
        loop = self._loop = asyncio.get_running_loop()
        loop.add_reader(self._socket.fileno(), self._readable)
        if self._nodes is not None:
            self._nodes.listen(lambda message: _in_loop(loop, self._heard, message))

    def stop(self) -> None:
        """Stop listening."""
        self._loop = None
        self._tell()
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


def _in_loop(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *given: str) -> bool:
    """Have the loop make a call; False when it has ended."""
    try:
        loop.call_soon_threadsafe(call, *given)
    except RuntimeError:
        return False
    return True
