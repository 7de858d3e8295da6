# SPDX-License-Identifier: AGPL-3.0-or-later
"""A mail server in a thread of its own, on ports the system gives, over a test's small province."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from config.settings import Installation as InstallationSettings
from config.settings import Listen, Mail, Queue, Settings
from mailserver.delivery import Delivery
from mailserver.hygiene.screening import Screening, resolver_of, scanner_of
from mailserver.smtp.server import SmtpServer
from mailserver.store import Ref
from policy.rulebook import load
from tests.conftest import Province

T = TypeVar("T")
LIMIT = 2 * 1024 * 1024
NAME = "mail.camau.example"


def free_port() -> int:
    """A port nobody uses now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def certificate(folder: Path) -> ssl.SSLContext:
    """A server context with a fresh self-made certificate; ``folder/ca.pem`` trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName(NAME), x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    return context


class Loop:
    """An event loop (uvloop, as in production) in a thread."""

    def __init__(self) -> None:
        self.loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="test-loop", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T], seconds: float = 30) -> T:
        """Run ``work`` there, wait for its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(seconds)

    def stop(self) -> None:
        """End the loop."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


@dataclass
class Serving:
    """A running server and what it serves."""

    province: Province
    settings: Settings
    delivery: Delivery
    server: SmtpServer
    loop: Loop
    folder: Path

    @property
    def mx(self) -> tuple[str, int]:
        return self.server.address("smtp")

    @property
    def submission(self) -> tuple[str, int]:
        return self.server.address("submission")

    @property
    def submissions(self) -> tuple[str, int]:
        return self.server.address("submissions")

    @property
    def lmtp(self) -> tuple[str, int]:
        return self.server.address("lmtp")

    def client_tls(self) -> ssl.SSLContext:
        """A client context that trusts the server."""
        return ssl.create_default_context(cafile=str(self.folder / "ca.pem"))

    def inbox(self, address: str, name: str = "INBOX") -> list[bytes]:
        """All messages of a mailbox."""
        account = self.province.accounts.by_address(address)
        assert account is not None
        ref = self.province.store.find(account.ref, name)
        if ref is None:
            return []
        return [self.province.store.content(row.blob) for row in self.province.store.uid_map(Ref(*ref))]


def settings_for(folder: Path, **queue: Any) -> Settings:
    """Settings with ports of the system's choice (the MX's is fixed beforehand: the courier needs it)."""
    return Settings(
        base=folder,
        file=folder / "province.toml",
        installation=InstallationSettings(name="Tỉnh thử", tls_name=NAME),
        listen=Listen(
            smtp=f"127.0.0.1:{free_port()}",
            submission="127.0.0.1:0",
            submissions="127.0.0.1:0",
            lmtp="127.0.0.1:0",
        ),
        mail=Mail(max_message_bytes=LIMIT, max_recipients=5, plaintext_on_loopback=True),
        queue=Queue(**queue),
    )


@contextmanager
def serving(
    province: Province,
    folder: Path,
    settings: Settings | None = None,
    submission_context: ssl.SSLContext | None = None,
    **mail: Any,
) -> Iterator[Serving]:
    """Serve a province."""
    settings = settings or settings_for(folder)
    settings = replace(settings, mail=replace(settings.mail, **mail))
    loop = Loop()
    delivery = Delivery(
        province.store, province.accounts, load(), settings.mail.max_message_bytes, scanner_of(settings)
    )
    screening = Screening(province.store, province.accounts, settings, resolver_of(settings))
    server = SmtpServer(
        delivery,
        province.accounts,
        settings,
        certificate(folder),
        screening=screening,
        submission_context=submission_context,
    )
    loop.run(server.start())
    try:
        yield Serving(province, settings, delivery, server, loop, folder)
    finally:
        loop.run(server.stop())
        loop.stop()


class Talk:
    """A raw SMTP client: bytes out, replies in."""

    def __init__(
        self, where: tuple[str, int], *, greet: bool = True, seconds: float = 10, source: str = ""
    ) -> None:
        self.socket = socket.create_connection(where, seconds, (source, 0))
        self.file = self.socket.makefile("rb")
        if greet:
            assert self.reply().startswith("220 ")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def reply(self) -> str:
        """The next reply, all lines; "" at the end of the connection."""
        lines = []
        while True:
            line = self.file.readline().decode("utf-8")
            if not line:
                return "\n".join(lines)
            assert line.endswith("\r\n")
            lines.append(line.rstrip("\r\n"))
            if line[3:4] != "-":
                return "\n".join(lines)

    def ask(self, line: str) -> str:
        self.send(line.encode() + b"\r\n")
        return self.reply()

    def all(self, *lines: str) -> list[str]:
        return [self.ask(line) for line in lines]

    def close(self) -> None:
        self.file.close()
        self.socket.close()

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
