# SPDX-License-Identifier: AGPL-3.0-or-later
"""Documents through the pages: issue, receive, refuse, draft and approve, rights, refusals at their field."""

from __future__ import annotations

import re

import pytest
from cryptography.hazmat.primitives.hashes import SHA256

from config.refusal import Unavailable
from exchange.verifying.file import verify_file
from tests.webmail.documents.conftest import (
    AUDITOR,
    CLERK,
    DRAFTER,
    LEADER,
    RECEIVER,
    DocumentSite,
    form,
)


def issue(documents: DocumentSite, **changed: object) -> str:
    """Issue through the page; the id of the document."""
    answer = documents.signed_in(CLERK).post("/documents/new", form(**changed), page="/documents/new")
    assert answer.status_code == 303, answer.text
    return str(answer.headers["Location"]).rpartition("/")[2]


def test_issued_received_and_seen_by_both(documents: DocumentSite) -> None:
    clerk = documents.signed_in(CLERK)
    assert "Chưa có văn bản đến" in clerk.get("/documents").text
    assert "Bản thử: duyệt bằng tệp" in clerk.get("/documents/new").text
    ref = issue(documents)
    again = clerk.post("/documents/new", form(), page="/documents/new")
    assert again.headers["Location"].endswith(f"/documents/{ref}"), "one form is one document"
    documents.carry()

    mine = clerk.get(f"/documents/{ref}").text
    assert "01/TB-VP" in mine
    assert "Chữ ký: hợp lệ, đủ giá trị như bản giấy" in mine
    assert "Khai báo: clerk VP khai người ký đã duyệt" in mine
    assert "Đã đến" in mine
    assert "chứng thực" in mine
    assert "0/1" in clerk.get("/documents?list=outgoing").text
    assert "01/TB-VP" in clerk.get("/documents?list=outgoing&q=hop+giao+ban").text
    assert "Không thấy" in clerk.get("/documents?q=khong+co").text

    receiver = documents.signed_in(RECEIVER)
    listed = receiver.get("/documents").text
    assert "Đủ 2 chữ ký" in listed
    (theirs,) = set(re.findall(r'href="/documents/(\d+-\d+)"', listed))
    shown = receiver.get(f"/documents/{theirs}")
    assert "Tiếp nhận" in shown.text
    assert "Kết luận khi nhận: Hợp lệ" in shown.text
    assert "Kiểm tra lại:" not in shown.text
    assert receiver.post(f"/documents/{theirs}/judge", {}).status_code == 303
    beside = receiver.get(f"/documents/{theirs}").text
    assert "Kết luận khi nhận: Hợp lệ" in beside
    assert "Kiểm tra lại: Hợp lệ" in beside
    report = receiver.get(f"/documents/{theirs}/report/1")
    anchors = documents.parts.exchange.trust.anchors()
    verdict = verify_file(report.data, "01.report.json", anchors=anchors)
    assert (verdict.kind, verdict.verdict, verdict.official) == ("report", "TOTAL-PASSED", True)
    assert receiver.get(f"/documents/{theirs}/report/3").status_code == 404
    assert clerk.post(f"/documents/{theirs}/judge", {}).status_code == 403
    letter = receiver.get("/mail/registry/1").text
    assert "Gói tin văn bản: Hợp lệ" in letter
    assert f'href="/documents/{theirs}"' in letter
    file = re.search(rf'src="(/documents/{theirs}/file/\d+)', shown.text)
    assert file is not None
    pdf = receiver.get(file[1])
    assert pdf.data.startswith(b"%PDF-")
    assert "frame-ancestors 'self'" in pdf.headers["Content-Security-Policy"]
    assert pdf.headers["Content-Disposition"].startswith("inline")
    assert receiver.get(f"{file[1]}?save=1").headers["Content-Disposition"].startswith("attachment")

    empty = receiver.post(f"/documents/{theirs}/act", {"do": "refuse", "reason": " "})
    assert (empty.status_code, "Chưa có lý do" in empty.text) == (422, True)
    accepted = receiver.post(f"/documents/{theirs}/act", {"do": "accept"})
    assert accepted.status_code == 303
    after = receiver.get(f"/documents/{theirs}").text
    assert "Số đến 01" in after
    assert after.count("Mở xem") == 1, "looking again within ten minutes is one opening"
    twice = receiver.post(f"/documents/{theirs}/act", {"do": "accept"})
    assert (twice.status_code, "Đã tiếp nhận” nên không làm được" in twice.text) == (422, True)
    assert receiver.post(f"/documents/{theirs}/act", {"do": "go-on"}).status_code == 404
    assert receiver.post(f"/documents/{theirs}/act", {"do": "approve"}).status_code == 404

    documents.carry()
    assert "Nơi nhận: 1 trên 1 đã tiếp nhận" in clerk.get(f"/documents/{ref}").text
    assert "Nhận đủ" in clerk.get("/documents?list=outgoing").text
    evidence = clerk.get(f"/documents/{ref}/evidence")
    assert evidence.data.startswith(b"PK")
    english = documents.signed_in(CLERK, "en").get(f"/documents/{ref}").text
    assert "Recipients: 1 of 1 received" in english

    incoming = receiver.get("/registers?register=incoming").text
    assert "01/TB-VP" in incoming
    assert "Ký nhận" in incoming
    outgoing = clerk.get("/registers?register=outgoing").text
    assert "Đã phát hành" in outgoing
    table = clerk.get("/registers/export?register=outgoing&format=csv")
    assert "01/TB-VP" in table.data.decode("utf-8-sig")
    assert documents.signed_in(DRAFTER).get("/registers").status_code == 403


