# SPDX-License-Identifier: AGPL-3.0-or-later
"""Several signers, attachments, placing, giving back: through the pages, without a script."""

from __future__ import annotations

import io
import re

import pytest
from pyhanko.pdf_utils.reader import PdfFileReader

from exchange.documents.model import DocumentRef
from exchange.documents.sign import sign
from exchange.documents.work import content, load, take_up
from exchange.signing.key_client import Keys
from exchange.signing.pdf.layout import MM
from tests.exchange.documents.office import draft_pdf
from tests.webmail.documents.conftest import CLERK, DRAFTER, LEADER, RECEIVER, DocumentSite, form

OTHER_LEADER = "lanhdao@sonoivu.camau.example"


def drafted(documents: DocumentSite, who: str = CLERK, **changed: object) -> str:
    """A draft kept through the page; its path."""
    changed = {"do": "draft", "approved": None} | changed
    answer = documents.signed_in(who).post("/documents/new", form(**changed), page="/documents/new")
    assert answer.status_code == 303, answer.text
    return str(answer.headers["Location"])


def ref_of(path: str) -> DocumentRef:
    return DocumentRef(*(int(part) for part in path.rpartition("/")[2].split("-")))


def test_a_joint_document_with_an_attachment_goes_from_page_to_page(documents: DocumentSite) -> None:
    clerk, receiver = documents.signed_in(CLERK), documents.signed_in(RECEIVER)
    answer = clerk.post(
        "/documents/new",
        form(co_signers=OTHER_LEADER, annex=(io.BytesIO(draft_pdf("Danh mục", "Phụ lục")), "phu-luc.pdf")),
        page="/documents/new",
    )
    assert answer.status_code == 303, answer.text
    path = str(answer.headers["Location"])
    shown = clerk.get(path).text
    assert "Chờ cơ quan liên tịch" in shown
    assert "đang chờ" in shown
    assert 'value="go-on"' not in shown
    assert path in receiver.get("/documents?list=outgoing").text
    assert receiver.post(f"{path}/act", {"do": "seal"}).status_code == 303
    assert receiver.post(f"{path}/act", {"do": "seal"}).status_code == 422
    assert "Đã phát hành" in clerk.get(path).text
    documents.carry()
    listed = receiver.get("/documents").text
    assert "Đủ 2 chữ ký" in listed
    (theirs,) = set(re.findall(r'href="/documents/(\d+-\d+)"', listed)) - {path.rpartition("/")[2]}
    text = receiver.get(f"/documents/{theirs}").text
    assert "phu-luc.pdf" in text
    assert "liên tịch" not in text


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"co_signers": LEADER}, "others"),
        ({"initials": DRAFTER}, "others"),
        ({"annex": (io.BytesIO(b"hello"), "x.pdf")}, "pdf"),
    ],
)
def test_what_can_not_be_signed_so_is_said_at_its_field(
    documents: DocumentSite, changed: dict[str, object], field: str
) -> None:
    answer = documents.signed_in(CLERK).post("/documents/new", form(**changed), page="/documents/new")
    assert answer.status_code == 422
    assert f'id="{field}-error"' in answer.text


def test_what_was_placed_is_what_is_prepared(documents: DocumentSite) -> None:
    path = drafted(documents)
    clerk = documents.signed_in(CLERK)
    assert "Đặt vị trí chữ ký" in clerk.get(path).text
    page = clerk.get(f"{path}/places")
    assert page.status_code == 200
    assert page.text.count("data-field=") == 4
    assert clerk.get(f"{path}/places/page/1.png").data.startswith(b"\x89PNG")
    assert clerk.get(f"{path}/places/page/2.png").status_code == 404
    for wrong in ({"so.left": "400"}, {"so.page": "2"}, {"so.top": "nan"}, {"so.top": "x"}):
        answer = clerk.post(f"{path}/places", wrong)
        assert (answer.status_code, "ô nằm ngoài trang" in answer.text) == (422, True), wrong
    moved = {"nguoi_ky.left": "40", "nguoi_ky.top": "200", "so.left": "25.5", "so.top": "50"}
    assert clerk.post(f"{path}/places", moved).status_code == 303
    assert 'value="40.0"' in clerk.get(f"{path}/places").text
    for who, status in ((DRAFTER, 403), (RECEIVER, 403)):
        assert documents.signed_in(who).get(f"{path}/places").status_code == status
    leader = documents.signed_in(LEADER)
    assert leader.post(f"{path}/act", {"do": "approve"}).status_code == 303
    exchange = documents.office.exchange
    work = take_up(exchange, ref_of(path), "test")
    sign(exchange, work)
    _, data = content(exchange, work, "signed")
    reader = PdfFileReader(io.BytesIO(data))
    fields = {
        str(one.get_object()["/T"]): [float(side) for side in one.get_object()["/Rect"]]
        for one in reader.root["/AcroForm"]["/Fields"]
    }
    height = float(reader.root["/Pages"]["/Kids"][0].get_object()["/MediaBox"][3])
    left, _, _, top = fields["nguoi_ky"]
    assert (left, top) == (pytest.approx(40 * MM, abs=1), pytest.approx(height - 200 * MM, abs=1))
    left, _, _, top = fields["so"]
    assert (left, top) == (pytest.approx(25.5 * MM, abs=1), pytest.approx(height - 50 * MM, abs=1))
    assert clerk.get(f"{path}/places").status_code == 400, "signed: nothing moves any more"


