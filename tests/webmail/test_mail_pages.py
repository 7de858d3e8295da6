# SPDX-License-Identifier: AGPL-3.0-or-later
"""Lists, letters, attached files, moving and marking, whose mailbox it is."""

from __future__ import annotations

import asyncio
import html
import re
import time

import pytest

from mailserver.store import FLAGGED, SEEN
from policy.ledger import schema as ledger
from tests.webmail.conftest import CIVIL, CLERK, HTTPS, OTHER, Site, letter


def _flags(site: Site, uid: int) -> int:
    return site.province.store.rows(site.inbox(CIVIL), uid, uid)[0].flags


def test_an_empty_mailbox_says_so(site: Site) -> None:
    text = site.signed_in(CIVIL).get("/mail/inbox").text
    assert "Chưa có thư" in text
    assert "No mail yet" in site.signed_in(CIVIL, "en").get("/mail/inbox").text


def test_list_and_letter(site: Site) -> None:
    uid = site.put(CIVIL, letter("Lịch họp giao ban tuần 48", "Kính gửi các đồng chí."))
    browser = site.signed_in(CIVIL)
    page = browser.get("/mail/inbox").text
    assert "Lịch họp giao ban tuần 48" in page
    assert "is-unread" in page
    assert "1 chưa đọc" in page
    read = browser.get(f"/mail/inbox/{uid}")
    assert "Kính gửi các đồng chí." in read.text
    assert _flags(site, uid) & SEEN
    assert "chưa đọc</span></div>" not in read.text
    assert 'aria-current="true"' in read.text
    assert read.text.count("<h1") == 1
    assert page.count("<h1") == 1


def test_dates_are_vietnamese(site: Site) -> None:
    # 2026-01-04 18:30 UTC is the next day in Vietnam
    uid = site.put(CIVIL, letter("Ngày", Date="Sun, 04 Jan 2026 18:30:00 +0000"), at_us=1_767_551_400_000_000)
    browser = site.signed_in(CIVIL)
    assert "01:30 thứ Hai, 05/01/2026" in browser.get(f"/mail/inbox/{uid}").text
    assert "05/01/2026" in browser.get("/mail/inbox").text


def test_paging_by_fifty(site: Site) -> None:
    for n in range(60):
        site.put(CIVIL, letter(f"Thư số {n:02d}"))
    browser = site.signed_in(CIVIL)
    first = browser.get("/mail/inbox").text
    assert first.count('class="row ') == 50
    assert "Thư số 59" in first
    assert "Thư số 09" not in first
    older = html.unescape(re.findall(r'href="(/mail/inbox\?before=\d+)"', first)[0])
    second = browser.get(older).text
    assert second.count('class="row ') == 10
    assert "Thư số 00" in second


def test_search_without_marks(site: Site) -> None:
    site.put(CIVIL, letter("Báo cáo giải ngân quý IV"))
    site.put(CIVIL, letter("Chuyện khác", "Đường đê biển Tây."))
    browser = site.signed_in(CIVIL)
    assert "Báo cáo giải ngân" in browser.get("/mail/inbox?q=bao+cao+giai").text
    assert "Chuyện khác" in browser.get("/mail/inbox?q=duong").text
    for hostile in (
        "%0D%0Ax+LOGOUT",
        "%7B5%2B%7D",
        "from%3A%22",
        "%22%22%22",
        "before%3A99999-99-99",
        "%F4%8F%BF%BF",
    ):
        assert browser.get(f"/mail/inbox?q={hostile}").status_code == 200  # S14, a search term is never more
    assert "Chuyện khác" in browser.get("/mail/inbox?q=cv1@sonoivu").text
    nothing = browser.get("/mail/inbox?q=không-có-đâu")
    assert "Không thấy “không-có-đâu”" in nothing.text
    assert "Mọi hộp thư" in nothing.text


def test_search_everywhere_says_where(site: Site) -> None:
    uid = site.put(CIVIL, letter("Tìm tôi ở lưu trữ"))
    browser = site.signed_in(CIVIL)
    browser.post("/mail/inbox/act", {"do": "archive", "uid": uid})
    assert "Tìm tôi" not in browser.get("/mail/inbox?q=tim+toi").text.partition("rows")[2].partition(
        "toasts"
    )[0].replace("Tìm tôi”", "")
    everywhere = browser.get("/mail/inbox?q=tim+toi&in=all").text
    assert "Tìm tôi ở lưu trữ" in everywhere
    assert "/mail/archive/" in everywhere


@pytest.mark.parametrize(("act", "mask", "after"), [("flag", FLAGGED, True), ("unread", SEEN, False)])
def test_marking(site: Site, act: str, mask: int, after: bool) -> None:
    uid = site.put(CIVIL, letter("Đánh dấu"), flags=SEEN)
    browser = site.signed_in(CIVIL)
    assert browser.post("/mail/inbox/act", {"do": act, "uid": uid}).status_code == 302
    assert bool(_flags(site, uid) & mask) is after


