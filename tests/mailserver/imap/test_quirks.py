# SPDX-License-Identifier: AGPL-3.0-or-later
"""Client quirks that no transcript can show: time, sockets, settings of an account."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Coroutine

import pytest

from mailserver.accounts import passwords
from mailserver.imap import sweeping
from tests.mailserver.imap.conftest import Served, message
from tests.mailserver.imap.dialogue import Wire


def _idling(served: Served, password: str) -> Wire:
    wire = Wire(served.port)
    wire.line()
    wire.command(f"LOGIN {served.person('cv1').address} {password}")
    wire.command("SELECT INBOX")
    wire.send(b"i IDLE\r\n")
    assert wire.line() == b"+ idling"
    return wire


def test_q25_an_idler_hears_something_within_ten_minutes_and_not_every_two(
    served: Served, password: str
) -> None:
    """Q25: 2 minutes empty phone batteries, 29 lose the NAT's memory."""
    wire = _idling(served, password)
    (connection,) = served.server.connections

    async def at(seconds: float) -> None:
        connection.sweep(served.loop.time() + seconds)

    served.run(at(5 * 60))
    served.run(at(9.6 * 60))
    assert wire.line() == b"* OK Still here"
    wire.send(b"DONE\r\n")
    assert wire.line() == b"i OK Done"  # and not a second one from the first look
    wire.close()


def test_q26_dead_peers_are_found_and_not_counted(served: Served, password: str) -> None:
    """Q26: TCP keepalive is on; a session that is gone is out of the person's count."""
    wire = _idling(served, password)
    (connection,) = served.server.connections
    raw = connection._transport.get_extra_info("socket")  # type: ignore[union-attr]
    assert raw.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    ref = served.person("cv1").ref
    assert served.server.services.sessions[ref] == 1
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    wire.close()  # a reset, not a goodbye
    other = Wire(served.port)
    other.line()
    other.command(f"LOGIN {served.person('cv1').address} {password}")
    assert served.server.services.sessions[ref] == 1


def test_q27_the_limit_counts_persons_and_is_thirty_or_more(served: Served) -> None:
    """Q27: an office shares one address, one person has five programs with five connections each."""
    assert served.server.services.sessions_per_account >= 30


def test_q31_app_passwords_have_no_blanks_and_are_short() -> None:
    """Q31: every program takes them: ASCII letters and digits, at most 64."""
    for _ in range(50):
        assert re.fullmatch("[a-z0-9]{20,64}", passwords.new_app_password())


def test_a_masked_capability_is_neither_offered_nor_enabled(served: Served, password: str) -> None:
    """The officer's remedy for a program that stumbles over an extension; other accounts keep it."""
    served.province.mask(served.person("cv1"), frozenset({"QRESYNC", "LITERAL+"}))
    for local, masked in (("cv1", True), ("cv2", False)):
        wire = Wire(served.port)
        wire.line()
        words = wire.command(f"LOGIN {served.person(local).address} {password}")[-1].split()
        assert (b"QRESYNC" not in words) is masked
        assert (b"LITERAL-" in words) is masked
        assert (b"QRESYNC" in wire.command("ENABLE QRESYNC")[0]) is not masked
        wire.close()


def test_q26_a_lost_wake_up_is_found_by_the_next_look(
    served: Served, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody told the idler of the new message: the look round sees that the mailbox moved on."""
    monkeypatch.setattr(sweeping, "_ROUND_S", 0.05)
    wire = _idling(served, password)
    monkeypatch.setattr(served.server, "mailbox_changed", lambda ref: None)
    served.put(message("thư"))
    looking = served.run(_begin(sweeping.sweep(served.store, served.server.connections)))
    assert wire.line() == b"* 1 EXISTS"
    served.loop.call_soon_threadsafe(looking.cancel)
    wire.close()


async def _begin(work: Coroutine[None, None, None]) -> asyncio.Task[None]:
    return asyncio.create_task(work)