def test_refused_comes_first_with_its_reason(documents: DocumentSite) -> None:
    ref = issue(documents)
    documents.carry()
    receiver = documents.signed_in(RECEIVER)
    (theirs,) = set(re.findall(r'href="/documents/(\d+-\d+)"', receiver.get("/documents").text))
    done = receiver.post(f"/documents/{theirs}/act", {"do": "refuse", "reason": "Gửi nhầm nơi nhận"})
    assert done.status_code == 303
    documents.carry()
    issue(documents, mark="fedcba9876543210", subject="Về việc khác")
    clerk = documents.signed_in(CLERK)
    listed = clerk.get("/documents?list=outgoing").text
    assert listed.index("1 nơi từ chối") < listed.index("Về việc khác")
    assert "Gửi nhầm nơi nhận" in clerk.get(f"/documents/{ref}").text
    trouble = clerk.get("/documents?list=outgoing&show=trouble").text
    assert "02/TB-VP" not in trouble


def test_a_refusal_stands_at_its_field(documents: DocumentSite) -> None:
    clerk = documents.signed_in(CLERK)

    def pressed(**changed: object) -> str:
        answer = clerk.post("/documents/new", form(**changed), page="/documents/new")
        assert answer.status_code == 422, answer.headers.get("Location")
        return answer.text

    for name, changed in (
        ("subject", {"subject": ""}),
        ("to", {"to": []}),
        ("approved", {"approved": ""}),
        ("pdf", {"pdf": None}),
        ("unit", {"kind": "Công văn", "unit": "a/b"}),
    ):
        text = pressed(**changed)
        assert f'id="{name}-error"' in text, name
        assert "chưa lấy số" in text
    secret = pressed(text="TUYỆT MẬT. Nội dung.", pdf=None, subject="Tài liệu tuyệt mật")
    assert "R-CON-" in secret
    assert 'id="pdf-error"' in secret
    broken = pressed(pdf=(__import__("io").BytesIO(b"hello"), "x.pdf"))
    assert 'id="pdf-error"' in broken
    assert "Chọn lại: x.pdf" in broken
    kept = clerk.post("/documents/new", form(do="filter", filter="so noi vu", to=[]), page="/documents/new")
    assert kept.status_code == 200
    assert "Về việc họp giao ban" in kept.text
    assert "Chưa có văn bản đi" in clerk.get("/documents?list=outgoing").text


def test_drafted_approved_and_issued_by_three_people(documents: DocumentSite) -> None:
    drafter = documents.signed_in(DRAFTER)
    made = drafter.post(
        "/documents/new",
        form(pdf=None, text="Kính mời các cơ quan dự họp.\nTrân trọng.", approved=None),
        page="/documents/new",
    )
    assert made.status_code == 303, made.text
    path = made.headers["Location"]
    assert "Đang chờ" in drafter.get(path).text
    assert "Về việc họp giao ban" in drafter.get("/documents").text
    leader = documents.signed_in(LEADER)
    assert "Duyệt và ký" in leader.get(path).text
    assert leader.post(f"{path}/act", {"do": "approve"}).status_code == 303
    clerk = documents.signed_in(CLERK)
    assert "Lấy số, đóng dấu và gửi" in clerk.get(path).text
    assert clerk.post(f"{path}/act", {"do": "go-on"}).status_code == 303
    assert "01/TB-VP" in clerk.get(path).text


