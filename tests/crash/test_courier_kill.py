# SPDX-License-Identifier: AGPL-3.0-or-later
"""kill -9 at each system call of the courier between its lease and the end of the row: strace ends the real process at
its n-th call to the network or the disk.

Afterwards a courier that lives carries on. The letter ends in the other server's 250, twice only when that server
had taken it already and the killed process could not note it; or, when that server refuses, in one notice.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from config.clock import now_us
from mailserver.delivery import Recipient
from mailserver.store import schema
from mailserver.store.verify import verify_data
from tests.mailserver.queue.conftest import CV1, Carrying, Make, Peer, carrying, peer
from tests.mailserver.queue.test_crash import _COURIER

__all__ = ["carrying", "peer"]
_ROOT = Path(__file__).parents[2]
_CALLS = "connect,sendto,recvfrom,pwrite64,fdatasync,fsync,ftruncate,unlink"
_PLACES = int(os.environ.get("CONGVAN_CRASH_STEPS", "1"))
"""From 40 on (``make crash``) every call is one place, else one call of each kind."""


def due(one: Carrying) -> None:
    """As when the lease has run out and the time to try again has come."""
    values = {"next_us": now_us(), "lease_until_us": None}
    one.mail.province.database.write(lambda conn: conn.execute(sa.update(schema.outbound).values(**values)))


@contextmanager
def running(one: Carrying, folder: Path, port: int, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A courier under strace, which is ended with it."""
    words = [one.mail.province.database.url, str(folder), f"127.0.0.1:{port}"]
    strace = ["strace", "-f", "-qq", "-e", f"trace={_CALLS}", *options]
    command = [*strace, sys.executable, "-c", _COURIER, *words]
    with subprocess.Popen(command, cwd=_ROOT) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(OSError):  # strace ends with the process, and writes out what it has
                for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
                    os.kill(int(child), signal.SIGKILL)


def places(one: Carrying, folder: Path, port: int) -> list[tuple[str, int]]:
    """(call, number) of all calls made until the row is gone; strace counts for each thread and each call."""
    trace = folder / "trace"
    with running(one, folder, port, "-o", str(trace)):
        one.until(lambda: not one.rows(), 30)
    most: dict[str, int] = {}
    made = Counter(re.findall(r"^(\d+) +(\w+)\(", trace.read_text(), re.MULTILINE))
    for (_, call), count in made.items():
        most[call] = max(count, most.get(call, 0))
    return [
        (call, number)
        for call, count in most.items()
        for number in (range(1, count + 1) if _PLACES >= 40 else [count // 2 + 1])
    ]


def notices(one: Carrying) -> int:
    return sum(b"Action: failed" in data for data in one.mail.inbox(CV1))


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace comes with tests/debian.sh")
@pytest.mark.parametrize("refused", [False, True], ids=["taken", "refused"])
def test_the_courier_is_killed_at_each_call(
    refused: bool, carrying: Make, peer: Peer, tmp_path: Path
) -> None:
    one = carrying(lease_s=1.0, routes={"*": f"127.0.0.1:{peer.port}"})
    peer.answers["no@e.example"] = "550 5.1.1 No such user"
    to = Recipient("no@e.example" if refused else "a@e.example")

    def ended() -> int:
        return notices(one) if refused else len(peer.got)

    one.send(to)
    steps = places(one, tmp_path, peer.port)
    assert ended() == 1
    killed = twice = 0
    for call, number in steps:
        before = ended()
        one.send(to)
        inject = f"inject={call}:signal=KILL:when={number}"
        with running(one, tmp_path, peer.port, "-o", "/dev/null", "-e", inject) as process:
            one.until(lambda p=process: p.poll() is not None or not one.rows(), 30)
            killed += process.poll() is not None
        had = ended() - before
        if one.rows():
            due(one)
            one.start()
            one.until(lambda: not one.rows())
            one.stop()
        ends = ended() - before
        assert ends == 1 or (ends == 2 and had == 1 and not refused), (call, number, had, ends)
        twice += ends == 2
    print(f"{killed} kills at {len(steps)} calls: {twice} letters ended twice, none never")
    assert killed > len(steps) // 2
    assert not refused or not peer.got
    province = one.mail.province
    assert verify_data(province.database, province.segments, province.seal).problems == []
