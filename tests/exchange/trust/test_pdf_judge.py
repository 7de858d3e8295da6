# SPDX-License-Identifier: AGPL-3.0-or-later
"""The verdict on PDF files: good ones, every kind of tampering, and signatures out of order."""

from __future__ import annotations

import io
import json
import random
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.writer import copy_into_new_writer

from exchange.signing.pdf.layout import ORGANISATION, PERSON
from exchange.trust import authority as ca
from exchange.trust.anchors import Anchors
from exchange.trust.pdf_judge import judge_pdf
from exchange.trust.verdict import FAILED, INDETERMINATE, PASSED, UNREADABLE, UNSIGNED, Verdict
from tests.exchange.signing.house import DIRECTOR, HOME, LEADER, OFFICE, House, build, running

PERSON_KEY = f"person:{LEADER.address}"
SEAL_KEY = f"agency-sign:{OFFICE.code}"


def updated(data: bytes, change: Any) -> bytes:
    """``data`` with an incremental update."""
    writer = IncrementalPdfFileWriter(io.BytesIO(data), strict=False)
    change(writer)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def set_field(name: str, value: str) -> Any:
    def change(writer: Any) -> None:
        for reference in writer.root["/AcroForm"]["/Fields"]:
            field = reference.get_object()
            if field["/T"] == name:
                field[pdf_name("/V")] = generic.TextStringObject(value)
                writer.update_container(field)

    return change


def add_to_page(writer: Any) -> None:
    page = writer.find_page_for_modification(0)[0].get_object()
    extra = writer.add_object(generic.StreamObject(stream_data=b"0 0 100 100 re f"))
    page[pdf_name("/Contents")] = generic.ArrayObject([page.raw_get("/Contents"), extra])
    writer.update_container(page)


def seal_of(verdict: Verdict) -> Any:
    return next(one for one in verdict.signatures if one.role == "organisation")


def test_an_issued_document_is_official(house: House, issued: bytes) -> None:
    verdict = judge_pdf(issued, house.anchors(), require_revocation=True)
    assert verdict.verdict == PASSED, verdict
    assert verdict.official
    person, seal, *stamps = verdict.signatures
    assert (person.role, person.organisation, person.revocation) == ("person", OFFICE.name, "good")
    assert (seal.role, seal.signer, seal.revocation) == ("organisation", OFFICE.name, "good")
    assert (person.covers_whole_file, seal.covers_whole_file) == (False, True)
    assert not person.changed_after
    assert not seal.changed_after
    assert [one.role for one in stamps] == ["timestamp", "timestamp"]
    assert abs(datetime.fromisoformat(seal.time) - datetime.now(UTC)) < timedelta(minutes=10)
    assert "demo keys" in verdict.reason
    json.dumps(verdict.as_json())


def test_a_persons_signature_alone_is_valid_and_not_official(house: House) -> None:
    signed = house.person_signs(house.prepared()).data
    for data in (signed, house.numbered(signed)):
        verdict = judge_pdf(data, house.anchors())
        assert (verdict.verdict, verdict.official) == (PASSED, False)
        assert verdict.signatures[0].revocation == "not-checked"
    assert judge_pdf(signed, house.anchors(), require_revocation=True).verdict == INDETERMINATE
    assert judge_pdf(signed, house.anchors(crls=True), require_revocation=True).verdict == PASSED


