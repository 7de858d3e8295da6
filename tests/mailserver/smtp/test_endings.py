# SPDX-License-Identifier: AGPL-3.0-or-later
"""However a session ends, nothing accepted is lost and nothing is accepted that was not kept."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import Any

import pytest

from mailserver.delivery import Incoming
from tests.mailserver.smtp.serving import Serving, Talk
from tests.mailserver.smtp.talking import CV1, begin, data


def test_delivery_errors_defer(mail: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail closed (DESIGN 4.10): what can't be judged or stored is deferred, never passed."""

    async def broken(incoming: Incoming) -> Any:
        raise RuntimeError("the disk is gone")

    monkeypatch.setattr(mail.delivery, "deliver", broken)
    with Talk(mail.mx) as talk:
        begin(talk)
        assert data(talk, b"Subject: a\r\n\r\n.\r\n").startswith("451-4.3.0")
        assert talk.ask("NOOP").startswith("250")


def test_what_was_sent_before_eof_is_answered(mail: Serving) -> None:
    with Talk(mail.mx) as talk:
        talk.send(
            f"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<{CV1}>\r\nDATA\r\nSubject: e\r\n\r\n.\r\n".encode()
        )
        talk.socket.shutdown(socket.SHUT_WR)
        assert b"250 2.0.0 Accepted" in talk.file.read()
    assert len(mail.inbox(CV1)) == 1


def test_stopping_says_421(mail: Serving) -> None:
    with Talk(mail.mx) as talk:
        talk.ask("EHLO x")
        mail.loop.run(mail.server.stop())
        assert talk.reply().startswith("421-4.3.2")
        assert talk.file.read() == b""
    mail.loop.run(mail.server.start())


def test_a_client_that_goes_away_during_delivery_does_not_stop_it(
    mail: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, begun = mail.delivery.deliver, threading.Event()

    async def slowly(incoming: Incoming) -> Any:
        begun.set()
        await asyncio.sleep(0.3)
        return await real(incoming)

    monkeypatch.setattr(mail.delivery, "deliver", slowly)
    with Talk(mail.mx) as talk:
        begin(talk)
        talk.ask("DATA")
        talk.send(b"Subject: a\r\n\r\n.\r\n")
        assert begun.wait(5)
    end = time.monotonic() + 5
    while not mail.inbox(CV1):
        assert time.monotonic() < end
        time.sleep(0.02)
