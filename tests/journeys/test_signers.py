# SPDX-License-Identifier: AGPL-3.0-or-later
"""Placing fields with mouse and keyboard, initials and joint signatures on phones, the seal by passkey; axe-core."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, CDPSession, Page, Playwright, expect

from exchange.documents import draft, records
from exchange.documents.model import DocumentRef
from exchange.documents.places import layout_of
from exchange.documents.work import content, load, take_up
from exchange.receiving.evidence import evidence_of
from exchange.sealing.judging import Judging
from exchange.signing.key_client import Keys
from exchange.signing.pdf.layout import MM
from exchange.trust.verdict import Verdict
from exchange.verifying.evidence import verify_evidence
from tests.conftest import PASSWORD, Province
from tests.exchange.documents.office import Office, draft_pdf, office
from tests.journeys.conftest import Served, serving
from tests.journeys.test_signing import authenticator, browser

LEADER, CLERK, DRAFTER = (
    "lanhdao@vpubnd.camau.example",
    "vt1@vpubnd.camau.example",
    "cv1@vpubnd.camau.example",
)
OTHER_LEADER, OTHER_CLERK = "lanhdao@sonoivu.camau.example", "vt1@sonoivu.camau.example"
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 780}


@dataclass
class Desk:
    """A browser over a running office whose keys all want a passkey."""

    page: Page
    context: BrowserContext
    devtools: CDPSession
    office: Office
    served: Served

    @property
    def url(self) -> str:
        return f"https://localhost:{self.served.port}"

    def enter(self, address: str) -> None:
        self.context.clear_cookies()
        self.page.goto(f"{self.url}/sign-in")
        self.page.fill("[name=address]", address)
        self.page.fill("[name=password]", PASSWORD)
        self.page.click("form .btn--primary")
        self.page.wait_for_url("**/mail/**")

    def enrol(self, address: str) -> None:
        """Sign in, and enrol the passkey of this person's own device."""
        person = self.office.province.people[address]
        told = (
            person.address,
            person.name,
            person.title,
            person.agency_name,
            person.agency_code or "",
            "test",
        )
        code, _ = Keys(self.office.exchange.signer).invite_passkey(*told)
        self.devtools.send("WebAuthn.disable")
        self.devtools.send("WebAuthn.enable")
        authenticator(self.devtools)
        self.enter(address)
        self.page.goto(f"{self.url}/me")
        self.page.fill("[name=label]", "điện thoại")
        self.page.fill("[name=code]", code)
        self.page.click("[data-passkeys=add] [data-go]")
        expect(self.page.get_by_text("Khóa này dùng để đăng nhập và ký văn bản")).to_be_visible()

    def look(self, name: str) -> None:
        """axe-core finds nothing at both widths; a picture for eyes into $CONGVAN_PICTURES."""
        for size in (WIDE, PHONE):
            self.page.set_viewport_size(size)
            assert self.page.evaluate("document.documentElement.scrollWidth") <= size["width"], name
            found = Axe().run(
                self.page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
            )
            assert found.violations_count == 0, f"{name} {size}: {found.generate_report()}"
            folder = os.environ.get("CONGVAN_PICTURES")
            if folder:
                self.page.screenshot(path=f"{folder}/{name}-{size['width']}.png", full_page=True)
        self.page.set_viewport_size(WIDE)


@pytest.fixture
def desk(driver: Playwright, small_province: Province, tmp_path: Path) -> Iterator[Desk]:
    with contextlib.closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with office(small_province, tmp_path, web_port=port) as made:
        keys = Keys(made.exchange.signer)
        for address in (LEADER, OTHER_LEADER, DRAFTER):
            who = made.province.people[address]
            told = (who.address, who.name, who.title, who.agency_name)
            keys.person(*told, "test", approval="passkey", renew=address != DRAFTER)
        for agency in (made.home, made.other):
            keys.agency(
                agency.code, agency.name, agency.registry_address, "test", approval="passkey", renew="sign"
            )
        settings = dataclasses.replace(made.exchange.settings, base=tmp_path)
        with (
            serving(small_province, tmp_path, settings, made.exchange) as served,
            browser(driver, served) as found,
        ):
            page, context, devtools = found
            page.set_viewport_size(WIDE)
            yield Desk(page, context, devtools, made, served)


