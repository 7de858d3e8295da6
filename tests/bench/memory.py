# SPDX-License-Identifier: AGPL-3.0-or-later
"""Memory of the mail processes while 64 connections send 25 MiB each: ``python -m tests.bench.memory DIR``.

DIR is that of ``make bench-target``. The bound of the project is 150 MiB for each.
"""

from __future__ import annotations

import base64
import os
import re
import smtplib
import sys
import threading
import time
from pathlib import Path

from config.settings_file import read
from congvan.roles import processes
from congvan.roles.running import ready_file

CONNECTIONS, SIZE, BOUND = 64, 24 * 1024 * 1024, 150
_HEAD = (
    "From: a@outside.test\r\nSubject: large {}\r\nMIME-Version: 1.0\r\n"
    "Content-Type: application/octet-stream; name=x.bin\r\nContent-Disposition: attachment; filename=x.bin\r\n"
    "Content-Transfer-Encoding: base64\r\n\r\n"
)


def resident(pid: int, what: str = "VmRSS") -> int:
    """MiB of memory of a process: now, or at most so far (``VmHWM``)."""
    found = re.search(what + r":\s+(\d+)", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    return int(found[1]) // 1024 if found else 0


def main() -> int:
    """Send, watch, say; 1 when the bound was passed or a message refused."""
    settings = read(Path(sys.argv[1]) / "province.toml")
    names = processes(settings, ("mail",))
    pids = [int(ready_file(settings, name).read_text(encoding="ascii")) for name in names]
    host, _, port = settings.listen.smtp.rpartition(":")
    line = base64.b64encode(os.urandom(57)) + b"\r\n"
    codes: list[int] = []

    def send(number: int) -> None:
        with smtplib.SMTP(host, int(port), timeout=600) as client:
            client.ehlo("x")
            client.mail("a@outside.test")
            client.rcpt(f"u{number:05d}@bench.test")
            client.putcmd("data")
            client.getreply()
            client.send(_HEAD.format(number).encode())
            for _ in range(SIZE // (800 * len(line))):
                client.send(line * 800)
            client.send(b".\r\n")
            codes.append(client.getreply()[0])

    before, started = [resident(pid) for pid in pids], time.monotonic()
    threads = [threading.Thread(target=send, args=(number,)) for number in range(CONNECTIONS)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    peak = [resident(pid, "VmHWM") for pid in pids]
    good = codes.count(250)
    sys.stdout.write(
        f"{good} of {CONNECTIONS} accepted in {time.monotonic() - started:.0f} s; "
        f"mail processes: {before} MiB before, {peak} at most, {[resident(pid) for pid in pids]} after\n"
    )
    return 0 if good == CONNECTIONS and max(peak) < BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