def test_what_stops_midway_is_shown_and_goes_on(
    documents: DocumentSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_signer(*_: object, **__: object) -> None:
        raise Unavailable("signer-down", "Máy ký chưa trả lời.", "The signer does not answer.")

    clerk = documents.signed_in(CLERK)
    with monkeypatch.context() as stopped:
        stopped.setattr("exchange.documents.issue.seal_as_agency", no_signer)
        answer = clerk.post("/documents/new", form(), page="/documents/new")
    assert answer.status_code == 503
    assert "Máy ký chưa trả lời" in answer.text
    assert "Chờ đóng dấu" in answer.text
    found = re.search(r'action="(/documents/[0-9-]+/act)"', answer.text)
    assert found is not None
    assert clerk.post(found[1], {"do": "go-on"}).status_code == 303
    assert "01/TB-VP" in clerk.get("/documents?list=outgoing&show=sent").text


@pytest.mark.parametrize("address", ["cv2@vpubnd.camau.example", RECEIVER, AUDITOR])
def test_others_do_not_open_it(documents: DocumentSite, address: str) -> None:
    ref = issue(documents)
    browser = documents.signed_in(address)
    for path in (f"/documents/{ref}", f"/documents/{ref}/file/1", f"/documents/{ref}/evidence"):
        assert browser.get(path).status_code == 403
    assert browser.post(f"/documents/{ref}/act", {"do": "void", "reason": "x"}).status_code == 403
    assert browser.get("/documents/9-9").status_code == 404
    assert browser.get("/documents/x").status_code == 404


def test_an_unpinned_seal_is_held_and_opened_again(documents: DocumentSite) -> None:
    exchange = documents.parts.exchange
    receiver = documents.signed_in(RECEIVER)
    other = exchange.trust.signing_certificate_of_agency("H12.02").fingerprint(SHA256()).hex()
    pins = exchange.trust.path / "pins.toml"
    pins.write_text(f'[[pin]]\ncode = "H12.01"\nsha256 = "{other}"\n')
    issue(documents)
    documents.carry()
    (held,) = set(re.findall(r'href="/documents/(\d+-\d+)"', receiver.get("/documents").text))
    shown = receiver.get(f"/documents/{held}").text
    assert "congvan agency pin add" in shown
    assert "Mở lại gói tin" in shown
    letter = receiver.get("/mail/registry/1").text
    assert "Gói tin văn bản: Chưa kết luận được" in letter
    assert "congvan agency pin add" in letter
    again = receiver.post(f"/documents/{held}/reopen", {})
    assert again.status_code == 422
    assert "chưa được thông báo trước" in again.text
    pins.unlink()
    opened = receiver.post(f"/documents/{held}/reopen", {})
    assert opened.status_code == 303
    assert "Kết luận khi nhận: Hợp lệ" in receiver.get(opened.headers["Location"]).text
    assert "Gói tin văn bản: Hợp lệ" in receiver.get("/mail/registry/1").text


@pytest.mark.parametrize("language", ["vi", "en"])
def test_every_page_opens_in_both_languages(documents: DocumentSite, language: str) -> None:
    """With something on it: counts choose their words."""
    ref = issue(documents)
    documents.carry()
    for who, paths in {
        CLERK: (
            *("/documents", "/documents?list=outgoing", "/documents/new", f"/documents/{ref}", "/registers"),
            *("/mail/inbox", "/mail/registry", "/compose", "/scheduled", "/me", "/me/devices", "/me/filters"),
        ),
        LEADER: ("/signing", "/documents", "/me/away"),
        DRAFTER: ("/documents", "/documents/new", "/mail/inbox?q=hop"),
        AUDITOR: ("/audit", "/audit?q=TB", "/audit/entry/1", "/audit/log", "/registers"),
    }.items():
        browser = documents.signed_in(who, language)
        for path in paths:
            answer = browser.get(path)
            assert answer.status_code == 200, (who, path, answer.text)