def test_filters(site: Site) -> None:
    site.put(CIVIL, letter("Đọc rồi"), flags=SEEN)
    site.put(CIVIL, letter("Chưa đọc đâu"))
    site.put(CIVIL, letter("Có cờ nhé"), flags=SEEN | FLAGGED)
    browser = site.signed_in(CIVIL)
    unread, flagged = (
        browser.get("/mail/inbox?show=unread").text,
        browser.get("/mail/inbox?show=flagged").text,
    )
    assert "Chưa đọc đâu" in unread
    assert "Đọc rồi" not in unread
    assert "Có cờ nhé" in flagged
    assert "Chưa đọc đâu" not in flagged


def test_to_trash_and_back_by_the_toast(site: Site) -> None:
    uid = site.put(CIVIL, letter("Bỏ đi"))
    browser = site.signed_in(CIVIL)
    browser.post("/mail/inbox/act", {"do": "trash", "uid": uid})
    page = browser.get("/mail/inbox").text
    assert "Đã chuyển 1 thư vào Thùng rác" in page
    form = re.search(r'<form action="(/mail/trash/act)" method="post">(.*?)</form>', page, re.S)
    assert form is not None
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form[2]))
    browser.post(form[1], fields)
    assert "Bỏ đi" in browser.get("/mail/inbox").text


def test_deleting_for_good_asks_first(site: Site) -> None:
    uid = site.put(CIVIL, letter("Hết hẳn"))
    browser = site.signed_in(CIVIL)
    browser.post("/mail/inbox/act", {"do": "trash", "uid": uid})
    new = re.search(r"/mail/trash/(\d+)", browser.get("/mail/trash").text)
    assert new is not None
    asked = browser.post("/mail/trash/act", {"do": "discard", "uid": new[1]})
    assert "Xóa hẳn 1 thư?" in asked.text
    assert "Hết hẳn" in browser.get("/mail/trash").text
    browser.post("/mail/trash/act", {"do": "discard", "uid": new[1], "sure": "1"})
    assert "Hết hẳn" not in browser.get("/mail/trash").text


def test_several_at_once(site: Site) -> None:
    uids = [site.put(CIVIL, letter(f"Nhiều {n}")) for n in range(3)]
    browser = site.signed_in(CIVIL)
    assert browser.get("/mail/inbox?choose=1").text.count('type="checkbox"') == 3
    browser.post("/mail/inbox/act", {"do": "archive", "uid": uids})
    assert "Đã chuyển 3 thư vào Lưu trữ" in browser.get("/mail/archive").text
    assert browser.post("/mail/inbox/act", {"do": "archive"}).status_code == 400


def test_somebody_elses_mail_is_not_there(site: Site) -> None:
    uid = site.put(OTHER, letter("Của người khác"))
    ref = site.inbox(OTHER)
    browser = site.signed_in(CIVIL)
    for path in ("", f"/{uid}", f"/{uid}/body", f"/{uid}/source", f"/{uid}/part/1"):
        answer = browser.get(f"/mail/{ref.agency}.{ref.mailbox}{path}")
        assert answer.status_code == 404
        assert "Của người khác" not in answer.text
    assert browser.get("/mail/registry").status_code == 404
    target = f"{ref.agency}.{ref.mailbox}"
    mine = site.put(CIVIL, letter("Của tôi"))
    assert browser.post("/mail/inbox/act", {"do": "move", "uid": mine, "target": target}).status_code == 404


def test_the_clerk_sees_the_registry_and_it_is_recorded(site: Site) -> None:
    registry = site.province.home.registry
    box = site.province.store.find(registry, "INBOX")
    assert box is not None
    uid = site.bridge.wait(
        site.province.store.append(box, letter("Công văn đến").as_bytes(), 0, 1_700_000_000_000_000)
    )
    browser = site.signed_in(CLERK)
    assert "Hộp thư văn thư" in browser.get("/mail/inbox").text
    assert "Công văn đến" in browser.get("/mail/registry").text
    assert browser.get(f"/mail/registry/{uid}").status_code == 200
    with site.parts.database.reading() as conn:
        kinds = [row.kind for row in conn.execute(ledger.pending.select())]
    assert kinds.count("mailbox.opened") == 1


def test_personal_reading_is_not_recorded(site: Site) -> None:
    uid = site.put(CIVIL, letter("Riêng"))
    site.signed_in(CIVIL).get(f"/mail/inbox/{uid}")
    with site.parts.database.reading() as conn:
        assert all(row.kind != "mailbox.opened" for row in conn.execute(ledger.pending.select()))


