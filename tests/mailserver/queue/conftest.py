# SPDX-License-Identifier: AGPL-3.0-or-later
"""A mail server with its courier, and a real foreign server to carry to."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from mailserver.delivery import Incoming, Recipient
from mailserver.queue.courier import Courier
from mailserver.store import outbound
from mailserver.store.outbound import Outbound
from tests.conftest import Province
from tests.mailserver.smtp.serving import Serving, certificate, free_port, serving, settings_for

CV1 = "cv1@vpubnd.camau.example"


@dataclass
class Peer:
    """A foreign server (aiosmtpd). ``answers``: recipient → reply to RCPT; ``final``: reply to DATA."""

    answers: dict[str, str] = field(default_factory=dict)
    final: list[str] = field(default_factory=list)
    got: list[Envelope] = field(default_factory=list)
    tls: list[bool] = field(default_factory=list)
    slow: float = 0.0
    begun: int = 0
    port: int = 0

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.answers.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.begun += 1
        await asyncio.sleep(self.slow)
        answer = self.final.pop(0) if self.final else "250 2.0.0 Taken"
        if answer.startswith("250"):
            self.got.append(envelope)
            self.tls.append(session.ssl is not None)
        return answer


@contextmanager
def serve(peer: Peer, **options: Any) -> Iterator[Peer]:
    peer.port = peer.port or free_port()
    controller = Controller(peer, hostname="127.0.0.1", port=peer.port, **options)
    controller.start()
    try:
        yield peer
    finally:
        controller.stop(no_assert=True)


@pytest.fixture
def peer() -> Iterator[Peer]:
    """A plain foreign server."""
    with serve(Peer(), enable_SMTPUTF8=True) as made:
        yield made


@pytest.fixture
def tls_peer(tmp_path: Path) -> Iterator[Peer]:
    """A foreign server with STARTTLS and a certificate nobody knows."""
    folder = tmp_path / "peer"
    folder.mkdir()
    with serve(Peer(), tls_context=certificate(folder)) as made:
        yield made


@dataclass
class Carrying:
    """A server and its courier."""

    mail: Serving
    courier: Courier
    task: asyncio.Task[None] | None = None

    def start(self, *, listening: bool = True) -> None:
        async def begin() -> None:
            if listening:
                self.mail.province.wake.start()
            self.task = asyncio.create_task(self.courier.run())

        self.mail.loop.run(begin())

    def stop(self) -> None:
        async def end() -> None:
            if self.task is not None:
                self.task.cancel()
                await asyncio.gather(self.task, return_exceptions=True)
            self.mail.province.wake.stop()

        self.mail.loop.run(end())
        self.task = None

    def send(self, *recipients: Recipient, sender: str = CV1, data: bytes = b"", **more: Any) -> None:
        """Accept a message for elsewhere, as the exchange does (no rules, no From check)."""
        content = (
            data
            or f"Return-Path: <{sender}>\r\nFrom: {sender}\r\nSubject: thu\r\nMessage-ID: <a@b>\r\n\r\nx\r\n".encode()
        )
        incoming = Incoming(sender, recipients, content, "exchange", **more)
        self.mail.loop.run(self.mail.delivery.deliver(incoming))

    def rows(self) -> list[Outbound]:
        with self.mail.province.database.reading() as conn:
            return outbound.listed(conn, self.mail.province.seal)

    def until(self, what: Callable[[], Any], seconds: float = 10) -> Any:
        """Wait until ``what`` is true."""
        end = time.monotonic() + seconds
        while not (found := what()):
            assert time.monotonic() < end, f"not in time: {self.rows()}"
            time.sleep(0.02)
        return found


Make = Callable[..., Carrying]


@pytest.fixture
def carrying(small_province: Province, tmp_path: Path) -> Iterator[Make]:
    """Make a server with these queue settings; its courier is started by ``start``."""
    yield from makers(small_province, tmp_path)


@pytest.fixture
def carrying_on_both(province: Province, tmp_path: Path) -> Iterator[Make]:
    """The same on each database."""
    yield from makers(province, tmp_path)


def makers(province: Province, folder: Path) -> Iterator[Make]:
    """A function that makes servers, which are stopped afterwards."""
    with contextlib.ExitStack() as stack:

        def make(lease_s: float = 60.0, **queue: Any) -> Carrying:
            settings = settings_for(folder, **({"retry_minutes": [60]} | queue))
            mail = stack.enter_context(serving(province, folder, settings))
            courier = Courier(
                province.store, province.accounts, mail.delivery, mail.settings, province.wake, lease_s
            )
            made = Carrying(mail, courier)
            stack.callback(made.stop)
            return made

        yield make
