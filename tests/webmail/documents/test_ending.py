# SPDX-License-Identifier: AGPL-3.0-or-later
"""R-SIG-21: a certificate that ends within a month, or has ended, is said to its holder and to the operator."""

from __future__ import annotations

from congvan import certificates_check
from tests.exchange.documents.office import ends_in
from tests.webmail.documents.conftest import CLERK, LEADER, DocumentSite


def test_the_holder_and_the_operator_are_told(documents: DocumentSite) -> None:
    leader, settings = documents.signed_in(LEADER), documents.office.exchange.settings
    assert "gia hạn" not in leader.get("/signing").text
    assert certificates_check.look(settings)[0]
    for days, vi in (
        (12, f"Chứng thư ký ({LEADER}) còn 12 ngày"),
        (-3, f"Chứng thư ký ({LEADER}) đã hết hạn"),
    ):
        ends_in(documents.office, LEADER, days)
        assert vi in leader.get("/signing").text
        good, said, english = certificates_check.look(settings)
        assert (good, f"{LEADER} ({days})" in said, "1 end soon" in english) == (False, True, True)
        assert "R-SIG-21" in leader.get("/signing").text


def test_a_revoked_certificate_is_said_too(documents: DocumentSite) -> None:
    exchange = documents.office.exchange
    mine = exchange.trust.certificate_of_person(LEADER)
    assert mine is not None
    exchange.signer.revoke(mine.serial_number, "superseded", "t")
    assert f"Chứng thư ký ({LEADER}) đã bị thu hồi" in documents.signed_in(LEADER).get("/signing").text
    assert LEADER in certificates_check.look(exchange.settings)[1]


def test_the_clerk_is_told_of_the_seal(documents: DocumentSite) -> None:
    exchange, clerk = documents.office.exchange, documents.signed_in(CLERK)
    seal = exchange.trust.signing_certificate_of_agency("H12.01")
    assert seal is not None
    assert "R-SIG-21" not in clerk.get("/documents/new").text
    exchange.signer.revoke(seal.serial_number, "superseded", "t")
    told = clerk.get("/documents/new").text
    assert f"Chứng thư ký ({documents.office.home.name}) đã bị thu hồi" in told
    assert "R-SIG-21" in told