def drafted(desk: Desk, subject: str, *, joint: bool = False) -> DocumentRef:
    request = draft.DraftRequest(
        "H12.01",
        ("H12.02",),
        "Thông báo",
        subject,
        LEADER,
        DRAFTER,
        initials=(DRAFTER,) if joint else (),
        co_signers=(OTHER_LEADER,) if joint else (),
        annexes=(("danh-muc.pdf", draft_pdf("Danh mục", "Phụ lục")),) if joint else (),
    )
    return draft.create(desk.office.exchange, request, draft_pdf(subject)).ref


def test_fields_are_dragged_and_moved_with_keys_and_prepared_there(desk: Desk) -> None:
    page, exchange = desk.page, desk.office.exchange
    ref = drafted(desk, "Về việc họp giao ban", joint=True)
    desk.enter(CLERK)
    page.goto(f"{desk.url}/documents/{ref.id}/places")
    expect(page.locator("img.sheet")).to_be_visible()
    desk.look("places")
    box = page.locator("[data-field=nguoi_ky]")
    left, top = page.locator("[name='nguoi_ky.left']"), page.locator("[name='nguoi_ky.top']")
    before = float(left.input_value()), float(top.input_value())
    box.scroll_into_view_if_needed()
    frame = box.locator("rect").bounding_box()
    picture = page.locator("img.sheet").bounding_box()
    assert frame is not None
    assert picture is not None
    x, y = frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2
    scale = picture["width"] / 210  # pixels a millimetre on A4
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 30 * scale, y - 20 * scale, steps=5)
    page.mouse.up()
    assert float(left.input_value()) == pytest.approx(before[0] - 30, abs=0.6)
    assert float(top.input_value()) == pytest.approx(before[1] - 20, abs=0.6)
    here = float(left.input_value()), float(top.input_value())
    for key in ("ArrowRight", "ArrowRight", "Shift+ArrowDown"):
        page.keyboard.press(key)
    assert (float(left.input_value()), float(top.input_value())) == (
        pytest.approx(here[0] + 2),
        pytest.approx(here[1] + 10),
    )
    expect(page.locator("[data-said]")).to_contain_text("Trang 1")
    for _ in range(30):
        page.keyboard.press("Shift+ArrowLeft")
    assert float(left.input_value()) == 0, "a box stays on its page"
    left.fill("45")
    assert page.locator("[data-field=nguoi_ky] rect").get_attribute("x") == "45"
    wanted = float(top.input_value())
    page.get_by_role("button", name="Lưu vị trí").click()
    expect(page.get_by_text("Đã lưu vị trí")).to_be_visible()
    _, data = content(exchange, take_up(exchange, ref, "test"), "draft")
    placed = layout_of(exchange, load(exchange, ref), data).person
    assert placed.left == pytest.approx(45 * MM)
    assert 842 - placed.bottom - placed.height == pytest.approx(wanted * MM, abs=1)


