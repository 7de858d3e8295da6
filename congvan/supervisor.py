# SPDX-License-Identifier: AGPL-3.0-or-later
"""Runs the processes of the roles in the foreground; they end with it, also when it is killed.

The roles' code is loaded once, here, and each role is a fork: five processes start in the time of one and
share its pages; the mail processes come before the code of documents and pages, which they do not need. Nothing of an installation is open at that moment, and no thread runs. A role that ends by
itself is started again: at once when it had served a while, half a second later when it had just begun to,
and with growing pauses when it ends again and again without ever having served.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import resource
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import uvloop

from config.refusal import Refused, Unavailable
from config.settings import Settings
from congvan import schema_version
from congvan.installation import Installation
from congvan.output import note
from congvan.roles import ROLES, processes, role_of
from congvan.roles.running import end_with_parent, ready_file

_START_S = 40.0
_STOP_S = 8.0
_SHORT_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_A_WHILE_S = 5.0


class _Process:
    """A forked child."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """Its exit code (negative: the signal), None while it runs."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


@dataclass(slots=True)
class _Child:
    name: str
    process: _Process
    pause: float = 0.0
    again_at: float | None = None
    served_since: float | None = None


class Supervisor:
    """The processes of one installation."""

    def __init__(self, settings: Settings, roles: tuple[str, ...] = ROLES) -> None:
        self._settings = settings
        self._names = processes(settings, roles)
        self._children: dict[str, _Child] = {}
        self._stopping = False

    def start(self) -> None:
        """Start all roles and wait until each serves. Raises `Unavailable` naming what did not."""
        run = self._settings.run_dir
        run.mkdir(parents=True, exist_ok=True)
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each connection is a file
        self._refuse_second()
        self._refuse_taken_ports()
        self.bring_schema()
        for old in (*run.glob("*.pid"), *run.glob("*.wake")):
            old.unlink(missing_ok=True)
        supervisor_file(self._settings).write_text(f"{os.getpid()}\n", encoding="ascii")
        for name in self._names:
            module = f"congvan.roles.{role_of(name)}"
            if module not in sys.modules:
                importlib.import_module(module)
                gc.collect()
                gc.freeze()
            self._spawn(name)
        deadline = time.monotonic() + _START_S
        waiting = list(self._names)
        while waiting:
            waiting = [name for name in waiting if not self._serves(name)]
            dead = [name for name in waiting if self._children[name].process.poll() is not None]
            if dead or time.monotonic() > deadline:
                self.stop()
                names = ", ".join(dead or waiting)
                raise Unavailable(
                    "role-did-not-start",
                    f"Không khởi động được: {names}. Xem thông báo ở trên.",
                    f"Did not start: {names}. See the messages above.",
                )
            time.sleep(0.02)

    def pids(self) -> dict[str, object]:
        """The process ids: the supervisor's, and a list for each role."""
        found: dict[str, list[int]] = {}
        for name, child in self._children.items():
            found.setdefault(role_of(name), []).append(child.process.pid)
        return {"supervisor": os.getpid(), **found}

    def watch(self, changed: Callable[[], None], until: float | None = None) -> None:
        """Keep the roles running until SIGTERM, SIGINT or ``until`` (monotonic seconds).

        ``changed`` is called after a role was started again.
        """
        handle = lambda *_: setattr(self, "_stopping", True)  # noqa: E731
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, handle)
        while not self._stopping and (until is None or time.monotonic() < until):
            for child in self._children.values():
                if self._look_after(child):
                    changed()
            time.sleep(0.1)

    def stop(self) -> None:
        """End all roles: web, worker, mail first, the signer last; whoever does not is killed."""
        for child in reversed(list(self._children.values())):
            child.process.send(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_S
        while self._any_left():
            if time.monotonic() > deadline:
                for child in self._children.values():
                    child.process.send(signal.SIGKILL)
            time.sleep(0.02)
        supervisor_file(self._settings).unlink(missing_ok=True)

    def _any_left(self) -> bool:
        return any(child.process.poll() is None for child in self._children.values())

    def _spawn(self, name: str) -> _Child:
        parent = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            _become(self._settings, name, parent)
        child = _Child(name, _Process(pid))
        self._children[name] = child
        return child

    def _serves(self, name: str) -> bool:
        try:
            pid = int(ready_file(self._settings, name).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return False
        return pid == self._children[name].process.pid

    def _look_after(self, child: _Child) -> bool:
        now = time.monotonic()
        if child.served_since is None and self._serves(child.name):
            child.served_since = now
        code = child.process.poll()
        if code is None:
            return False
        if child.again_at is None:
            child.pause = pause_after(
                child.pause, None if child.served_since is None else now - child.served_since
            )
            child.again_at = now + child.pause
            note(f"congvan: {child.name} ended ({code}); it starts again")
        if now < child.again_at:
            return False
        pause = child.pause
        ready_file(self._settings, child.name).unlink(missing_ok=True)
        fresh = self._spawn(child.name)
        fresh.pause = pause
        return True

    def bring_schema(self) -> None:
        """Bring the database of an older program up, in a process of its own: its code is nobody's memory afterwards."""
        if not schema_version.is_behind(self._settings.database_url):
            return
        note("congvan: the database is brought to the schema of this program")
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                importlib.import_module("congvan.migrate").upgrade(self._settings.database_url)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        if os.waitpid(pid, 0)[1] != 0:
            raise Unavailable(
                "schema-not-brought-up",
                "Không nâng được cơ sở dữ liệu lên bản của chương trình này; chưa có gì thay đổi. Xem thông báo ở trên.",
                "The database could not be brought to this program's schema; nothing was changed. See the messages above.",
            )

    def _refuse_second(self) -> None:
        if running_pid(self._settings) is not None:
            raise Unavailable(
                "already-running",
                "Hệ thống này đang chạy. Dừng bằng `congvan stop` trước.",
                "This installation is running already. Stop it with `congvan stop` first.",
            )

    def _refuse_taken_ports(self) -> None:
        listen = self._settings.listen
        for name in ("smtp", "submission", "submissions", "imap", "imaps", "web", "public", "status"):
            address = getattr(listen, name)
            if not address:
                continue
            host, _, port = address.rpartition(":")
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((host, int(port)))
                except OSError as problem:
                    raise Unavailable(
                        "port-taken",
                        f"Cổng {address} ({name}) đang có chương trình khác dùng. Đổi cổng (demo: --base-port).",
                        f"Port {address} ({name}) is in use ({problem.strerror}). Choose another (demo: --base-port).",
                    ) from problem


def pause_after(last: float, served: float | None) -> float:
    """Seconds before a role that ended starts again.

    ``last``: the pause before this start; ``served``: seconds it served, None when it never came so far.
    """
    if served is None:
        return min(_LONGEST_PAUSE_S, last * 2 or _SHORT_PAUSE_S)
    return 0.0 if served > _A_WHILE_S else _SHORT_PAUSE_S


def _become(settings: Settings, name: str, parent: int) -> NoReturn:
    """In the fork: be the process of this name until it ends."""
    code = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        end_with_parent(parent)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        code = run_role(settings, name)
    except Refused as problem:
        note(f"congvan {name}: {problem.vi} / {problem.en}")
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run_role(settings: Settings, name: str) -> int:
    """Be the process ``name`` of a role until a signal comes; the exit code."""
    role = role_of(name)
    module = importlib.import_module(f"congvan.roles.{role}")
    if role == "signer":
        uvloop.run(module.run(settings))
        return 0
    parts = Installation(settings)
    try:
        uvloop.run(module.run(parts, name) if role == "mail" else module.run(parts))
    finally:
        parts.close()
    return 0


def supervisor_file(settings: Settings) -> Path:
    """Where the supervisor writes its pid."""
    return settings.run_dir / "supervisor.pid"


def running_pid(settings: Settings) -> int | None:
    """The supervisor's pid when the installation runs."""
    try:
        pid = int(supervisor_file(settings).read_text(encoding="ascii"))
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if any(b"congvan" in word for word in words) else None


def stop_running(settings: Settings, seconds: float = 20.0) -> bool:
    """Ask the running supervisor to stop and wait; False when none runs. Raises `Unavailable`."""
    pid = running_pid(settings)
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if running_pid(settings) is None:
            return True
        time.sleep(0.05)
    raise Unavailable(
        "does-not-stop",
        f"Tiến trình {pid} chưa dừng sau {seconds:.0f} giây.",
        f"Process {pid} did not stop within {seconds:.0f} s.",
    )
