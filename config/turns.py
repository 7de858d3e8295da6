# SPDX-License-Identifier: AGPL-3.0-or-later
"""Whose turn it is to write to SQLite: processes queue on a lock file, not in SQLite's busy loop (DESIGN 4.7).

A process that is stopped or hangs in its turn keeps the others waiting. They give up after `PATIENCE_S` with words
for the person and go on by themselves once the turn is free; the lock shows who holds it.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from config.refusal import Unavailable

PATIENCE_S = 20.0
"""A turn is 5 ms of work and an fsync, which a disk under full load may hold for seconds; mail programs wait 30 s at
least (RFC 5321 §4.5.3.2 asks for minutes), as do browsers and their proxies, so they still hear why."""
_LOOK_S = 1.0


class WriterStuck(Unavailable):
    """Another process has had the turn for too long. Nothing was done."""

    def __init__(self, holder: Holder | None) -> None:
        who = f" ({holder.pid})" if holder else ""
        super().__init__(
            "writer-stuck",
            f"Một tiến trình khác của hệ thống{who} giữ quyền ghi quá lâu, chưa có gì thay đổi. Hãy thử lại sau ít "
            "phút; quản trị hệ thống chạy `congvan check`.",
            f"Another process of the installation{who} has held the right to write for too long, nothing was "
            "changed. Please try again in a few minutes; the system officer runs `congvan check`.",
        )


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that has the turn. ``stopped``: by a signal or a debugger, so it will not give it back by itself."""

    pid: int
    stopped: bool


class Turns:
    """The turns of one process. While `take` waits too long ``give_up`` is called, again and again, by another thread."""

    def __init__(self, file: Path, patience_s: float, give_up: Callable[[WriterStuck], None]) -> None:
        self._file = file
        self._patience_s = patience_s
        self._give_up = give_up
        self._handle = -1
        self._since: float | None = None
        self._watch: threading.Thread | None = None
        self._closed = threading.Event()

    def take(self) -> None:
        """Wait for the turn, however long it takes. One thread. Raises `OSError`."""
        if self._handle < 0:
            self._handle = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            pass
        if self._watch is None:
            self._watch = threading.Thread(target=self._look, name="database-patience", daemon=True)
            self._watch.start()
        self._since = time.monotonic()
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX)
        finally:
            self._since = None

    def leave(self) -> None:
        """Give the turn back."""
        fcntl.flock(self._handle, fcntl.LOCK_UN)

    @property
    def waited_s(self) -> float:
        """For how many seconds `take` has been waiting, 0 when it does not."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - since

    def refuse_when_stuck(self) -> None:
        """Raises `WriterStuck` when who has the turn is stopped."""
        found = holder(self._file)
        if found is not None and found.stopped:
            raise WriterStuck(found)

    def stuck(self) -> WriterStuck:
        """What those hear who gave up."""
        return WriterStuck(holder(self._file))

    def close(self) -> None:
        """No turn is taken any more."""
        self._closed.set()
        if self._handle >= 0 and self._since is None:
            os.close(self._handle)
            self._handle = -1

    def _look(self) -> None:
        while not self._closed.wait(min(_LOOK_S, self._patience_s / 4)):
            if self.waited_s > self._patience_s:
                self._give_up(self.stuck())


def holder(file: Path) -> Holder | None:
    """Who has the turn at this moment, as the kernel says (proc_locks(5)); None: nobody, or nobody to be seen."""
    try:
        inode = file.stat().st_ino
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        words = line.split()
        if len(words) > 5 and words[1] == "FLOCK" and words[5].rpartition(":")[2] == str(inode):
            pid = int(words[4])
            return Holder(pid, _is_stopped(pid)) if pid > 0 else None
    return None


def _is_stopped(pid: int) -> bool:
    try:
        told = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return told.rpartition(") ")[2][:1] in ("T", "t")
