# SPDX-License-Identifier: AGPL-3.0-or-later
"""Writing: delivered and in Sent, files, replies, what the rules say."""

from __future__ import annotations

import email
import email.policy
import io
import json
import re
from email.message import EmailMessage

from hypothesis import given, settings
from hypothesis import strategies as st

from mailserver.message import scan
from mailserver.store import ANSWERED
from policy.ledger import schema as ledger
from policy.ledger.entries import disclose, listing
from policy.ledger.integrate import integrate
from tests.webmail.conftest import CIVIL, CLERK, OTHER, OUTSIDE_HOME, Site, letter
from webmail.pages.compose.forms import Upload
from webmail.pages.compose.message import Content, built


def _received(site: Site, address: str) -> EmailMessage:
    row = site.province.store.newest(site.inbox(address), 1)[0]
    made = email.message_from_bytes(site.province.store.content(row.blob), policy=email.policy.default)
    assert isinstance(made, EmailMessage)
    return made


def _sent(site: Site, address: str) -> int:
    ref = site.province.store.find_use(site.person(address).ref, "\\Sent")
    assert ref is not None
    return len(site.province.store.uid_map(ref))


def _kinds(site: Site) -> list[str]:
    with site.parts.database.reading() as conn:
        return [row.kind for row in conn.execute(ledger.pending.select())]


def _form(text: str) -> dict[str, str]:
    form = re.search(r"<form[^>]*data-compose>(.*?)</form>", text, re.S)
    assert form is not None
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form[1]))


def test_the_plain_form_has_one_button(site: Site) -> None:
    text = site.signed_in(CIVIL).get("/compose").text
    form = re.search(r'<form[^>]*action="/compose".*?</form>', text, re.S)
    assert form is not None
    assert form[0].count("<button") == 1
    for name in ("to", "subject", "body", "files"):
        assert f'name="{name}"' in form[0]
    assert text.count('type="submit"') == 1


def test_a_letter_with_a_file_arrives_and_is_in_sent(site: Site) -> None:
    browser = site.signed_in(CIVIL)
    fields = {
        "to": f"{OTHER}; Văn Thư <{CLERK}>",
        "cc": OUTSIDE_HOME,
        "subject": "Báo cáo giao ban tuần 48",
        "body": "Kính gửi đồng chí.\r\n\r\nTrân trọng.",
        "files": [(io.BytesIO(b"\x00\x01 so lieu"), "Phụ lục đê biển.bin")],
    }
    answer = browser.post("/compose", fields, content_type="multipart/form-data")
    assert answer.status_code == 302, answer.text
    assert "Đã gửi cho 3 người nhận" in browser.get("/mail/inbox").text
    for address in (OTHER, CLERK, OUTSIDE_HOME):
        got = _received(site, address)
        assert got["Subject"] == "Báo cáo giao ban tuần 48"
        assert got["From"].addresses[0].addr_spec == CIVIL
        body = got.get_body()
        assert body is not None
        assert body.get_content().replace("\r\n", "\n").strip() == "Kính gửi đồng chí.\n\nTrân trọng."
        file = next(iter(got.iter_attachments()))
        assert file.get_filename() == "Phụ lục đê biển.bin"
        assert file.get_content() == b"\x00\x01 so lieu"
        assert got["Message-ID"].endswith("@vpubnd.camau.example>")
        assert got["Date"].endswith("+0700")
    assert _sent(site, CIVIL) == 1
    assert "Báo cáo giao ban" in browser.get("/mail/sent").text


def test_reply_quotes_and_keeps_the_thread(site: Site) -> None:
    uid = site.put(
        CIVIL,
        letter(
            "Hỏi ý kiến",
            "Xin ý kiến mục 2.",
            Message_ID="<hoi@sonoivu.camau.example>",
            to=f"{CIVIL}, {OTHER}",
        ),
    )
    browser = site.signed_in(CIVIL)
    page = browser.get(f"/compose?reply=inbox/{uid}").text
    assert "&gt; Xin ý kiến mục 2." in page
    assert OUTSIDE_HOME in page
    assert OTHER not in page.partition('id="to"')[2].partition("</div>")[0]
    everyone = browser.get(f"/compose?all=inbox/{uid}").text
    assert OTHER in everyone.partition('id="cc"')[2].partition("</div>")[0]
    fields = _form(page) | {"to": OUTSIDE_HOME, "subject": "Re: Hỏi ý kiến", "body": "Đồng ý."}
    assert browser.post("/compose", fields).status_code == 302
    got = _received(site, OUTSIDE_HOME)
    assert got["In-Reply-To"] == "<hoi@sonoivu.camau.example>"
    assert "<hoi@sonoivu.camau.example>" in got["References"]
    assert site.province.store.rows(site.inbox(CIVIL), uid, uid)[0].flags & ANSWERED


