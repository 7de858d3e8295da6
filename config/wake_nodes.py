# SPDX-License-Identifier: AGPL-3.0-or-later
"""Wake-ups between nodes: PostgreSQL's LISTEN and NOTIFY carry what datagrams carry within one (DESIGN 4.7).

Two threads with a connection each, one to tell and one to hear; both come again after an outage, and what was
said meanwhile is lost, as any wake-up may be. Nothing here blocks or fails who publishes.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import secrets
import threading
from collections.abc import Callable
from pathlib import Path

import psycopg
import sqlalchemy as sa

log = logging.getLogger("congvan.wake")

_CHANNEL = "congvan_wake"
_AGAIN_S = 2.0
_LOOK_S = 5.0
_WAITING = 10_000


class Nodes:
    """The other nodes of an installation on PostgreSQL. ``folder`` is what the processes of one node share."""

    def __init__(self, url: str, folder: Path) -> None:
        self._address = sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._folder = folder
        self._name = ""
        self._said: queue.Queue[str] = queue.Queue(_WAITING)
        self._ended = threading.Event()
        self._teller: threading.Thread | None = None
        self._hearer: threading.Thread | None = None

    def publish(self, message: str) -> None:
        """Tell the other nodes; when they can't be reached for long, wake-ups are dropped."""
        if self._teller is None:
            self._teller = self._started(self._tell)
        with contextlib.suppress(queue.Full):
            self._said.put_nowait(message)

    def listen(self, heard: Callable[[str], object]) -> None:
        """Call ``heard`` in a thread with each message of another node."""
        self._ended.clear()
        self._hearer = self._started(lambda: self._hear(heard))

    def stop(self) -> None:
        """End both threads, which are daemons, at their next look."""
        self._ended.set()
        self._teller = self._hearer = None

    def _started(self, work: Callable[[], None]) -> threading.Thread:
        self._ended.clear()
        thread = threading.Thread(target=self._kept_up, args=(work,), name="wake-nodes", daemon=True)
        thread.start()
        return thread

    def _kept_up(self, work: Callable[[], None]) -> None:
        while not self._ended.is_set():
            try:
                work()
            except (psycopg.Error, OSError) as problem:
                log.warning("wake-ups between nodes pause: %s", problem)
                self._ended.wait(_AGAIN_S)

    def _tell(self) -> None:
        with psycopg.connect(self._address, autocommit=True) as conn:
            while not self._ended.is_set():
                try:
                    message = self._said.get(timeout=_LOOK_S)
                except queue.Empty:
                    continue
                conn.execute("SELECT pg_notify(%s, %s)", (_CHANNEL, f"{self._node()} {message}"))

    def _hear(self, heard: Callable[[str], object]) -> None:
        own = self._node()
        with psycopg.connect(self._address, autocommit=True) as conn:
            conn.execute(f"LISTEN {_CHANNEL}")
            while not self._ended.is_set():
                for one in conn.notifies(timeout=_LOOK_S):
                    node, _, message = one.payload.partition(" ")
                    if node != own:
                        heard(message)

    def _node(self) -> str:
        """The name of this node: made once, in the folder its processes share."""
        if not self._name:
            file = self._folder / "node"
            fresh = self._folder / f"node.{os.getpid()}.{secrets.token_hex(4)}"
            fresh.write_text(secrets.token_hex(8))
            with contextlib.suppress(FileExistsError):
                os.link(fresh, file)
            fresh.unlink()
            self._name = file.read_text()
        return self._name
