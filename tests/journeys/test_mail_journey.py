# SPDX-License-Identifier: AGPL-3.0-or-later
"""In a real browser over TLS: sign in, write with a file, the other reads and answers; keys, small screens, traps."""

from __future__ import annotations

import asyncio
from email.message import EmailMessage
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import PASSWORD
from tests.journeys.conftest import Served
from tests.webmail.conftest import CIVIL, OTHER, letter
from tests.webmail.test_reading import CORPUS

SIZES = [(1280, 800), (360, 780)]


def _page(served: Served, chromium: Browser, address: str, size: tuple[int, int] = (1280, 800)) -> Page:
    small = size[0] < 500
    context = chromium.new_context(
        ignore_https_errors=True,
        locale="vi-VN",
        viewport={"width": size[0], "height": size[1]},
        is_mobile=small,
        has_touch=small,
    )
    page = context.new_page()
    page.goto(f"{served.url}/mail/inbox")
    page.fill("[name=address]", address)
    page.fill("[name=password]", PASSWORD)
    page.get_by_role("button", name="Đăng nhập").click()
    page.wait_for_url("**/mail/inbox")
    return page


def _put(served: Served, message: EmailMessage) -> int:
    store = served.province.store
    inbox = store.find(served.province.people[CIVIL].ref, "INBOX")
    assert inbox is not None
    work = store.append(inbox, message.as_bytes(), 0, 1_700_000_000_000_000)
    return asyncio.run_coroutine_threadsafe(work, served.loop).result(20)


@pytest.mark.parametrize("size", SIZES, ids=["1280", "360"])
def test_write_read_answer(served: Served, chromium: Browser, size: tuple[int, int], tmp_path: Path) -> None:
    other = _page(served, chromium, OTHER, size)
    mine = _page(served, chromium, CIVIL, size)
    mine.get_by_role("link", name="Soạn thư").first.click()
    mine.fill("[name=to]", OTHER)
    mine.fill("[name=subject]", "Báo cáo giao ban tuần 48")
    mine.fill("[name=body]", "Kính gửi đồng chí,\n\nXin ý kiến mục 2.")
    file = tmp_path / "Biểu 2b.txt"
    file.write_text("giải ngân 78 %", encoding="utf-8")
    mine.set_input_files("[name=files]", file)
    mine.get_by_role("button", name="Gửi thư").click()
    mine.wait_for_url("**/mail/inbox")
    expect(mine.get_by_text("Đã gửi cho 1 người nhận")).to_be_visible()

    expect(other.locator("#toasts")).to_contain_text("Báo cáo giao ban tuần 48")
    expect(other.locator('[data-count="mail"]')).to_contain_text("1")
    other.goto(f"{served.url}/mail/inbox")
    other.get_by_role("link", name="Báo cáo giao ban tuần 48").click()
    expect(other.get_by_text("Xin ý kiến mục 2.").last).to_be_visible()
    with other.expect_download() as download:
        other.get_by_role("link", name="Biểu 2b.txt").click()
    assert download.value.path().read_text(encoding="utf-8") == "giải ngân 78 %"
    other.locator("a.btn:visible", has_text="Trả lời").first.click()
    expect(other.locator("[name=subject]")).to_have_value("Re: Báo cáo giao ban tuần 48")
    other.fill("[name=body]", "Đồng ý.")
    other.get_by_role("button", name="Gửi thư").click()
    other.wait_for_url("**/mail/inbox/*")

    mine.goto(f"{served.url}/mail/inbox")
    mine.get_by_role("link", name="Re: Báo cáo").click()
    expect(mine.get_by_text("Đồng ý.").last).to_be_visible()