def test_forward_takes_the_files_along(site: Site) -> None:
    made = letter("Có phụ lục")
    made.add_attachment(b"phu luc", maintype="application", subtype="pdf", filename="phu-luc.pdf")
    uid = site.put(CIVIL, made)
    browser = site.signed_in(CIVIL)
    page = browser.get(f"/compose?forward=inbox/{uid}").text
    assert "phu-luc.pdf" in page
    kept = re.findall(r'name="kept" value="([^"]+)"', page)
    fields = _form(page) | {
        "to": OTHER,
        "subject": "Fwd: Có phụ lục",
        "body": "Chuyển đồng chí.",
        "kept": kept,
    }
    assert browser.post("/compose", fields).status_code == 302
    assert next(iter(_received(site, OTHER).iter_attachments())).get_content() == b"phu luc"


def test_files_of_others_can_not_be_taken_along(site: Site) -> None:
    made = letter("Riêng của người khác")
    made.add_attachment(b"kin", maintype="application", subtype="pdf", filename="kin.pdf")
    uid = site.put(OTHER, made)
    ref = site.inbox(OTHER)
    browser = site.signed_in(CIVIL)
    fields = {"to": CIVIL, "subject": "x", "body": "x", "kept": f"{ref.agency}.{ref.mailbox}/{uid}/2"}
    assert browser.post("/compose", fields).status_code == 422
    assert site.province.store.uid_map(site.inbox(CIVIL)) == []


def test_a_public_mailbox_asks_for_a_reason_which_is_recorded(site: Site) -> None:
    browser = site.signed_in(CIVIL)
    fields = {
        "to": "nguoidan@gmail.com",
        "subject": "Trả lời đơn",
        "body": "Kính gửi ông/bà.",
        "files": [(io.BytesIO(b"tra loi"), "Trả lời.txt")],
    }
    asked = browser.post("/compose", fields, content_type="multipart/form-data")
    assert asked.status_code == 422
    assert "R-MAIL-01" in asked.text
    assert "nguoidan@gmail.com là hộp thư công cộng." in asked.text
    assert "căn cứ chưa đối chiếu" in asked.text
    assert 'name="reason"' in asked.text
    assert _sent(site, CIVIL) == 0
    again = _form(asked.text)
    kept = re.findall(r'name="kept" value="([^"]+)"', asked.text)
    assert kept, "the file waits among the drafts"
    sent = browser.post(
        "/compose",
        again
        | {
            "to": "nguoidan@gmail.com",
            "subject": "Trả lời đơn",
            "body": "Kính gửi ông/bà.",
            "kept": kept,
            "reason": "Trả lời công dân",
        },
    )
    assert sent.status_code == 302, sent.text
    assert _sent(site, CIVIL) == 1
    drafts = site.province.store.find_use(site.person(CIVIL).ref, "\\Drafts")
    assert drafts is not None
    assert site.province.store.uid_map(drafts) == [], "the draft is gone once sent"
    assert _recorded_reason(site) == "Trả lời công dân"
    ref = site.province.store.find_use(site.person(CIVIL).ref, "\\Sent")
    assert ref is not None
    row = site.province.store.newest(ref, 1)[0]
    assert b"Content-Disposition: attachment" in site.province.store.content(row.blob)


def test_a_block_is_refused_with_its_rule_and_recorded(site: Site) -> None:
    browser = site.signed_in(CIVIL)
    fields = {"to": OTHER, "subject": "TUYỆT MẬT", "body": "Độ mật: TUYỆT MẬT", "reason": "vẫn gửi"}
    answer = browser.post("/compose", fields)
    assert answer.status_code == 422
    assert "R-CON" in answer.text
    assert "bắt buộc" in answer.text or "giữ lại" in answer.text
    assert "Thư chưa gửi đi" in answer.text
    assert 'value="TUYỆT MẬT"' in answer.text
    assert _sent(site, CIVIL) == 0
    assert "mail.refused" in _kinds(site)
    drafts = site.province.store.find_use(site.person(CIVIL).ref, "\\Drafts")
    assert drafts is not None
    assert site.province.store.uid_map(drafts) == [], "what a rule stops is not stored"


