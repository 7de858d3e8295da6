# SPDX-License-Identifier: AGPL-3.0-or-later
"""Bad input over real sockets, in clear, behind STARTTLS and behind COMPRESS: BAD or BYE, bounded memory, others unharmed."""

from __future__ import annotations

import random
import resource
import socket
import ssl
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.mailserver.imap.conftest import Served
from tests.mailserver.imap.dialogue import Wire
from tests.mailserver.imap.fuzz import SEEDS
from tests.mailserver.imap.test_fuzz import _PIECES
from tests.mailserver.imap.test_security import eventually, signed_in

_MEGABYTE = 1024  # of ru_maxrss
_MOST_ROUNDS = 40


class Inside:
    """A connection whose octets go through TLS or DEFLATE."""

    def __init__(self, link: socket.socket, *, deflated: bool = False) -> None:
        self.link = link
        link.settimeout(10)
        self._in = zlib.decompressobj(-15) if deflated else None
        self._out = zlib.compressobj(wbits=-15) if deflated else None
        self._left = b""

    def send(self, data: bytes) -> None:
        """Send octets."""
        if self._out is not None:
            data = self._out.compress(data) + self._out.flush(zlib.Z_SYNC_FLUSH)
        self.link.sendall(data)

    def line(self) -> bytes | None:
        """The next line; None at the end."""
        while b"\n" not in self._left:
            try:
                more = self.link.recv(65536)
            except (ConnectionError, ssl.SSLError):
                return None
            if not more:
                return None
            self._left += self._in.decompress(more) if self._in is not None else more
        line, _, self._left = self._left.partition(b"\n")
        return line.removesuffix(b"\r")

    def until(self, tag: bytes) -> list[bytes]:
        """Lines up to the tagged one or the end."""
        lines = []
        while (line := self.line()) is not None:
            lines.append(line)
            if line.startswith(tag + b" "):
                break
        return lines


def _plain(served: Served, password: str) -> Inside:
    made = Inside(socket.create_connection(("127.0.0.1", served.port)))
    made.line()
    return made


def _starttls(served: Served, password: str) -> Inside:
    wire = Wire(served.port)
    wire.line()
    wire.command("STARTTLS")
    return Inside(
        ssl.create_default_context(cafile=served.ca).wrap_socket(wire.socket, server_hostname="localhost")
    )


def _compressed(served: Served, password: str) -> Inside:
    wire = signed_in(served, password)
    wire.command("SELECT INBOX")
    assert wire.command("COMPRESS DEFLATE")[-1].startswith(b"t OK")
    return Inside(wire.socket, deflated=True)


WAYS: dict[str, Callable[[Served, str], Inside]] = {
    "in clear": _plain,
    "behind STARTTLS": _starttls,
    "behind COMPRESS": _compressed,
}
way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@contextmanager
def unharmed(served: Served, password: str, megabytes: int = 24) -> Iterator[None]:
    """Another session works before and after, memory stays, and nobody is left behind."""
    other = signed_in(served, password, "cv2")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert other.command("NOOP")[-1] == b"t OK Done"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < megabytes * _MEGABYTE
    eventually(lambda: len(served.server.connections) == 1)
    other.close()


@way
@pytest.mark.parametrize("seed", range(3))
def test_garbage_is_answered_or_ends_the_connection(
    served: Served, password: str, way: Callable[[Served, str], Inside], seed: int
) -> None:
    """What the fuzzer sends to the grammar goes through the wire here: every round ends with a tagged answer or the end."""
    chance = random.Random(seed)
    served.fill(2)
    with unharmed(served, password):
        inside = way(served, password)
        for number in range(_MOST_ROUNDS):
            raw = bytearray(chance.choice(SEEDS))
            for _ in range(chance.randint(0, 5)):
                at = chance.randrange(len(raw) + 1)
                raw[at:at] = chance.choice(_PIECES)
            mark = b"z%d" % number
            try:
                for start in range(0, len(raw), size := chance.choice([1, 7, 4096])):
                    inside.send(bytes(raw[start : start + size]))
                inside.send(b"\r\n*\r\nDONE\r\n" + mark + b" NOOP\r\n")
            except (ConnectionError, ssl.SSLError):
                inside.link.close()
                inside = way(served, password)
                continue
            inside.link.settimeout(0.5)
            try:
                said = inside.until(mark)
            except TimeoutError:  # it waits for the rest of a literal
                said = []
            inside.link.settimeout(10)
            assert not any(b"[SERVERBUG]" in one for one in said), (bytes(raw), said[-3:])
            if not said or not said[-1].startswith(mark):
                inside.link.close()
                inside = way(served, password)
        inside.link.close()