def test_initials_joint_signatures_and_seals_by_passkey_are_all_proved(desk: Desk) -> None:
    page, exchange = desk.page, desk.office.exchange
    ref = drafted(desk, "Về việc phối hợp phòng, chống sạt lở", joint=True)
    for address, button in (
        (DRAFTER, "Ký nháy bằng khóa truy cập"),
        (LEADER, "Ký bằng khóa truy cập"),
        (OTHER_LEADER, "Ký bằng khóa truy cập"),
    ):
        desk.enrol(address)
        page.goto(f"{desk.url}/signing")
        if address == DRAFTER:
            desk.look("queue")
        page.get_by_role("link", name="Đọc và ký").first.click()
        expect(page.get_by_text("Đúng bản vừa đọc")).to_be_visible()
        if address != LEADER:
            desk.look(f"read-{'initial' if address == DRAFTER else 'joint'}")
        if address == DRAFTER:
            page.get_by_role("link", name="Chữ to").click()
            expect(page.get_by_text("Kính mời các cơ quan dự họp đúng giờ.")).to_be_visible()
            desk.look("large")
            page.get_by_role("link", name="Về bản sẽ ký").click()
            expect(page.get_by_text("Đúng bản vừa đọc")).to_be_visible()
        page.get_by_role("button", name=button).click()
        expect(page.get_by_role("heading", name="Đã ký", exact=True)).to_be_visible()
    assert load(exchange, ref).state == "signed"

    desk.enrol(CLERK)
    page.goto(f"{desk.url}/documents/{ref.id}")
    page.get_by_role("button", name="Lấy số, đóng dấu và gửi").click()
    expect(page.get_by_text("Con dấu cần xác nhận bằng khóa truy cập")).to_be_visible()
    assert load(exchange, ref).fields.number == "01/TB-VP"
    page.goto(f"{desk.url}/documents/{ref.id}")
    desk.look("seal")
    page.get_by_role("button", name="Đóng dấu bằng khóa truy cập").click()
    expect(page.get_by_text("Chờ cơ quan liên tịch").first).to_be_visible()
    desk.enrol(OTHER_CLERK)
    page.goto(f"{desk.url}/documents?list=outgoing")
    desk.look("joint")
    page.get_by_role("link", name="01/TB-VP").click()
    page.get_by_role("button", name="Đóng dấu bằng khóa truy cập").click()
    expect(page.get_by_text("Đã phát hành").first).to_be_visible()
    assert load(exchange, ref).state == "sent"
    page.goto(f"{desk.url}/registers?register=outgoing")
    expect(page.get_by_text("Văn bản liên tịch; số của")).to_be_visible()
    desk.look("joint-register")
    page.get_by_role("link", name="Thông báo: Về việc phối hợp").click()
    expect(page.get_by_role("heading", name="Về việc phối hợp phòng, chống sạt lở")).to_be_visible()
    with ThreadPoolExecutor(1) as pool:  # the browser's loop runs in this thread
        verdict = pool.submit(_proved, desk.office, ref).result()
    assert (verdict.verdict, verdict.official) == ("TOTAL-PASSED", True), verdict
    with exchange.database.reading() as conn:
        proofs = [one.kind for one in records.approvals(conn, exchange.seal, ref) if one.proof]
    assert sorted(proofs) == ["initial", "seal", "seal", "seal", "text", "text"]


def test_given_back_in_english_and_in_the_dark(desk: Desk) -> None:
    page = desk.page
    ref = drafted(desk, "Về việc kinh phí")
    desk.enrol(LEADER)
    page.emulate_media(color_scheme="dark")
    page.goto(f"{desk.url}/signing/{ref.id}?lang=en")
    expect(page.get_by_text("The very file that was read")).to_be_visible()
    page.get_by_text("Give back").first.click()
    desk.look("give-back-dark-en")
    page.fill("[name=reason]", "Correct clause 2")
    page.get_by_role("button", name="Give back to the drafter").click()
    expect(page.get_by_text("Given back").first).to_be_visible()
    desk.look("returned-dark-en")
    assert load(desk.office.exchange, ref).state == "returned"


def _proved(made: Office, ref: DocumentRef) -> Verdict:
    exchange = made.exchange
    while made.sequencer.sequence_once():
        pass
    evidence = evidence_of(exchange, ref, CLERK)
    return verify_evidence(evidence, Judging(exchange.trust.anchors()), exchange.ledger_keys.all)
