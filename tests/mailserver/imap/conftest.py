# SPDX-License-Identifier: AGPL-3.0-or-later
"""A real IMAP server on a real store, in a thread of its own with uvloop."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import threading
import zlib
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
import uvloop

from config.settings import Installation, Listen, Mail, Settings
from mailserver.accounts import Account
from mailserver.imap.server import ImapServer
from mailserver.imap.session import Vouch
from mailserver.store import Mailbox, Ref, Store
from tests.conftest import PASSWORD, Province

T = TypeVar("T")


@dataclass
class Served:
    """The server, where it listens, and a way to run coroutines in its loop."""

    province: Province
    server: ImapServer
    loop: asyncio.AbstractEventLoop
    ca: Path
    judged: list[tuple[str, str, bytes]] = field(default_factory=list)
    refuse: Exception | None = None
    warn: str | None = None

    @property
    def port(self) -> int:
        """The plain port."""
        return self.server.addresses["imap"][1]

    @property
    def tls_port(self) -> int:
        """The TLS port."""
        return self.server.addresses["imaps"][1]

    @property
    def store(self) -> Store:
        """The store behind it."""
        return self.province.store

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run in the server's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def person(self, local: str) -> Account:
        """Somebody of the first agency."""
        return self.province.people[f"{local}@{self.province.home.domain}"]

    def inbox(self, local: str = "cv1") -> Ref:
        """Somebody's inbox."""
        found = self.store.find(self.person(local).ref, "INBOX")
        assert found is not None
        return found

    def fill(self, count: int, local: str = "cv1", size: int = 0) -> None:
        """Put messages ``thư 1`` … into an inbox."""
        for number in range(1, count + 1):
            self.put(message(f"thư {number}", size=size), local)

    def put(self, data: bytes, local: str = "cv1", flags: int = 0) -> int:
        """Put one message into an inbox."""
        return self.run(self.store.append(self.inbox(local), data, flags, 1_780_000_000_000_000))

    def judge(self, account: Account, mailbox: Mailbox, data: bytes) -> str | None:
        """The rules as the tests have them."""
        self.judged.append((account.address, mailbox.name, data))
        if self.refuse is not None:
            raise self.refuse
        return self.warn


def message(subject: str, body: str = "Kính gửi các đơn vị.\r\n", size: int = 0) -> bytes:
    """A plain UTF-8 message."""
    head = (
        f"From: Van phong <vp@camau.example>\r\nTo: cv1@vpubnd.camau.example\r\nSubject: {subject}\r\n"
        f"Date: Mon, 1 Jun 2026 08:00:00 +0700\r\nMessage-ID: <{zlib.crc32(subject.encode()):010d}@camau.example>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    )
    return (head + body + "x" * size).encode()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with cert.pem and key.pem for localhost."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *[
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-days",
                "2",
            ],
            *["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
            *f"-keyout {folder}/key.pem -out {folder}/cert.pem".split(),
        ],
        check=True,
        capture_output=True,
    )
    return folder


Starter = Callable[..., Served]


@pytest.fixture
def serve(small_province: Province, certificate: Path, tmp_path: Path) -> Iterator[Starter]:
    """A function that starts the server: ``serve(plaintext=True, limit=octets, clients=DER, vouch=…)``.

    ``clients`` are the certificates and authorities that TLS clients may show one of.
    """
    running: list[tuple[Served, threading.Thread]] = []

    def start(
        plaintext: bool = True, limit: int = 1024 * 1024, clients: bytes = b"", vouch: Vouch | None = None
    ) -> Served:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
        if clients:
            context.verify_mode = ssl.CERT_OPTIONAL
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            context.load_verify_locations(cadata=clients)
        settings = replace(
            Settings(base=tmp_path, file=tmp_path / "province.toml"),
            installation=Installation(tls_name="localhost"),
            listen=Listen(imap="127.0.0.1:0", imaps="127.0.0.1:0"),
            mail=Mail(plaintext_on_loopback=plaintext, max_message_bytes=limit),
        )
        loop = uvloop.new_event_loop()
        holder: list[Served] = []
        server = ImapServer(
            small_province.store,
            small_province.accounts,
            settings,
            context,
            judge_append=lambda *told: holder[0].judge(*told),
            vouch=vouch,
        )
        served = Served(small_province, server, loop, certificate / "cert.pem")
        holder.append(served)
        ready = threading.Event()

        async def begin() -> None:
            small_province.wake.start()
            await server.start()
            ready.set()

        def work() -> None:
            asyncio.set_event_loop(loop)
            loop.create_task(begin())
            loop.run_forever()

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        assert ready.wait(20)
        running.append((served, thread))
        return served

    yield start
    for served, thread in running:

        async def end(served: Served = served) -> None:
            await served.server.stop()
            served.province.wake.stop()

        served.run(end())
        served.loop.call_soon_threadsafe(served.loop.stop)
        thread.join(10)
        served.loop.close()


@pytest.fixture
def served(serve: Starter) -> Served:
    """A running server that takes passwords in clear on loopback."""
    return serve()


@pytest.fixture
def password() -> str:
    """Everybody's password."""
    return PASSWORD