def test_unsigned_and_unreadable(house: House, issued: bytes) -> None:
    assert judge_pdf(house.prepared(), house.anchors()).verdict == UNSIGNED
    for data in (b"", b"hello", b"%PDF-1.7", issued[: len(issued) // 3]):
        verdict = judge_pdf(data, house.anchors())
        assert verdict.verdict == UNREADABLE
        assert verdict.signatures == ()
    writer = copy_into_new_writer(PdfFileReader(io.BytesIO(house.prepared())))
    writer.encrypt("x", "x")
    out = io.BytesIO()
    writer.write(out)
    verdict = judge_pdf(out.getvalue(), house.anchors())
    assert (verdict.verdict, verdict.encryption) == (UNREADABLE, "failed")


def test_without_trust_it_is_open(house: House, issued: bytes) -> None:
    verdict = judge_pdf(issued, Anchors())
    assert verdict.verdict == INDETERMINATE
    assert seal_of(verdict).sub_indication == "NO_CERTIFICATE_CHAIN_FOUND"
    other = Anchors((ca.make_root("Other", "Tỉnh").certificate,))
    assert judge_pdf(issued, other).verdict == INDETERMINATE


@pytest.mark.parametrize(
    "tail", [b"\n", b"%", b" " * 20, b"junk", b"\nstartxref\n0\n%%EOF\n", b"\x00", b"\n%%EOF\n"]
)
def test_bytes_after_the_seal(house: House, issued: bytes, tail: bytes) -> None:
    verdict = judge_pdf(issued + tail, house.anchors())
    assert verdict.verdict == FAILED, tail
    seal = seal_of(verdict)
    assert (seal.sub_indication, seal.covers_whole_file, seal.changed_after) == (
        "CHANGED_AFTER_SEAL",
        False,
        True,
    )


@pytest.mark.parametrize(
    "change",
    [set_field("so", "Số: 99/QĐ-VP"), set_field("ngay", "Cà Mau, ngày 01 tháng 4 năm 2027"), add_to_page],
    ids=["number", "date", "page"],
)
def test_updates_after_the_seal(house: House, issued: bytes, change: Any) -> None:
    verdict = judge_pdf(updated(issued, change), house.anchors())
    assert verdict.verdict == FAILED
    assert not verdict.official
    assert seal_of(verdict).sub_indication == verdict.sub_indication == "CHANGED_AFTER_SEAL"


def test_an_update_that_hides_the_signatures(house: House, issued: bytes) -> None:
    def without_form(writer: Any) -> None:
        writer.root[pdf_name("/AcroForm")] = generic.DictionaryObject(
            {pdf_name("/Fields"): generic.ArrayObject()}
        )
        writer.update_root()

    verdict = judge_pdf(updated(issued, without_form), house.anchors())
    assert (verdict.verdict, verdict.sub_indication) == (FAILED, "CHANGED_AFTER_SEAL")
    assert not verdict.official


def test_even_validation_data_after_the_seal(house: House, issued: bytes) -> None:
    from exchange.signing.pdf.validation_data import add_validation_data

    more = add_validation_data(issued, [ca.make_root("Other", "Tỉnh").certificate], [])
    assert seal_of(judge_pdf(more, house.anchors())).sub_indication == "CHANGED_AFTER_SEAL"


@pytest.mark.parametrize("change", [add_to_page], ids=["page"])
def test_updates_between_person_and_seal(house: House, change: Any) -> None:
    signed = house.person_signs(house.prepared()).data
    sealed = house.seals(house.numbered(updated(signed, change)), signed).data
    verdict = judge_pdf(sealed, house.anchors())
    assert verdict.verdict == FAILED
    person = verdict.signatures[0]
    assert (person.sub_indication, person.changed_after) == ("ILLEGAL_CHANGES", True)
    assert not verdict.official


def test_page_changed_after_a_person_signed_alone(house: House) -> None:
    signed = house.person_signs(house.prepared()).data
    for data in (updated(signed, add_to_page), signed + b"junk", signed + b"\nstartxref\n0\n%%EOF\n"):
        verdict = judge_pdf(data, house.anchors())
        assert verdict.verdict == FAILED
        assert verdict.signatures[0].sub_indication == "ILLEGAL_CHANGES"


def test_body_bytes(house: House, issued: bytes) -> None:
    reader = PdfFileReader(io.BytesIO(issued))
    one, two = reader.embedded_signatures
    inside = int(one.byte_range[1]) // 2  # covered by both
    between = int(two.byte_range[1]) - 400  # covered by the seal only
    for place, broken in ((inside, 2), (between, 1)):
        data = bytearray(issued)
        data[place] ^= 0x01
        verdict = judge_pdf(bytes(data), house.anchors())
        assert verdict.verdict in (FAILED, UNREADABLE)
        if verdict.verdict == FAILED:
            hashes = [s for s in verdict.signatures if s.sub_indication == "HASH_FAILURE"]
            assert len(hashes) == broken


def test_no_flipped_digit_of_the_signature_goes_unseen(house: House, issued: bytes) -> None:
    reader = PdfFileReader(io.BytesIO(issued))
    places: list[int] = []
    chance = random.Random(26)
    for one in reader.embedded_signatures:
        first, start = int(one.byte_range[1]), int(one.byte_range[2])
        size = 2 * len(one.pkcs7_content.rstrip(b"\0"))
        places += [first, start - 1, start - 2, first + 6]
        places += chance.sample(range(first + 1, first + 1 + size), 15)
    for place in places:
        data = bytearray(issued)
        data[place] = ord("0") if data[place] != ord("0") else ord("F")
        assert judge_pdf(bytes(data), house.anchors()).verdict != PASSED, place


def test_an_organisation_without_a_person(house: House) -> None:
    certificate = house.directory.signing_certificate_of_agency(OFFICE.code)
    sealed = house.signed_locally(house.prepared(), ORGANISATION, SEAL_KEY, certificate)
    verdict = judge_pdf(sealed, house.anchors())
    assert (verdict.verdict, verdict.official) == (FAILED, False)
    assert seal_of(verdict).sub_indication == verdict.sub_indication == "NO_PERSON_SIGNATURE"


def test_an_organisation_before_the_person(house: House) -> None:
    seal = house.directory.signing_certificate_of_agency(OFFICE.code)
    first = house.signed_locally(house.prepared(), PERSON, SEAL_KEY, seal)
    person = house.directory.certificate_of_person(LEADER.address)
    both = house.signed_locally(first, ORGANISATION, PERSON_KEY, person)
    verdict = judge_pdf(both, house.anchors())
    assert verdict.verdict == FAILED
    assert seal_of(verdict).sub_indication == "ORDER_OF_SIGNATURES"
    assert [one.role for one in verdict.signatures[:2]] == ["organisation", "person"]


def test_the_seal_of_another_agency(house: House) -> None:
    signed = house.person_signs(house.prepared()).data
    sealed = house.seals(house.with_data(house.numbered(signed)), signed, code=HOME.code).data
    verdict = judge_pdf(sealed, house.anchors())
    assert verdict.verdict == FAILED
    assert seal_of(verdict).sub_indication == "SEAL_OF_OTHER_AGENCY"


def test_a_stamp_of_nobody_known_proves_no_time(house: House) -> None:
    signed = house.person_signs(house.prepared()).data
    root, issuing = house.anchors().roots[0], house.directory.issuing_certificate()
    assert issuing is not None
    person = house.directory.certificate_of_person(LEADER.address)
    assert person is not None
    verdict = judge_pdf(signed, Anchors((person,)))  # the person is trusted, the authority is not
    assert verdict.verdict == INDETERMINATE
    assert verdict.signatures[0].sub_indication in ("TIMESTAMP_INVALID", "NO_CERTIFICATE_CHAIN_FOUND")
    assert root not in (issuing, person)


def test_years_later_it_is_judged_as_of_its_day(house: House, issued: bytes) -> None:
    later = datetime.now(UTC) + timedelta(days=365 * 4)
    verdict = judge_pdf(issued, house.anchors(), require_revocation=True, at=later)
    assert (verdict.verdict, verdict.official) == (PASSED, True)


@pytest.fixture(scope="module")
def revoking() -> Iterator[House]:
    """A house of its own, whose certificates get revoked."""
    with tempfile.TemporaryDirectory(prefix="cvrv") as folder, running(build(Path(folder))) as made:
        yield made


def test_revoked_after_and_before_signing(revoking: House) -> None:
    house = revoking
    before = house.issued()
    certificate = house.directory.certificate_of_person(LEADER.address)
    assert certificate is not None
    moment = datetime.now(UTC)
    entry = ca.Revoked(certificate.serial_number, moment.replace(microsecond=0) + timedelta(seconds=60))
    issuing_key, _ = house.store.elliptic("ca-issuing")
    issuing = house.directory.issuing_certificate()
    assert issuing is not None
    authority = ca.Authority(issuing_key, issuing)
    later = house.anchors().adding(crls=[ca.make_crl(authority, 9, [entry], moment + timedelta(hours=1))])
    assert judge_pdf(before, later).official  # revoked after it signed

    house.client.revoke(certificate.serial_number, "keyCompromise", "can-bo@x.example")
    after = house.person_signs(house.prepared()).data
    verdict = judge_pdf(after, house.anchors(crls=True))
    assert verdict.verdict == FAILED
    assert (verdict.signatures[0].sub_indication, verdict.signatures[0].revocation) == ("REVOKED", "revoked")
    # the list inside the file alone is enough
    sealed = house.seals(house.with_data(house.numbered(after)), after).data
    verdict = judge_pdf(sealed, house.anchors())
    assert (verdict.verdict, verdict.sub_indication) == (FAILED, "REVOKED")


def test_revoked_and_no_time_stamp(revoking: House) -> None:
    house = revoking
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    from exchange.signing.pdf.sign import begin, finish

    certificate = house.directory.certificate_of_person(DIRECTOR.address)
    issuing = house.directory.issuing_certificate()
    assert certificate is not None
    assert issuing is not None
    begun = begin(house.prepared(), PERSON, certificate, [issuing])
    key, _ = house.store.elliptic(f"person:{DIRECTOR.address}")
    data, _ = finish(begun, key.sign(begun.signed_attrs, ec.ECDSA(hashes.SHA256())))
    assert judge_pdf(data, house.anchors(crls=True)).verdict == PASSED
    issuing_key, _ = house.store.elliptic("ca-issuing")
    entry = ca.Revoked(certificate.serial_number, datetime.now(UTC) + timedelta(hours=1))
    at = datetime.now(UTC) + timedelta(hours=2)
    lists = [ca.make_crl(ca.Authority(issuing_key, issuing), 9, [entry], at)]
    verdict = judge_pdf(data, house.anchors().adding(crls=lists), at=at)
    assert (verdict.verdict, verdict.sub_indication) == (INDETERMINATE, "REVOKED_NO_POE")


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_have_a_verdict(data: bytes) -> None:
    for one in (data, b"%PDF-1.7\n" + data):
        assert judge_pdf(one, Anchors()).verdict in (UNREADABLE, UNSIGNED)


@pytest.mark.parametrize(
    ("wanted", "other"),
    [
        ("060b2a864886f70d010910020e", "060b2a864886f70d010910020c"),  # the time-stamp called something else
        ("060b2a864886f70d010910020e", "060b2a864886f70d0109100263"),
    ],
)
def test_a_time_stamp_can_not_be_hidden(house: House, issued: bytes, wanted: str, other: str) -> None:
    head, found, tail = issued.rpartition(wanted.upper().encode())
    assert found
    hidden = head + other.upper().encode() + tail
    assert judge_pdf(hidden, house.anchors()).verdict == INDETERMINATE


def test_nor_its_place_renamed(house: House, issued: bytes) -> None:
    at = issued.rfind(b"060B2A864886F70D010910020E")
    place = at - 16
    assert issued[place : place + 2] == b"A1"  # [1] unsignedAttrs
    hidden = issued[:place] + b"A4" + issued[place + 2 :]
    verdict = judge_pdf(hidden, house.anchors())
    assert (verdict.verdict, verdict.sub_indication) == (FAILED, "FORMAT_FAILURE")
