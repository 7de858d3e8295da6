# SPDX-License-Identifier: AGPL-3.0-or-later
"""The audit pages and the public look-up over a document that was really issued."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.ocsp import OCSPRequestBuilder

from exchange.documents import finding
from exchange.documents.opening import open_for
from exchange.trust.anchors import read_crls
from exchange.trust.ocsp import ocsp_status, read_response
from exchange.trust.revocation import Status, status_of
from tests.webmail.conftest import Browser
from tests.webmail.documents.conftest import AUDITOR, CLERK, DRAFTER, RECEIVER, DocumentSite
from tests.webmail.documents.test_pages import issue
from webmail.app import PUBLIC_ROOMS, create_app


def test_an_auditor_finds_proves_and_is_recorded(documents: DocumentSite) -> None:
    ref = issue(documents)
    documents.carry()
    auditor = documents.signed_in(AUDITOR)
    newest = auditor.get("/audit").text
    assert "Mọi lượt xem đều được ghi" in newest
    found = auditor.get("/audit?q=01/TB-VP").text
    assert "Gửi các nơi nhận" in found
    assert "Lấy số" in found
    by_id = auditor.get(f"/audit?q={ref}").text
    index = int(re.search(r"/audit/entry/(\d+)", by_id)[1])  # type: ignore[index]
    entry = auditor.get(f"/audit/entry/{index}")
    assert "chưa từng bị sửa" in entry.text
    assert '<svg class="chart chart--path"' in entry.text
    assert f"congvan audit prove {index}" in entry.text
    proof = json.loads(auditor.get(f"/audit/entry/{index}/proof.json").data)
    assert proof["index"] == index
    documents.carry()
    looks = auditor.get("/audit?kind=audit.").text
    assert looks.count("Xem một mục nhật ký") >= 2
    assert auditor.get(f"/audit?q={index}").headers["Location"].endswith(f"/audit/entry/{index}")
    assert auditor.get("/audit/entry/99999").status_code == 404
    assert "Không thấy" in auditor.get("/audit?q=99/XX-YY").text

    log = auditor.get("/audit/log").text
    assert "Kiểm toàn bộ nhật ký" in log
    checked = auditor.post("/audit/log", {})
    assert "Nhật ký nguyên vẹn" in checked.text
    bundle = next(
        one
        for one in (documents.office.folder / "data/ledger").rglob("*")
        if "entries" in str(one) and one.is_file()
    )
    bundle.chmod(0o600)
    whole = bundle.read_bytes()
    bundle.write_bytes(whole.replace(b"congvan-entry/1", b"congvan-entry/2", 1))
    assert "Nhật ký không nguyên vẹn" in auditor.post("/audit/log", {}).text
    bundle.write_bytes(whole)

    clerk = documents.signed_in(CLERK)
    assert clerk.get("/audit").status_code == 403
    own = re.search(r"/audit/entry/(\d+)", clerk.get(f"/documents/{ref}").text)
    assert own is not None
    assert "chưa từng bị sửa" in clerk.get(f"/audit/entry/{own[1]}").text
    for address in (RECEIVER, DRAFTER):
        assert documents.signed_in(address).get(f"/audit/entry/{own[1]}").status_code == 403
    assert auditor.get("/documents").status_code == 403
    assert "01/TB-VP" in auditor.get("/registers?agency=H12.01").text
    assert documents.signed_in(AUDITOR, "en").get("/audit").status_code == 200


def test_anybody_checks_a_document(documents: DocumentSite) -> None:
    ref = issue(documents, subject="Về việc kiểm tra công khai")
    clerk = documents.signed_in(CLERK)
    page = clerk.get(f"/documents/{ref}").text
    link = re.search(r'href="(/verify/[^"]+)"', page)
    assert link is not None, page
    exchange = documents.office.exchange
    document = finding.find(exchange, ref)
    person = documents.person(CLERK)
    pdf = open_for(exchange, document.ref, person)[0].data

    public = create_app(documents.parts, documents.bridge, PUBLIC_ROOMS)
    for app in (documents.app, public):
        visitor = Browser(app.test_client())
        shown = visitor.get(link[1])
        assert shown.status_code == 200
        assert "Văn bản thật, đang có hiệu lực" in shown.text
        assert "01/TB-VP" in shown.text
        assert "Kính mời" not in shown.text
        wrong = visitor.get("/verify/AAAAAAAAAAAAAAAAAAAA")
        assert (wrong.status_code, "Không có văn bản nào mang mã này" in wrong.text) == (404, True)
        assert visitor.get("/verify").status_code == 200
        code = link[1].rpartition("/")[2]
        assert visitor.get(f"/verify?code={code}").headers["Location"].endswith(link[1])

        def compared(data: bytes, code: str = "", visitor: Browser = visitor) -> str:
            fields = {"code": code, "file": (io.BytesIO(data), "van-ban.pdf")}
            return visitor.post("/verify", fields, page="/verify").text

        assert "Văn bản thật, đang có hiệu lực" in compared(pdf, code)
        alone = compared(pdf)
        assert "Tệp có đủ chữ ký số hợp lệ" in alone
        assert "đang có hiệu lực" not in alone, "only the code says so"
        altered = pdf + b"\n% added\n"
        assert "Tệp này đã bị sửa sau khi ký" in compared(altered, code)
        assert "Tệp này đã bị sửa sau khi ký" in compared(altered)
        assert "Không xác nhận được" in compared(b"hello")
    assert Browser(public.test_client()).get("/").headers["Location"].endswith("/verify")
    assert Browser(public.test_client()).get("/mail/inbox").status_code == 404
    assert "Check another document" in Browser(public.test_client(), "en").get("/documents").text


def test_our_authority_answers_ocsp_and_gives_its_lists(documents: DocumentSite) -> None:
    exchange = documents.parts.exchange
    certificate = exchange.trust.signing_certificate_of_agency("H12.01")
    issuer = exchange.trust.issuing_certificate()
    asked = OCSPRequestBuilder().add_certificate(certificate, issuer, SHA256()).build()
    body, kind = asked.public_bytes(Encoding.DER), "application/ocsp-request"
    visitor = documents.app.test_client()
    now = datetime.now(UTC) + timedelta(seconds=1)

    def word() -> Status:
        answer = visitor.post("/ocsp", data=body, content_type=kind, base_url="https://localhost")
        assert answer.status_code == 200, answer.text
        return ocsp_status(certificate, issuer, [read_response(answer.data)], now)

    assert word() is Status.GOOD
    exchange.signer.revoke(certificate.serial_number, "keyCompromise", "test")
    assert word() is Status.REVOKED
    listed = visitor.get("/crl/issuing.crl", base_url="https://localhost")
    assert status_of(certificate, issuer, read_crls(listed.data), now) is Status.REVOKED
    for path in ("/crl/other.crl", "/crl/..%2Fca.crl"):
        assert visitor.get(path, base_url="https://localhost").status_code == 404
    wrong = visitor.post("/ocsp", data=body, content_type="text/plain", base_url="https://localhost")
    assert wrong.status_code == 404