@pytest.mark.parametrize("size", SIZES, ids=["1280", "360"])
def test_nothing_runs_sideways_and_targets_are_large(
    served: Served, chromium: Browser, size: tuple[int, int]
) -> None:
    made = letter("Một chủ đề rất dài " * 12, "Một đường dẫn https://camau.example/" + "x" * 300)
    made.add_attachment(b"x", maintype="application", subtype="pdf", filename="Ten tep rat dai " * 9 + ".pdf")
    uid = _put(served, made)
    page = _page(served, chromium, CIVIL, size)
    complaints: list[str] = []
    page.on("console", lambda one: complaints.append(one.text) if one.type in ("error", "warning") else None)
    page.on("pageerror", lambda one: complaints.append(str(one)))
    for path in (
        "/mail/inbox",
        f"/mail/inbox/{uid}",
        "/compose",
        "/me",
        "/mail/inbox?choose=1",
        "/mail/trash",
    ):
        page.goto(served.url + path)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, path
        small = page.evaluate(
            """() => [...document.querySelectorAll('a.btn, button, input:not([type=hidden]), .nav a, a.chip')]
            .filter(one => one.offsetParent && !one.closest('.sr, dialog'))
            .map(one => [one.outerHTML.slice(0, 80), one.getBoundingClientRect()])
            .filter(([_, box]) => box.height > 0 && (box.height < 23.5 || box.width < 23.5))
            .map(([text]) => text)"""
        )
        small = [one for one in small if 'type="checkbox"' not in one]
        assert small == [], path
        unnamed = page.evaluate(
            """() => [...document.querySelectorAll('a, button, input:not([type=hidden]), textarea, select, iframe')]
            .filter(one => one.checkVisibility())
            .filter(one => !(one.innerText || '').trim() && !one.getAttribute('aria-label') && !one.title
                && !(one.labels && one.labels.length)).map(one => one.outerHTML.slice(0, 100))"""
        )
        assert unnamed == [], path
    assert complaints == []


def test_the_keyboard_alone(served: Served, chromium: Browser) -> None:
    for n in range(3):
        _put(served, letter(f"Thư phím {n}"))
    page = _page(served, chromium, CIVIL)
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/mail/inbox/2")
    page.keyboard.press("e")
    page.wait_for_url("**/mail/inbox")
    expect(page.get_by_text("Đã chuyển 1 thư vào Lưu trữ")).to_be_visible()
    page.keyboard.press("z")
    page.wait_for_url("**/mail/archive")
    page.keyboard.press("g")
    page.keyboard.press("i")
    page.wait_for_url("**/mail/inbox")
    assert page.locator("a.row").count() == 3
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("phim 1")
    page.keyboard.press("Enter")
    expect(page.locator("a.row").first).to_contain_text("Thư phím 1")
    page.goto(f"{served.url}/mail/inbox")
    page.keyboard.press("c")
    page.wait_for_url("**/compose")
    page.keyboard.type("cv2 van phong")
    expect(page.get_by_role("option").first).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator(".chip")).to_have_count(1)
    page.fill("[name=subject]", "Bằng phím")
    page.fill("[name=body]", "x")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/mail/inbox")
    expect(page.get_by_text("Đã gửi cho 1 người nhận")).to_be_visible()


def test_a_hostile_letter_runs_and_loads_nothing(served: Served, chromium: Browser) -> None:
    uids = []
    for text in CORPUS:
        made = letter("Độc hại")
        made.add_alternative(text + "<p>Chữ</p>", subtype="html")
        uids.append(_put(served, made))
    page = _page(served, chromium, CIVIL)
    outside: list[str] = []
    ran: list[str] = []
    page.on(
        "request",
        lambda one: outside.append(one.url) if not one.url.startswith((served.url, "data:")) else None,
    )
    page.on("dialog", lambda one: (ran.append(one.message), one.dismiss()))
    page.goto(f"{served.url}/mail/inbox/{uids[0]}")
    loaded = page.evaluate(
        """uids => Promise.all(uids.map(uid => new Promise(done => {
            const frame = document.createElement('iframe');
            frame.onload = () => done(1);
            frame.src = `/mail/inbox/${uid}/body`;
            document.body.append(frame);
        })))""",
        uids,
    )
    assert len(loaded) == len(CORPUS)
    page.wait_for_load_state("networkidle")
    assert outside == []
    assert ran == []


def test_without_javascript(served: Served, chromium: Browser) -> None:
    context = chromium.new_context(ignore_https_errors=True, locale="vi-VN", java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{served.url}/sign-in")
    page.fill("[name=address]", CIVIL)
    page.fill("[name=password]", PASSWORD)
    page.get_by_role("button", name="Đăng nhập").click()
    page.goto(f"{served.url}/compose")
    page.fill("[name=to]", "nguoidan@gmail.com")
    page.fill("[name=subject]", "Trả lời")
    page.fill("[name=body]", "Nội dung")
    page.get_by_role("button", name="Gửi thư").click()
    expect(page.get_by_text("R-MAIL-01")).to_be_visible()
    page.fill("[name=reason]", "Trả lời công dân")
    page.get_by_role("button", name="Gửi thư").click()
    expect(page.get_by_text("Đã gửi cho 1 người nhận")).to_be_visible()