def test_back_to_the_suggested_places(documents: DocumentSite) -> None:
    path = drafted(documents)
    clerk = documents.signed_in(CLERK)
    before = re.findall(
        r'name="([a-z_.]+)" type="number"[^>]* value="([0-9.]+)"', clerk.get(f"{path}/places").text
    )
    clerk.post(f"{path}/places", {"co_quan.left": "10", "co_quan.top": "10"})
    clerk.post(f"{path}/places", {"do": "usual"})
    after = re.findall(
        r'name="([a-z_.]+)" type="number"[^>]* value="([0-9.]+)"', clerk.get(f"{path}/places").text
    )
    assert len(before) == 12
    assert after == before


def test_given_back_and_submitted_again(documents: DocumentSite) -> None:
    path = drafted(documents, DRAFTER, do=None)
    leader, drafter = documents.signed_in(LEADER), documents.signed_in(DRAFTER)
    assert "Trả lại" in leader.get(path).text
    assert leader.post(f"{path}/act", {"do": "give-back", "reason": ""}).status_code == 422
    assert drafter.post(f"{path}/act", {"do": "give-back", "reason": "x"}).status_code == 404
    assert leader.post(f"{path}/act", {"do": "give-back", "reason": "Sửa khoản 2"}).status_code == 303
    shown = drafter.get(path).text
    assert "Bị trả lại" in shown
    assert "Sửa khoản 2" in shown
    assert "Tệp PDF đã sửa" in shown
    assert "Given back" in documents.signed_in(DRAFTER, "en").get(path).text
    again = {"do": "submit-again", "pdf": (io.BytesIO(draft_pdf("Đã sửa")), "x.pdf")}
    assert drafter.post(f"{path}/act", again).status_code == 303
    assert load(documents.office.exchange, ref_of(path)).state == "drafted"
    assert "Trình lãnh đạo" not in leader.get(path).text
    assert leader.post(f"{path}/act", {"do": "approve"}).status_code == 303
    assert documents.signed_in(CLERK).post(f"{path}/act", {"do": "go-on"}).status_code == 303


def test_who_initials_sees_it_waiting_and_the_signer_comes_after(documents: DocumentSite) -> None:
    person = documents.office.province.people[DRAFTER]
    Keys(documents.office.exchange.signer).person(
        person.address, person.name, person.title, person.agency_name, "test", approval="file", renew=False
    )
    drafter, leader = documents.signed_in(DRAFTER), documents.signed_in(LEADER)
    assert "/signing" not in drafter.get("/documents").text
    path = drafted(documents, initials=DRAFTER)
    assert "Đọc và ký nháy" in drafter.get("/signing").text
    read = drafter.get(f"/signing/{path.rpartition('/')[2]}")
    assert "Xác nhận ký nháy" in read.text
    assert "Duyệt và ký nháy" in read.text
    large = drafter.get(f"/signing/{path.rpartition('/')[2]}/large").text
    assert "Kính mời các cơ quan dự họp đúng giờ." in large
    early = leader.get(f"/signing/{path.rpartition('/')[2]}")
    assert (early.status_code, "Chưa đến lượt" in early.text) == (400, True)
    for who in (drafter, leader):
        assert who.post(f"{path}/act", {"do": "approve"}).status_code == 303
    assert documents.signed_in(CLERK).post(f"{path}/act", {"do": "go-on"}).status_code == 303
    assert "Ký nháy" in drafter.get(path).text
