# SPDX-License-Identifier: AGPL-3.0-or-later
"""The pages over a small province: an event loop in a thread, a Flask client, people with passwords."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import pytest
from flask.testing import FlaskClient
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.test import TestResponse

from config.settings import Installation as Who
from config.settings import Settings, Submission
from exchange.documents.files import Files
from exchange.exchange import Exchange
from exchange.signing.signer_client import SignerClient
from exchange.trust.directory import TrustDirectory
from mailserver.accounts import Account, passwords
from mailserver.accounts.changes import add_credential
from mailserver.delivery import Delivery
from mailserver.search.searching import Searches
from mailserver.store import Ref
from policy.rulebook import load
from tests.conftest import PASSWORD, Province
from webmail.app import create_app
from webmail.bridge import Bridge

HTTPS = "https://mail.camau.example"
CIVIL, OTHER, CLERK = "cv1@vpubnd.camau.example", "cv2@vpubnd.camau.example", "vt1@vpubnd.camau.example"
OUTSIDE_HOME = "cv1@sonoivu.camau.example"


@dataclass
class Parts:
    """What `webmail.parts.Parts` asks for."""

    settings: Settings
    database: Any
    seal: Any
    accounts: Any
    store: Any
    delivery: Delivery
    wake: Any
    exchange: Any

    @cached_property
    def searches(self) -> Searches:
        """What searches share."""
        return Searches(self.store)


@dataclass
class Site:
    """The running application and what is behind it."""

    parts: Parts
    province: Province
    bridge: Bridge
    app: Any

    def person(self, address: str) -> Account:
        return self.province.people[address]

    def inbox(self, address: str) -> Ref:
        found = self.province.store.find(self.person(address).ref, "INBOX")
        assert found is not None
        return found

    def put(
        self, address: str, data: bytes | EmailMessage, flags: int = 0, at_us: int = 1_700_000_000_000_000
    ) -> int:
        """Put a message into somebody's inbox."""
        raw = data if isinstance(data, bytes) else data.as_bytes()
        return self.bridge.wait(self.province.store.append(self.inbox(address), raw, flags, at_us))

    def client(self) -> FlaskClient:
        made: FlaskClient = self.app.test_client()
        return made

    def signed_in(self, address: str, language: str = "vi") -> Browser:
        """A browser with somebody's session."""
        browser = Browser(self.client(), language)
        answer = browser.post("/sign-in", {"address": address, "password": PASSWORD}, page="/sign-in")
        assert answer.status_code == 302, answer.text
        return browser


class Browser:
    """A client that finds a page's form token by itself."""

    def __init__(self, client: FlaskClient, language: str = "vi") -> None:
        self.client = client
        self.headers = {"Accept-Language": language}

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.client.get(path, base_url=HTTPS, headers=self.headers, **more)

    def token(self, page: str = "/me") -> str:
        found = re.search(r'name="token" value="([0-9a-f]+)"', self.get(page).text)
        assert found is not None
        return found[1]

    def post(self, path: str, fields: dict[str, Any], page: str = "/me", **more: Any) -> TestResponse:
        data = {"token": self.token(page), **fields}
        return self.client.post(path, base_url=HTTPS, headers=self.headers, data=data, **more)


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    """A loop in a thread of its own, as the server has one."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield Bridge(loop)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


def make_parts(province: Province, settings: Settings) -> Parts:
    """The parts of an installation around the small province; everyone gets a password of their own."""
    kept = passwords.keep(passwords.OWN, PASSWORD)

    def job(conn: Any) -> None:
        for one in province.people.values():
            add_credential(conn, province.seal, one.ref, passwords.OWN, kept, "")

    province.database.write(job)
    rules = load()
    delivery = Delivery(province.store, province.accounts, rules, settings.mail.max_message_bytes)
    exchange = Exchange(
        settings,
        province.database,
        province.seal,
        province.accounts,
        province.store,
        province.wake,
        rules,
        SignerClient(settings.run_dir / "signer.sock"),
        TrustDirectory(settings.trust_dir),
        Files(settings.data_dir / "documents"),
    )
    return Parts(
        settings,
        province.database,
        province.seal,
        province.accounts,
        province.store,
        delivery,
        province.wake,
        exchange,
    )


class _Compiled(BytecodeCache):
    """Templates are compiled once for all tests."""

    kept: ClassVar[dict[str, bytes]] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self.kept:
            bucket.bytecode_from_string(self.kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.kept[bucket.key] = bucket.bytecode_to_string()


@pytest.fixture
def site(small_province: Province, bridge: Bridge, tmp_path: Path) -> Site:
    """The pages of a small province."""
    settings = Settings(
        base=tmp_path,
        file=tmp_path / "province.toml",
        installation=Who(name="tỉnh Cà Mau", tls_name="mail.camau.example", demo=True),
        submission=Submission(undo_seconds=0),
    )
    parts = make_parts(small_province, settings)
    app = create_app(parts, bridge)
    app.jinja_env.bytecode_cache = _Compiled()
    app.config["PROPAGATE_EXCEPTIONS"] = True
    return Site(parts, small_province, bridge, app)


def letter(subject: str, text: str = "Kính gửi đồng chí.", **headers: str) -> EmailMessage:
    """A plain letter."""
    made = EmailMessage()
    made["From"] = headers.pop("sender", "Chánh Văn phòng <cv1@sonoivu.camau.example>")
    made["To"] = headers.pop("to", CIVIL)
    made["Subject"] = subject
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content(text)
    return made
