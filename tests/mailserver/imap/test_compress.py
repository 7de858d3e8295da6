# SPDX-License-Identifier: AGPL-3.0-or-later
"""COMPRESS=DEFLATE with zlib as the foreign judge (RFC 4978 §3): each reply is readable at once, bombs end."""

from __future__ import annotations

import contextlib
import zlib

from tests.mailserver.imap.conftest import Served
from tests.mailserver.imap.dialogue import Wire


class Deflated:
    """A client behind a compressed connection."""

    def __init__(self, served: Served, password: str) -> None:
        self.wire = Wire(served.port)
        self.wire.line()
        self.wire.command(f"LOGIN {served.person('cv1').address} {password}")
        assert self.wire.command("COMPRESS DEFLATE")[-1] == b"t OK DEFLATE active"
        self._out = zlib.compressobj(9, zlib.DEFLATED, -15)
        self._in = zlib.decompressobj(-15)
        self._buffer = b""

    def send(self, data: bytes) -> None:
        """Send compressed."""
        self.wire.send(self._out.compress(data) + self._out.flush(zlib.Z_SYNC_FLUSH))

    def until(self, tag: bytes) -> bytes:
        """Everything up to the tagged reply; b"" when the connection ends."""
        while tag + b" " not in self._buffer or not self._buffer.endswith(b"\r\n"):
            raw = self.wire.socket.recv(65536)
            if not raw:
                break
            self._buffer += self._in.decompress(raw)
        got, self._buffer = self._buffer, b""
        return got


def test_replies_are_readable_at_once_and_compression_is_on_once(served: Served, password: str) -> None:
    served.fill(200)
    client = Deflated(served, password)
    client.send(b"a1 SELECT INBOX\r\na2 COMPRESS DEFLATE\r\n")
    got = client.until(b"a2")
    assert b"* 200 EXISTS" in got
    assert b"a2 NO [COMPRESSIONACTIVE]" in got
    client.send(b"a3 CAPABILITY\r\n")
    assert b"COMPRESS" not in client.until(b"a3")
    client.send(b"a4 FETCH 1:* (UID FLAGS ENVELOPE BODYSTRUCTURE)\r\n")
    assert client.until(b"a4").count(b" FETCH (UID ") == 200
    client.send(b"a5 APPEND INBOX {300000+}\r\n" + b"x" * 300_000 + b"\r\n")
    assert b"a5 OK [APPENDUID" in client.until(b"a5")


def test_a_bomb_ends_the_connection(served: Served, password: str) -> None:
    client = Deflated(served, password)
    client.send(b"a1 " + b"x" * 50_000_000)  # 50 KB on the wire
    assert b"* BYE" in client.until(b"a1")


def test_garbage_ends_the_connection_and_no_other(served: Served, password: str) -> None:
    other = Deflated(served, password)
    client = Deflated(served, password)
    client.wire.send(b"\xff" * 1000)
    with contextlib.suppress(ConnectionError):
        assert b"OK" not in client.until(b"a1")
    other.send(b"a1 NOOP\r\n")
    assert b"a1 OK" in other.until(b"a1")
