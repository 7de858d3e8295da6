# SPDX-License-Identifier: AGPL-3.0-or-later
"""A leader on a phone: enrols a passkey, signs in with it, reads, signs one document, then two with one gesture.

Chromium's virtual authenticator (WebAuthn domain of the DevTools protocol) stands for the phone's fingerprint.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import BrowserContext, CDPSession, Page, Playwright, expect

from exchange.documents import draft, records, walk
from exchange.documents.model import DocumentRef
from exchange.documents.work import load
from exchange.receiving.evidence import evidence_of
from exchange.sealing.judging import Judging
from exchange.signing.key_client import Keys
from exchange.trust.verdict import Verdict
from exchange.verifying.evidence import verify_evidence
from tests.conftest import PASSWORD, Province
from tests.exchange.documents.office import Office, draft_pdf, office
from tests.journeys.conftest import Served, serving

LEADER, CLERK = "lanhdao@vpubnd.camau.example", "vt1@vpubnd.camau.example"
PHONE = {"width": 360, "height": 780}


@dataclass
class Phone:
    """The leader's phone over a running office."""

    page: Page
    context: BrowserContext
    devtools: CDPSession
    office: Office
    served: Served
    code: str

    @property
    def url(self) -> str:
        return f"https://localhost:{self.served.port}"

    def enter(self, address: str) -> None:
        """With the password."""
        self.page.goto(f"{self.url}/sign-in")
        self.page.fill("[name=address]", address)
        self.page.fill("[name=password]", PASSWORD)
        self.page.click("form .btn--primary")
        self.page.wait_for_url("**/mail/**")

    def enrol(self) -> None:
        """On the page about oneself, with the officer's code."""
        self.page.goto(f"{self.url}/me")
        self.page.fill("[name=label]", "điện thoại")
        self.page.fill("[name=code]", self.code)
        self.page.click("[data-passkeys=add] [data-go]")
        expect(self.page.get_by_text("Khóa này dùng để đăng nhập và ký văn bản")).to_be_visible()

    def draft(self, subject: str) -> str:
        """A draft submitted to the leader; its id."""
        request = draft.DraftRequest(
            "H12.01", ("H12.02",), "Thông báo", subject, LEADER, "cv1@vpubnd.camau.example"
        )
        return draft.create(self.office.exchange, request, draft_pdf(subject)).ref.id


@pytest.fixture
def phone(driver: Playwright, small_province: Province, tmp_path: Path) -> Iterator[Phone]:
    with contextlib.closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with office(small_province, tmp_path, web_port=port) as made:
        keys = Keys(made.exchange.signer)
        leader = made.exchange.accounts.by_address(LEADER)
        assert leader is not None
        told = (LEADER, leader.name, leader.title, leader.agency_name)
        keys.person(*told, "cb@x.example", approval="passkey", renew=True)
        code, _ = keys.invite_passkey(*told, "H12.01", "cb@x.example")
        settings = dataclasses.replace(made.exchange.settings, base=tmp_path)
        with (
            serving(small_province, tmp_path, settings, made.exchange) as served,
            browser(driver, served) as found,
        ):
            page, context, devtools = found
            yield Phone(page, context, devtools, made, served, code)


@contextlib.contextmanager
def browser(driver: Playwright, served: Served) -> Iterator[tuple[Page, BrowserContext, CDPSession]]:
    """Chromium that knows the server's key (passkeys don't work behind a certificate error)."""
    certificate = x509.load_pem_x509_certificate(served.certificate.read_bytes())
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pin = base64.b64encode(hashlib.sha256(spki).digest()).decode()
    browser = driver.chromium.launch(
        executable_path="/usr/bin/chromium",
        args=["--no-sandbox", f"--ignore-certificate-errors-spki-list={pin}"],
    )
    context = browser.new_context(viewport=PHONE, locale="vi-VN")
    page = context.new_page()
    devtools = context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    authenticator(devtools)
    yield page, context, devtools
    browser.close()


