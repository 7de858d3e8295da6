# SPDX-License-Identifier: AGPL-3.0-or-later
"""Signed and encrypted letters on the pages: signed by the agency on sending, judged and opened on reading."""

from __future__ import annotations

import re

from exchange.documents.packing import signing_chain
from exchange.sealing.secure_mail import encrypt_mail
from mailserver.store import Ref
from tests.webmail.conftest import Site
from tests.webmail.documents.conftest import CLERK, DocumentSite

OTHER_CLERK = "vt1@sonoivu.camau.example"


def _registry(site: Site, address: str) -> tuple[str, Ref]:
    agency = site.parts.accounts.agency(site.person(address).agency_code)
    registry = site.parts.accounts.by_address(agency.registry_address)
    box = site.province.store.find(registry.ref, "INBOX")
    assert box is not None
    return agency.registry_address, box


def _newest(site: Site, box: Ref) -> int:
    return max(row.uid for row in site.province.store.rows(box, 1, 1 << 31))


def test_the_registry_signs_and_the_reader_sees_it(documents: DocumentSite) -> None:
    sender, _ = _registry(documents, CLERK)
    receiver, box = _registry(documents, OTHER_CLERK)
    browser = documents.signed_in(CLERK)
    fields = {"from": sender, "to": receiver, "subject": "Họp giao ban", "body": "Kính gửi.", "sign": "1"}
    answer = browser.post("/compose", fields, page="/compose")
    assert answer.status_code == 302, answer.text
    reader = documents.signed_in(OTHER_CLERK)
    page = reader.get(f"/mail/registry/{_newest(documents, box)}").text
    assert "Chữ ký số: Hợp lệ" in page
    assert "smime.p7s" not in page
    assert "Kính gửi." in page


def test_an_encrypted_letter_is_opened_for_the_clerk(documents: DocumentSite) -> None:
    sender, _ = _registry(documents, CLERK)
    receiver, box = _registry(documents, OTHER_CLERK)
    exchange = documents.parts.exchange
    code = documents.person(CLERK).agency_code
    to = exchange.trust.encryption_certificate_of_agency(documents.person(OTHER_CLERK).agency_code)
    mail = (
        f"From: {sender}\r\nTo: {receiver}\r\nSubject: Tối mật\r\n".encode()
        .replace("ố".encode(), b"o")
        .replace("ậ".encode(), b"a")
        + b"Date: Sat, 28 Nov 2026 08:00:00 +0700\r\nMessage-ID: <9@a.example>\r\nMIME-Version: 1.0\r\n"
        + b"Content-Type: text/html; charset=us-ascii\r\n\r\n<p>Within the letter</p>\r\n"
    )
    sealed = encrypt_mail(
        mail,
        [to],
        signing_chain(exchange, code),
        lambda attributes: exchange.signer.sign_packet(code, attributes).signature,
    )
    uid = documents.bridge.wait(documents.province.store.append(box, sealed, 0, 1_700_000_000_000_000))
    reader = documents.signed_in(OTHER_CLERK)
    page = reader.get(f"/mail/registry/{uid}").text
    assert "Chữ ký số: Hợp lệ" in page
    assert "mở bằng khóa của cơ quan" in page
    assert re.search(r"<h1[^>]*>Toi mat", page)
    assert "Within the letter" in reader.get(f"/mail/registry/{uid}/body").text
    damaged = sealed[:-200] + b"AAAA" + sealed[-196:]
    uid = documents.bridge.wait(documents.province.store.append(box, damaged, 0, 1_700_000_000_000_000))
    page = reader.get(f"/mail/registry/{uid}").text
    assert "Within the letter" not in page + reader.get(f"/mail/registry/{uid}/body").text
    assert "Hợp lệ" not in page
