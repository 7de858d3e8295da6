# SPDX-License-Identifier: AGPL-3.0-or-later
"""S3: 200 MB without a line end, before signing in, cost the server next to nothing (aiosmtpd: 190 MB)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.mailserver.smtp.serving import Talk

_SERVER = """
import asyncio, re, sys, uvloop
from pathlib import Path
from types import SimpleNamespace
from config.settings import Listen, Mail, Settings
from mailserver.smtp.server import SmtpServer

async def main():
    delivery = SimpleNamespace(max_bytes=10_000_000, recipient=lambda address, account: "local")
    settings = Settings(base=Path(sys.argv[1]), file=Path(), listen=Listen(smtp="127.0.0.1:0", submission=""), mail=Mail())
    server = SmtpServer(delivery, SimpleNamespace(), settings, None)
    await server.start()
    print(server.address("smtp")[1], flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        status = Path("/proc/self/status").read_text()
        print(*(int(re.search(word + r":\\s+(\\d+)", status)[1]) * 1024 for word in ("VmRSS", "VmHWM")), flush=True)

uvloop.install()
asyncio.run(main())
"""
_MB = 1024 * 1024
_BLOCKS = {
    "dots": b"\r\n.a" * 16384,
    "nobody reads": b"EHLO x\r\n" * 8192,
    "headers": b"X: y\r\n" * 8192,
    "recipients": b"EHLO x\r\nMAIL FROM:<a@b.example>\r\n" + b"RCPT TO:<c@d.example>\r\n" * 4000,
}


@pytest.mark.parametrize(
    "at", ["data", "command", "auth-like", "dots", "nobody reads", "headers", "recipients"]
)
def test_s3_two_hundred_megabytes(at: str, tmp_path: Path) -> None:
    """S3, S4: whatever is sent, and also when nobody reads the answers."""
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def memory() -> list[int]:
            process.stdin.write("\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            return [int(one) for one in process.stdout.readline().split()]  # type: ignore[union-attr]

        port = int(process.stdout.readline())
        before = memory()[0]
        block = _BLOCKS.get(at, b"A" * 65536)
        sent = 0
        with Talk(("127.0.0.1", port), seconds=3) as talk:
            if at in ("data", "dots", "headers"):
                talk.all("EHLO x", "MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>", "DATA")
            elif at == "auth-like":
                talk.send(b"AUTH PLAIN ")
            try:
                while sent < 200 * _MB:
                    talk.send(block)
                    sent += len(block)
            except OSError:
                pass
        peak = memory()[1]
        process.stdin.close()
        process.wait(10)
    assert sent < 40 * _MB, "the server went on reading"
    assert peak - before < 20 * _MB, f"{(peak - before) / _MB:.0f} MB more"
