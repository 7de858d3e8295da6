# SPDX-License-Identifier: AGPL-3.0-or-later
"""A demo installation as a user starts it, for the tests that need the whole."""

from __future__ import annotations

import fcntl
import json
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any


class Demo:
    """A detached demo in a temporary folder. ``ready`` is its ready.json."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="cvdemo"))
        self.base_port = free_base_port()
        self.ready: dict[str, Any] = {}

    def start(self) -> None:
        """Make it, or resume it."""
        answer = self.congvan(
            "demo", "--dir", str(self.folder), "--base-port", str(self.base_port), "--detach"
        )
        self.ready = answer

    def stop(self) -> None:
        """End it and remove what it left."""
        subprocess.run(
            [sys.executable, "-m", "congvan.main", "stop", "--dir", str(self.folder)],
            check=False,
            capture_output=True,
            timeout=60,
        )
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run one command against it."""
        return subprocess.run(
            [sys.executable, "-m", "congvan.main", *words, "-c", str(self.folder / "province.toml")]
            if words[0] != "demo"
            else [sys.executable, "-m", "congvan.main", *words],
            capture_output=True,
            text=True,
            timeout=110,
            input=stdin,
            check=False,
        )

    def congvan(self, *words: str) -> dict[str, Any]:
        """Run one command with ``--json`` and give its answer; it must end with 0."""
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stderr + done.stdout
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def account(self, role: str, agency: str) -> dict[str, str]:
        """The first account of a role in an agency."""
        found: dict[str, str] = next(
            one for one in self.ready["accounts"] if one["role"] == role and one["agency"] == agency
        )
        return found

    def reread(self) -> None:
        """Read ready.json anew (process ids change when a role is started again)."""
        self.ready = json.loads((self.folder / "ready.json").read_bytes())


_given: set[int] = set()
_kept: list[IO[str]] = []
"""Locks on the last base ports given: other test processes choose too, before the demo listens."""


def free_base_port() -> int:
    """A base port whose seven ports nobody listens on, another one at each call of this process."""
    while True:
        base = 15_000 + 1000 * secrets.randbelow(17)
        if (
            base not in _given
            and _ours(base)
            and all(_free(base + offset) for offset in (25, 80, 143, 443, 444, 465, 587, 993))
        ):
            _given.add(base)
            if len(_given) > 12:  # those of demos long gone may be used again
                _given.clear()
            return base


def _ours(base: int) -> bool:
    handle = (Path(tempfile.gettempdir()) / f"congvan-test-{base}.lock").open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        return False
    _kept.append(handle)
    if len(_kept) > 3:
        _kept.pop(0).close()
    return True


def _free(port: int) -> bool:
    with socket.socket() as one:
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def eventually(look: Callable[[], Any], seconds: float = 20.0) -> Any:
    """The first true answer of ``look`` within ``seconds``; fails with the last one."""
    deadline = time.monotonic() + seconds
    while True:
        answer = look()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {seconds} s, last: {answer!r}"
        time.sleep(0.05)