def test_attached_files(site: Site) -> None:
    made = letter("Có tệp")
    made.add_attachment(b"%PDF-1.7 x", maintype="application", subtype="pdf", filename="Báo cáo tuần.pdf")
    made.add_attachment(
        b"<script>alert(1)</script>", maintype="text", subtype="html", filename='x"><img src=x>.html'
    )
    uid = site.put(CIVIL, made)
    browser = site.signed_in(CIVIL)
    page = browser.get(f"/mail/inbox/{uid}").text
    assert "2 tệp" in page
    assert "chưa quét mã độc" in page
    assert "<img" not in page
    pdf = browser.get(f"/mail/inbox/{uid}/part/2")
    assert pdf.data == b"%PDF-1.7 x"
    assert pdf.headers["Content-Disposition"].startswith("attachment")
    assert "filename*=UTF-8''B%C3%A1o%20c%C3%A1o" in pdf.headers["Content-Disposition"]
    assert pdf.headers["Content-Security-Policy"].startswith("sandbox")
    assert pdf.headers["X-Content-Type-Options"] == "nosniff"
    active = browser.get(f"/mail/inbox/{uid}/part/3")
    assert active.headers["Content-Type"] == "application/octet-stream"
    assert browser.get(f"/mail/inbox/{uid}/part/9").status_code == 404
    assert browser.get(f"/mail/inbox/{uid}/source").data.startswith(b"From:")


def test_the_directory_completes_without_marks(site: Site) -> None:
    browser = site.signed_in(CIVIL)
    items = browser.get("/directory?q=so noi vu van thu").json["items"]
    assert [one["address"] for one in items] == ["vanthu@sonoivu.camau.example"]
    assert browser.get("/directory?q=").json["items"] == []


def test_bad_addresses_get_words(site: Site) -> None:
    browser = site.signed_in(CIVIL)
    for path in ("/mail/khong-co", "/mail/inbox/999", "/mail/inbox/99999999999999999999", "/gi-do"):
        answer = browser.get(path)
        assert answer.status_code == 404
        assert "Không thấy trang này" in answer.text
    assert browser.client.put("/mail/inbox", base_url=HTTPS, data=b"x").status_code == 405


def test_a_failure_shows_a_code_and_no_insides(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    uid = site.put(CIVIL, letter("Hỏng"))
    browser = site.signed_in(CIVIL)
    site.parts.store = None
    answer = browser.get(f"/mail/inbox/{uid}")
    site.parts.store = site.province.store
    assert answer.status_code == 500
    assert "Traceback" not in answer.text
    assert "NoneType" not in answer.text
    assert "mã" in answer.text


def test_hostile_headers_are_only_text(site: Site) -> None:
    """S19, S21: in list, letter, answer and forwarded letter."""
    bad = b'From: "<script>alert(1)</script>" <"><img src=x onerror=alert(1)>@x.example>\r\nTo: x\r\nSubject: =?utf-8?b?PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==?=\r\n\r\nhi\r\n'
    uid = site.put(CIVIL, bad)
    browser = site.signed_in(CIVIL)
    for path in (
        "/mail/inbox",
        f"/mail/inbox/{uid}",
        f"/compose?reply=inbox/{uid}",
        f"/compose?forward=inbox/{uid}",
    ):
        text = browser.get(path).text
        assert "<script>alert" not in text
        assert "<img src=x" not in text


def test_letters_of_several_mailboxes_are_not_acted_on_together(site: Site) -> None:
    """A UID means nothing outside its mailbox: choosing is offered within one mailbox only."""
    site.put(CIVIL, letter("Chọn tôi"))
    browser = site.signed_in(CIVIL)
    assert 'type="checkbox"' in browser.get("/mail/inbox?q=chon&choose=1").text
    assert 'type="checkbox"' not in browser.get("/mail/inbox?q=chon&in=all&choose=1").text


def test_a_list_is_quick_in_a_large_mailbox(site: Site) -> None:
    raw = letter("Thư").as_bytes()
    ref = site.inbox(CIVIL)

    async def many() -> None:
        store = site.province.store
        await asyncio.gather(
            *(store.append(ref, raw + b"%d" % n, 0, 1_700_000_000_000_000) for n in range(1500))
        )

    site.bridge.wait(many())
    browser = site.signed_in(CIVIL)
    browser.get("/mail/inbox")
    start = time.process_time()
    for _ in range(5):
        browser.get("/mail/inbox")
    assert (time.process_time() - start) / 5 < 0.15


def test_a_line_says_that_there_is_little_room(site: Site) -> None:
    who, browser = site.person(CIVIL), site.signed_in(CIVIL)
    site.put(CIVIL, letter("Tệp lớn", "x" * 9000))
    used = site.province.store.quota(who.ref).used
    site.province.limit(who, used * 2)
    assert "hạn mức" not in browser.get("/mail/inbox").text
    assert "(50 %)" in browser.get("/me").text
    site.province.limit(who, used * 100 // 93)
    page = browser.get("/mail/inbox").text
    assert "Hộp thư đã dùng" in page
    assert "nhờ cán bộ CNTT nâng hạn mức" in page
    assert "note--wait" in page
    site.province.limit(who, used)
    assert "Hộp thư đã đầy" in browser.get("/mail/sent").text
    assert "This mailbox is full" in site.signed_in(CIVIL, "en").get("/mail/sent").text