@way
def test_s4_ten_thousand_literals_in_one_command(
    served: Served, password: str, way: Callable[[Served, str], Inside]
) -> None:
    """S4: refused when the sum is over the limit, in bounded memory; the flood is not kept."""
    with unharmed(served, password):
        inside = way(served, password)
        try:
            inside.send(b"a SEARCH" + b" TEXT {1+}\r\nx" * 10_000 + b"\r\nb NOOP\r\n")
            said = inside.until(b"b")
        except (ConnectionError, ssl.SSLError):
            said = []
        assert not said or any(one.startswith((b"a BAD", b"a NO", b"* BYE")) for one in said), said[-3:]
        inside.link.close()


@way
@pytest.mark.parametrize("size", [b"4294967295", b"1000000000+", b"99999999999999999999+", b"10++", b"+10"])
def test_s4_a_literal_of_absurd_size(
    served: Served, password: str, way: Callable[[Served, str], Inside], size: bytes
) -> None:
    """S4, Q3: no memory is set aside for it and no continuation is given."""
    with unharmed(served, password):
        inside = way(served, password)
        inside.send(b"a LOGIN {" + size + b"}\r\n")
        line = inside.line()
        assert line is None or line.startswith((b"a BAD", b"a NO [TOOBIG]", b"* BYE")), line
        inside.link.close()


@way
def test_s5_a_million_parentheses(
    served: Served, password: str, way: Callable[[Served, str], Inside]
) -> None:
    """S5: an endless line ends the connection, a deep one is BAD."""
    with unharmed(served, password):
        inside = way(served, password)
        try:
            for _ in range(1000):
                inside.send(b"(" * 1000)
            inside.send(b"\r\n")
            said = inside.until(b"x")
        except (ConnectionError, ssl.SSLError):
            said = []
        assert not said or said[-1].startswith(b"* BYE"), said
        inside.link.close()
        deep = way(served, password)
        deep.send(b"a SEARCH " + b"(" * 2000 + b"ALL" + b")" * 2000 + b"\r\n")
        assert deep.until(b"a")[-1].startswith(b"a BAD")
        deep.link.close()


@way
def test_s8_truncated_utf8_and_bad_base64(
    served: Served, password: str, way: Callable[[Served, str], Inside]
) -> None:
    """S8: each is BAD, and the connection goes on until the limit of commands before signing in."""
    with unharmed(served, password):
        inside = way(served, password)
        for number, raw in enumerate(
            (
                b"LOGIN \xc3 x",
                b"AUTHENTICATE PLAIN =====",
                b"AUTHENTICATE PLAIN \xff\xc3",
                b'SEARCH TEXT "\xc3"',
            )
        ):
            inside.send(b"a%d " % number + raw + b"\r\n")
            said = inside.until(b"a%d" % number)[-1]
            assert said.startswith((b"a%d BAD" % number, b"a%d NO" % number)), said
        inside.link.close()


@way
def test_pipelined_garbage_is_bounded(
    served: Served, password: str, way: Callable[[Served, str], Inside]
) -> None:
    """Ten megabytes of short nonsense written at once by somebody who never reads: what is held stays small."""
    with unharmed(served, password):
        inside = way(served, password)
        inside.link.settimeout(0.3)
        sent, line = 0, b"%%%% \x00 (((\r\n" * 2000
        try:
            while sent < 10 * 1024 * 1024:
                inside.send(line)
                sent += len(line)
        except (TimeoutError, ConnectionError, ssl.SSLError):
            pass  # not read any more, or cut off
        assert all(one._assembler.held < 256 * 1024 for one in served.server.connections)
        inside.link.close()


def test_half_closed_behind_starttls(served: Served, password: str) -> None:
    """The client ends its side of TLS in the middle of a command: the session is forgotten."""
    with unharmed(served, password):
        for raw in (b"", b"a LOGIN x {30}\r\n", b"a LOG", b"a NOOP\r\nb NO"):
            inside = _starttls(served, password)
            inside.send(raw)
            inside.link.shutdown(socket.SHUT_WR)
            while inside.line() is not None:
                pass
            inside.link.close()


@way
def test_a_slow_writer_costs_nothing(
    served: Served, password: str, way: Callable[[Served, str], Inside]
) -> None:
    """Octet by octet: the command is whole at its end, and nobody waited for it."""
    with unharmed(served, password):
        inside = way(served, password)
        for one in b"a NOOP\r\n":
            inside.send(bytes([one]))
        assert inside.until(b"a")[-1].startswith(b"a OK")
        inside.link.close()
