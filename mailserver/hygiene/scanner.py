# SPDX-License-Identifier: AGPL-3.0-or-later
"""A virus scanner that speaks clamd's protocol: INSTREAM over a Unix socket or TCP."""

from __future__ import annotations

import asyncio
import contextlib
import re
import struct
from dataclasses import dataclass

from config.refusal import Unavailable
from mailserver.hygiene.verdict import Scan

_CHUNK = 256 * 1024
_LONGEST_ANSWER = 4096
_FOUND = re.compile(r"stream: (.{1,200}?)(?:\([0-9a-f:]+\))? FOUND\Z")
_CONTROL = re.compile(r"[^\w.:/ -]")


@dataclass(frozen=True, slots=True)
class Scanned:
    """The verdict, and the name of what was found."""

    scan: Scan
    malware: str = ""


class Scanner:
    """Asks the scanner at ``address``: a path, ``host:port``, or "" for none.

    ``most_bytes``: larger messages are not scanned. When the scanner can't be asked, ``fail_closed`` raises
    `Unavailable` (the sender tries again later); else the verdict is ``not-scanned``. At most ``at_once``
    scans run at a time.
    """

    def __init__(
        self, address: str, *, fail_closed: bool, timeout_s: float, most_bytes: int, at_once: int = 8
    ) -> None:
        self._address = address
        self._fail_closed = fail_closed
        self._timeout_s = timeout_s
        self._most_bytes = most_bytes
        self._turn = asyncio.Semaphore(at_once)

    async def scan(self, data: bytes | bytearray) -> Scanned:
        """Scan a whole message. Raises `Unavailable` (``scanner-unavailable``) when it fails closed."""
        if not self._address:
            return Scanned("not-scanned")
        if len(data) > self._most_bytes:
            return self._not_scanned("message larger than the scanner takes")
        try:
            async with asyncio.timeout(self._timeout_s), self._turn:
                answer = await self._ask(data)
        except (OSError, TimeoutError, EOFError, ValueError) as problem:
            return self._not_scanned(str(problem) or type(problem).__name__)
        if answer == "stream: OK":
            return Scanned("clean")
        found = _FOUND.match(answer)
        if found is not None:
            return Scanned("malware", _CONTROL.sub("?", found[1])[:100])
        return self._not_scanned(answer[:100])

    def _not_scanned(self, why: str) -> Scanned:
        if not self._fail_closed:
            return Scanned("not-scanned")
        raise Unavailable(
            "scanner-unavailable",
            "Máy quét mã độc chưa trả lời nên thư chưa được nhận. Máy gửi sẽ tự gửi lại; quản trị xem `congvan check`.",
            f"The virus scanner can't be asked ({why[:100]}), so the message is not taken yet. The sending server tries"
            " again; the system officer sees `congvan check`.",
        )

    async def version(self) -> str:
        """What the scanner says of itself. Raises `OSError`, `TimeoutError`, `EOFError`."""
        async with asyncio.timeout(self._timeout_s):
            reader, writer = await self._connect()
            try:
                writer.write(b"zVERSION\0")
                return await _answer(reader)
            finally:
                writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if "/" in self._address:
            return await asyncio.open_unix_connection(self._address, limit=_LONGEST_ANSWER)
        host, _, port = self._address.rpartition(":")
        return await asyncio.open_connection(host.strip("[]"), int(port), limit=_LONGEST_ANSWER)

    async def _ask(self, data: bytes | bytearray) -> str:
        reader, writer = await self._connect()
        try:
            writer.write(b"zINSTREAM\0")
            view = memoryview(data)
            with contextlib.suppress(ConnectionError):  # it may stop reading and say why
                for start in range(0, len(view), _CHUNK):
                    piece = view[start : start + _CHUNK]
                    writer.write(struct.pack("!I", len(piece)))
                    writer.write(bytes(piece))
                    await writer.drain()
                writer.write(struct.pack("!I", 0))
                await writer.drain()
            return await _answer(reader)
        finally:
            writer.close()


async def _answer(reader: asyncio.StreamReader) -> str:
    try:
        raw = await reader.readuntil(b"\0")
    except asyncio.LimitOverrunError as problem:
        raise ValueError("the scanner's answer is too long") from problem
    return raw.rstrip(b"\0\n").decode("utf-8", "replace").strip()
