# SPDX-License-Identifier: AGPL-3.0-or-later
"""A real web server over TLS on a small province, and a real browser."""

from __future__ import annotations

import asyncio
import ipaddress
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from playwright.sync_api import Browser, Playwright, sync_playwright

from config.settings import Installation, Listen, Settings, Submission
from tests.conftest import Province
from tests.webmail.conftest import Parts, make_parts
from webmail.server import serve


@dataclass
class Served:
    """A running server."""

    url: str
    port: int
    parts: Parts
    province: Province
    loop: asyncio.AbstractEventLoop
    running: asyncio.Task[None]
    certificate: Path


def write_certificate(folder: Path) -> None:
    """A self-signed certificate of localhost."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName(
        [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "tls").mkdir()
    (folder / "tls/server.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "tls/server.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


@pytest.fixture
def served(small_province: Province, tmp_path: Path) -> Iterator[Served]:
    """`webmail.server.serve` on a free port, ended by cancelling it."""
    with serving(small_province, tmp_path) as made:
        yield made


@contextmanager
def serving(
    small_province: Province, tmp_path: Path, made: Settings | None = None, exchange: Any = None
) -> Iterator[Served]:
    """A server with the settings given, or usual ones on a free port."""
    write_certificate(tmp_path)
    settings = Settings(
        base=tmp_path,
        file=tmp_path / "province.toml",
        installation=Installation(name="tỉnh Cà Mau", tls_name="localhost", demo=True),
        listen=Listen(web="127.0.0.1:0"),
        submission=Submission(undo_seconds=0),
    )
    settings = made or settings
    parts = make_parts(small_province, settings)
    if exchange is not None:
        parts.exchange = exchange
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    answering = threading.Event()
    ports: list[int] = []

    def ready(port: int) -> None:
        ports.append(port)
        answering.set()

    async def begin() -> asyncio.Task[None]:
        return asyncio.create_task(serve(parts, settings, ready=ready))

    running = asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
    assert answering.wait(20)
    url = f"https://127.0.0.1:{ports[0]}"
    yield Served(url, ports[0], parts, small_province, loop, running, tmp_path / "tls/server.pem")

    async def end() -> None:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run_coroutine_threadsafe(end(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


@pytest.fixture(scope="package")
def driver() -> Iterator[Playwright]:
    """What drives browsers: one for all journeys, as there can be no second one in a thread."""
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="package")
def chromium(driver: Playwright) -> Iterator[Browser]:
    """The system's Chromium (`make test` installs it)."""
    browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
    yield browser
    browser.close()
