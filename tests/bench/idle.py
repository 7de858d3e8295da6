# SPDX-License-Identifier: AGPL-3.0-or-later
"""Thousands of connections that wait (IDLE over TLS): ``python -m tests.bench.idle DIR [CONNECTIONS]``.

DIR is that of ``make bench-target``. Five connections an account, as mail programs keep them. Says what each costs the
mail processes (proportional set size), and how long a letter takes from MAIL FROM to EXISTS on the last of its five.
"""

from __future__ import annotations

import asyncio
import json
import re
import resource
import smtplib
import ssl
import statistics
import sys
import time
from pathlib import Path

from config.settings_file import read
from congvan.roles import processes
from congvan.roles.running import ready_file

_EACH, _LETTERS, _AT_ONCE = 5, 200, 32
_PACE_S, _BOUND_KIB = 0.04, 60


def proportional(pids: list[int]) -> int:
    """KiB of memory of processes together, a shared page counted once."""
    found = (re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M) for pid in pids)
    return sum(int(one[1]) for one in found if one)


class Waiting:
    """One connection that idles in an INBOX; ``told`` is when it last heard of a letter."""

    def __init__(self, user: int) -> None:
        self.user = user
        self.told = 0.0
        self.heard = asyncio.Event()

    async def open(self, host: str, port: int, tls: ssl.SSLContext, name: str) -> None:
        """Connect, sign in, select, idle."""
        self._reader, self._writer = await asyncio.open_connection(
            host, port, ssl=tls, server_hostname="mail.bench.test", limit=4096
        )
        await self._reader.readline()
        for number, command in enumerate((f"LOGIN {name} bench-pw-1", "SELECT INBOX")):
            self._writer.write(f"{number} {command}\r\n".encode())
            while not (line := await self._reader.readline()).startswith(b"%d " % number):
                assert line, "the server closed"
            assert line.startswith(b"%d OK" % number), line
        self._writer.write(b"9 IDLE\r\n")
        assert (await self._reader.readline()).startswith(b"+")
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        while line := await self._reader.readline():
            if line.endswith(b" EXISTS\r\n"):
                self.told = time.perf_counter()
                self.heard.set()

    def close(self) -> None:
        """End without a word."""
        self._listening.cancel()
        self._writer.transport.abort()


async def settled(pids: list[int]) -> int:
    """The memory once it stands still."""
    last, now = 0, proportional(pids)
    while abs(now - last) > 512:
        last = now
        await asyncio.sleep(5)
        now = proportional(pids)
    return now


async def run(folder: Path, count: int) -> dict[str, float]:
    """Connect, measure, send; the figures."""
    settings = read(folder / "province.toml")
    pids = [int(ready_file(settings, name).read_text()) for name in processes(settings, ("mail",))]
    target = json.loads((folder / "target.json").read_text())
    host, _, port = target["imaps"].rpartition(":")
    tls = ssl.create_default_context(cafile=str(folder / target["ca"]))
    waiting = [Waiting(number // _EACH) for number in range(count)]
    before, started = await settled(pids), time.perf_counter()
    coming = iter(waiting)

    async def connect() -> None:
        for one in coming:
            await one.open(host, int(port), tls, f"u{one.user:05d}@bench.test")

    await asyncio.gather(*(connect() for _ in range(_AT_ONCE)))
    took = time.perf_counter() - started
    each = (await settled(pids) - before) / count
    smtp_host, _, smtp_port = target["smtp_mx"].rpartition(":")
    client = smtplib.SMTP(smtp_host, int(smtp_port), "client.test")
    users = count // _EACH
    times: list[float] = []
    for number in range(min(_LETTERS, users)):
        user = number * users // min(_LETTERS, users)
        mine = waiting[user * _EACH : (user + 1) * _EACH]
        for one in mine:
            one.heard.clear()
        sent = time.perf_counter()
        text = f"From: a@outside.test\r\nSubject: {number}\r\nMessage-ID: <{time.time_ns()}@idle.test>\r\n\r\n{number}\r\n"
        await asyncio.to_thread(client.sendmail, "a@outside.test", [f"u{user:05d}@bench.test"], text)
        async with asyncio.timeout(30):
            await asyncio.gather(*(one.heard.wait() for one in mine))
        times.append((max(one.told for one in mine) - sent) * 1000)
        await asyncio.sleep(max(0.0, _PACE_S - (time.perf_counter() - sent)))
    client.quit()
    for one in waiting:
        one.close()
    times.sort()
    return {
        "connections": count,
        "logins_per_s": round(count / took, 1),
        "kib_each": round(each, 1),
        "push_p50_ms": round(statistics.median(times), 1),
        "push_p99_ms": round(times[int(len(times) * 0.99)], 1),
    }


def main() -> int:
    """Print the figures as JSON; 1 when a connection costs more than 60 KiB."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    found = asyncio.run(run(Path(sys.argv[1]).resolve(), count))
    sys.stdout.write(json.dumps(found) + "\n")
    return 0 if found["kib_each"] <= _BOUND_KIB else 1


if __name__ == "__main__":
    sys.exit(main())