def test_errors_stand_beside_their_field(site: Site) -> None:
    browser = site.signed_in(CIVIL)
    for to, words in (
        ("", "chưa có người nhận"),
        ("khong phai dia chi", "không phải là địa chỉ"),
        ("khongco@vpubnd.camau.example", "Không có hộp thư"),
        ("đườngdê@vidu.example", "có dấu"),
    ):
        answer = browser.post("/compose", {"to": to, "subject": "Giữ lại", "body": "Giữ cả chữ này"})
        assert answer.status_code == 422, to
        assert words in answer.text
        assert 'id="to-error"' in answer.text
        assert "Giữ cả chữ này" in answer.text
    assert _sent(site, CIVIL) == 0


def test_one_writes_only_as_oneself(site: Site) -> None:
    browser = site.signed_in(CIVIL)
    browser.post("/compose", {"from": OTHER, "to": CLERK, "subject": "Mạo danh", "body": "x"})
    assert _received(site, CLERK)["From"].addresses[0].addr_spec == CIVIL


def test_the_clerk_writes_for_the_registry(site: Site) -> None:
    browser = site.signed_in(CLERK)
    registry = site.province.home.registry_address
    assert registry in browser.get("/compose").text
    fields = {"from": registry, "to": CIVIL, "subject": "Từ văn thư", "body": "x"}
    assert browser.post("/compose", fields).status_code == 302
    assert _received(site, CIVIL)["From"].addresses[0].addr_spec == registry
    assert "Từ văn thư" in browser.get("/mail/registry-sent").text
    assert _sent(site, CLERK) == 0


def test_too_large_says_so(site: Site) -> None:
    browser = site.signed_in(CIVIL)
    files = [(io.BytesIO(b"x" * (20 * 1024 * 1024)), "lon.bin")]
    fields = {"to": OTHER, "subject": "Lớn", "body": "x", "files": files}
    answer = browser.post("/compose", fields, content_type="multipart/form-data")
    assert answer.status_code == 422
    assert "lớn hơn 25 MB" in answer.text
    assert "lon.bin" in answer.text


def test_a_draft_can_be_gone_on_with(site: Site) -> None:
    browser = site.signed_in(CIVIL)
    files = [(io.BytesIO(b"nhap"), "nhap.txt")]
    browser.post(
        "/compose",
        {"to": "a@gmail.com", "subject": "Nháp này", "body": "chữ", "files": files},
        content_type="multipart/form-data",
    )
    page = browser.get("/mail/drafts").text
    link = re.search(r'href="(/compose\?draft=\d+)"', page)
    assert link is not None
    again = browser.get(link[1]).text
    assert "Nháp này" in again
    assert "nhap.txt" in again


def test_forged_hidden_values_are_not_found(site: Site) -> None:
    browser = site.signed_in(CIVIL)
    for extra in ({"answered": "reply:../x:1"}, {"kept": "inbox/1"}, {"answered": "all:inbox:999999"}):
        answer = browser.post("/compose", {"to": OTHER, "subject": "x", "body": "x", **extra})
        assert answer.status_code in (404, 422)
    assert json.dumps(_kinds(site)).count("mail.accepted") == 0


@settings(max_examples=40, deadline=None)
@given(
    subject=st.text(max_size=200),
    body=st.text(st.characters(blacklist_categories=["Cs"]), max_size=400),
    name=st.text(max_size=60),
    filename=st.text(min_size=1, max_size=60),
)
def test_nothing_typed_becomes_a_header(subject: str, body: str, name: str, filename: str) -> None:
    """S16: whatever stands in subject, names, file names and types."""
    from webmail.pages.compose.forms import one_line

    content = Content(
        sender=(one_line(name), "a@vpubnd.camau.example"),
        to=[(one_line(name), "b@vpubnd.camau.example")],
        cc=[],
        subject=one_line(subject),
        body=body.replace("\x00", ""),
        files=[Upload(one_line(filename) or "x", "text/html\r\nX-Evil: 1", b"x")],
    )
    data = built(content, "mail.example")
    head = data.partition(b"\r\n\r\n")[0]
    names = {line.partition(b":")[0] for line in head.split(b"\r\n") if not line.startswith((b" ", b"\t"))}
    assert names <= {
        b"Received",
        b"From",
        b"To",
        b"Subject",
        b"Date",
        b"Message-ID",
        b"MIME-Version",
        b"Content-Type",
    }
    assert data.isascii()
    summary = scan(data)
    assert [one.address for one in summary.to] == ["b@vpubnd.camau.example"]


def _recorded_reason(site: Site) -> object:
    """The reason in the newest ledger entry on an accepted letter."""
    site.province.database.write(integrate)
    with site.province.database.reading() as conn:
        (newest, *_) = listing(conn, kind="mail.accepted")
        return disclose(conn, site.province.seal, newest.index).detail["reason"]