def authenticator(devtools: CDPSession, *, verified: bool = True) -> str:
    """A phone's own authenticator with a fingerprint that is (or is not) the owner's."""
    options: dict[str, Any] = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": verified,
        "automaticPresenceSimulation": True,
    }
    return str(devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"])


def picture(page: Page, name: str) -> None:
    """For eyes: into $CONGVAN_PICTURES when it is set."""
    folder = os.environ.get("CONGVAN_PICTURES")
    if folder:
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def test_a_leader_signs_on_the_phone_and_the_evidence_proves_it(phone: Phone) -> None:
    page, exchange = phone.page, phone.office.exchange
    first = phone.draft("Về việc phòng, chống sạt lở bờ biển Tây")
    others = [phone.draft(f"Về việc họp giao ban tuần {n}") for n in (1, 2)]
    phone.enter(LEADER)
    phone.enrol()
    picture(page, "me-360")
    page.get_by_role("button", name="Đăng xuất").last.click()
    page.wait_for_url("**/sign-in*")
    picture(page, "sign-in-360")
    page.click("[data-passkeys=enter] [data-go]")
    page.wait_for_url("**/mail/**")

    page.goto(f"{phone.url}/signing")
    picture(page, "queue-360")
    page.get_by_role("link", name="Đọc và ký").click()
    expect(page.locator("img.sheet")).to_have_count(1)
    expect(page.get_by_text("Đúng bản vừa đọc")).to_be_visible()
    assert page.evaluate("document.querySelector('img.sheet').naturalWidth") == 1080
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    picture(page, "read-360")
    page.get_by_role("button", name="Ký bằng khóa truy cập").click()
    expect(page.get_by_role("heading", name="Đã ký", exact=True)).to_be_visible()
    picture(page, "done-360")
    ref = _ref(first)
    assert load(exchange, ref).state == "signed"

    for other in others:
        page.goto(f"{phone.url}/signing/{other}")
        expect(page.get_by_text("Đúng bản vừa đọc")).to_be_visible()
    page.goto(f"{phone.url}/signing")
    page.set_viewport_size({"width": 1280, "height": 900})
    picture(page, "queue-1280")
    page.get_by_role("button", name="Ký các văn bản đã chọn").click()
    expect(page.get_by_text("Đã xử lý hết")).to_be_visible()
    for other in others:
        assert load(exchange, _ref(other)).state == "signed"

    with ThreadPoolExecutor(1) as pool:  # the browser's loop runs in this thread
        verdict = pool.submit(_sent_and_proved, phone.office, ref).result()
    assert verdict.verdict == "TOTAL-PASSED", verdict
    with exchange.database.reading() as conn:
        recorded = records.approvals(conn, exchange.seal, ref)
    assert {one.mode for one in recorded if one.kind == "text"} == {"passkey"}

    keys = Keys(exchange.signer)
    (lost,) = keys.passkeys(LEADER)
    keys.forget_passkey(LEADER, lost.credential, "test")
    later = _proved(phone.office, ref)
    assert later.verdict == "TOTAL-PASSED", later  # what was approved before the loss stays proved


def test_somebody_elses_finger_signs_nothing(phone: Phone) -> None:
    page = phone.page
    ref = phone.draft("Về việc kiểm tra")
    phone.enter(LEADER)
    phone.enrol()
    phone.devtools.send("WebAuthn.disable")
    phone.devtools.send("WebAuthn.enable")
    authenticator(phone.devtools, verified=False)
    page.goto(f"{phone.url}/signing/{ref}")
    button = page.get_by_role("button", name="Ký bằng khóa truy cập")
    expect(button).to_be_enabled()
    button.click()
    expect(page.locator("[data-problem]")).to_be_visible(timeout=20_000)
    assert load(phone.office.exchange, _ref(ref)).state == "drafted"


def test_pages_altered_on_the_way_are_seen_and_not_signed(phone: Phone) -> None:
    page = phone.page
    ref = phone.draft("Về việc kinh phí")
    phone.enter(LEADER)
    phone.enrol()
    other = (Path(__file__).parents[2] / "webmail/static/mark.svg").read_bytes()
    page.route("**/page/1.png", lambda route: route.fulfill(body=other, content_type="image/svg+xml"))
    page.goto(f"{phone.url}/signing/{ref}")
    expect(page.get_by_text("Mã không trùng, chưa ký")).to_be_visible()
    expect(page.get_by_role("button", name="Ký bằng khóa truy cập")).to_be_disabled()


def _sent_and_proved(made: Office, ref: DocumentRef) -> Verdict:
    """The clerk finishes the document; the verdict on its evidence, offline."""
    exchange = made.exchange
    walk.go_on(exchange, ref, exchange.person(CLERK, made.home, "clerk"))
    while made.sequencer.sequence_once():
        pass
    return _proved(made, ref)


def _proved(made: Office, ref: DocumentRef) -> Verdict:
    exchange = made.exchange
    evidence = evidence_of(exchange, ref, CLERK)
    return verify_evidence(evidence, Judging(exchange.trust.anchors()), exchange.ledger_keys.all)


def _ref(name: str) -> DocumentRef:
    return DocumentRef(*(int(one) for one in name.split("-")))
