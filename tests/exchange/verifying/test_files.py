# SPDX-License-Identifier: AGPL-3.0-or-later
"""One verdict for any file: packets, edXML, receipts, evidence, and what is none of them."""

from __future__ import annotations

import io
import random
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.edxml.model import Organ
from exchange.edxml.statuses import answer
from exchange.edxml.write import write
from exchange.receipts.evidence import EvidenceBroken, attachments_of, make_evidence, read_evidence
from exchange.sealing.judging import Judging
from exchange.sealing.packet import build_packet
from exchange.sealing.recipients import Opener
from exchange.sealing.xml_signature import sign
from exchange.trust.anchors import Anchors
from exchange.trust.authority import make_crl
from exchange.trust.verdict import Verdict
from exchange.verifying.detect import kind_of
from exchange.verifying.evidence import verify_evidence
from exchange.verifying.file import verify_file
from exchange.verifying.packet import verify_packet
from tests.exchange.edxml.samples import document, sample
from tests.exchange.edxml.test_read_write import with_samples
from tests.exchange.sealing.province import Province
from tests.exchange.verifying.issued import Issued


@pytest.fixture(scope="module")
def issued(province: Province) -> Issued:
    return Issued(province)


def _verify(province: Province, data: bytes, name: str = "", opener: Opener | None = None) -> Verdict:
    return verify_file(data, name, anchors=province.anchors, openers=[opener] if opener else [])


def test_everything_issued_passes(province: Province, issued: Issued) -> None:
    b = province.b.opener
    for kind, data, opener in (
        ("pdf", issued.pdf, None),
        ("edxml", issued.edxml, None),
        ("packet", issued.built.mail, b),
        ("receipt", issued.receipts[0][1], None),
        ("receipt", issued.receipts[1][1], None),
        ("evidence", issued.evidence(), None),
    ):
        verdict = _verify(province, data, "x.bin", opener)
        assert (verdict.kind, verdict.verdict) == (kind, "TOTAL-PASSED"), verdict.reason
        assert verdict.official
        assert (
            verify_file(data, "x", anchors=Anchors(), openers=[opener] if opener else []).verdict
            == "INDETERMINATE"
        )


def test_packet_with_and_without_a_key(province: Province, issued: Issued) -> None:
    opened = _verify(province, issued.built.mail, opener=province.b.opener)
    assert opened.encryption == "decrypted"
    assert [one.role for one in opened.signatures].count("person") == 1
    assert opened.fields is not None
    assert opened.fields["CodeNotation"] == "TB-VP"
    for openers in ([], [province.agency("H12.77", "x@x.example").opener]):
        shut = verify_file(issued.built.mail, anchors=province.anchors, openers=openers)
        assert (shut.verdict, shut.encryption) == ("INDETERMINATE", "failed")


def test_packet_altered_anywhere_never_passes(province: Province, issued: Issued) -> None:
    mail, opener = issued.built.mail, province.b.opener
    chance = random.Random(7)
    for place in chance.sample(range(len(mail)), 120):
        altered = bytearray(mail)
        altered[place] ^= 0x04
        verdict = _verify(province, bytes(altered), "x.eml", opener)
        assert not verdict.passed, place
        assert verdict.reason, place


def test_the_seal_must_be_the_senders(province: Province, issued: Issued) -> None:
    foreign = document(issued.pdf, sender="H12.12")
    edxml = sign(write(foreign), province.a.chain, province.a.sign)
    alone = _verify(province, edxml)
    assert (alone.verdict, alone.sub_indication) == ("TOTAL-FAILED", "SEAL_OF_OTHER_AGENCY")
    packed = _verify(province, issued.pack(edxml).mail, opener=province.b.opener)
    assert (packed.verdict, packed.sub_indication) == ("TOTAL-FAILED", "SEAL_OF_OTHER_AGENCY")
    other = Issued(province, seal=province.b)
    inside = _verify(province, other.built.mail, opener=province.b.opener)
    assert (inside.verdict, inside.sub_indication) == ("TOTAL-FAILED", "SEAL_OF_OTHER_AGENCY")
    assert inside.reason.startswith("12-TB-VP.pdf")
    sender = replace(province.a.sender, address="other@a.example")
    mail = build_packet(issued.edxml, sender, [("vt@b.example", province.b.encryption)]).mail
    assert _verify(province, mail, opener=province.b.opener).sub_indication == "SIGNER_IS_NOT_SENDER"


def test_unsigned_content_in_a_packet(province: Province, issued: Issued) -> None:
    verdict = _verify(province, issued.pack(write(document(issued.pdf))).mail, opener=province.b.opener)
    assert verdict.verdict == "UNSIGNED"
    assert verdict.reason.startswith("edXML")


def test_status_packet_with_its_receipt(province: Province, issued: Issued) -> None:
    status = write(answer(document(), Organ("H12.11", "Cơ quan H12.11"), "03", 0))
    edxml = sign(status, province.b.chain, province.b.sign)
    to = [(province.a.address, province.a.encryption)]
    mail = build_packet(edxml, province.b.sender, to, name="status.edxml", receipts=issued.receipts).mail
    verdict = _verify(province, mail, opener=province.a.opener)
    assert verdict.passed, verdict.reason
    assert verdict.official
    broken = [(name, data.replace(b"H12.11", b"H12.13", 1)) for name, data in issued.receipts]
    mail = build_packet(edxml, province.b.sender, to, name="status.edxml", receipts=broken).mail
    assert not _verify(province, mail, opener=province.a.opener).passed


def test_edxml_reasons(province: Province) -> None:
    missing = _verify(province, write(replace(document(), subject="")))
    assert missing.verdict == "UNSIGNED"
    assert missing.reason.startswith("Subject")
    assert missing.problems is not None
    assert missing.problems[0]["rule"] == "R-MET-01"
    signed = sign(write(replace(document(), subject="")), province.a.chain, province.a.sign)
    assert _verify(province, signed).verdict == "INDETERMINATE"
    assert _verify(province, b"<edXML>").verdict == "UNREADABLE"
    doctype = b"<?xml version='1.0'?><!DOCTYPE edXML><edXML/>"
    assert "DOCTYPE" in _verify(province, doctype).reason


@with_samples
def test_samples(province: Province) -> None:
    old = _verify(province, sample("edoc.edxml"))
    assert (old.verdict, old.reason) == ("INDETERMINATE", "repaired")
    assert old.signatures[0].sub_indication == "NO_SIGNING_CERTIFICATE_FOUND"
    new = _verify(province, sample("edoc_new.edxml"))
    assert new.verdict == "UNSIGNED"
    assert [one["element"] for one in new.problems or ()][-1] == "Signature"
    assert _verify(province, sample("status.edxml")).fields is not None


def test_evidence_altered_anywhere_is_named(province: Province, issued: Issued) -> None:
    data = issued.evidence((make_crl(province.issuing, 3),))
    assert _verify(province, data).passed
    chance = random.Random(11)
    tail = range(len(data) - 1200, len(data))
    for place in [*range(120), *chance.sample(range(len(data)), 150), *tail]:
        altered = bytearray(data)
        altered[place] ^= 0x08
        verdict = _verify(province, bytes(altered), "x.evidence")
        assert not verdict.passed, place
        assert verdict.reason, place
    for other in (data + b"x", b"x" + data, data[:-1]):
        assert not _verify(province, other, "x.evidence").passed


def test_evidence_names_the_file(province: Province, issued: Issued) -> None:
    data = issued.evidence()
    place = data.index(issued.pdf[:200]) + 150
    with pytest.raises(EvidenceBroken) as caught:
        read_evidence(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    assert caught.value.where == "attachments/01-12-TB-VP.pdf"


def test_evidence_of_other_things(province: Province, issued: Issued) -> None:
    other = Issued(province)
    built = issued.built
    mixed = make_evidence(built.mail, built.content_key, issued.edxml, other.receipts)
    verdict = _verify(province, mixed)
    assert (verdict.verdict, verdict.sub_indication) == ("TOTAL-FAILED", "HASH_FAILURE")
    swapped = make_evidence(built.mail, built.content_key, other.edxml, issued.receipts)
    assert _verify(province, swapped).reason.startswith("document.edxml")
    locked = make_evidence(built.mail, b"", issued.edxml, issued.receipts)
    assert _verify(province, locked).verdict == "INDETERMINATE"
    assert attachments_of(issued.edxml) == (("01-12-TB-VP.pdf", issued.pdf),)


def test_receipts_prove_when_it_existed(province: Province, issued: Issued) -> None:
    """Revoked after it arrived: the packet alone is in doubt, with its receipts it stands."""
    crl = province.crl_with(province.a.chain[0], datetime.now(UTC) + timedelta(seconds=30))
    later = Judging(Anchors(province.anchors.roots, (), (crl,)), now=datetime.now(UTC) + timedelta(minutes=2))
    alone = verify_packet(issued.built.mail, later, [province.b.opener])[0]
    assert (alone.verdict, alone.sub_indication) == ("INDETERMINATE", "REVOKED_NO_POE")
    assert verify_evidence(issued.evidence(), later).passed


def test_evidence_is_an_ordinary_zip(issued: Issued) -> None:
    data = issued.evidence()
    assert data == issued.evidence()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.read("document.edxml") == issued.edxml
        assert archive.namelist()[:3] == ["manifest.json", "packet.eml", "document.edxml"]


def test_revocation_required(province: Province, issued: Issued) -> None:
    for data in (issued.edxml, issued.receipts[1][1], issued.evidence()):
        verdict = verify_file(data, anchors=province.anchors, require_revocation=True)
        assert verdict.verdict == "INDETERMINATE"
    lists = (make_crl(province.issuing, 9), make_crl(province.root, 9))
    full = Anchors(province.anchors.roots, (), lists)
    for data in (issued.edxml, issued.receipts[1][1], issued.evidence(lists)):
        assert verify_file(data, anchors=full, require_revocation=True).passed


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        (b"", "", "garbage"),
        (b"hello", "x.pdf", "pdf"),
        (b"\x00\x01", "a.receipt.json", "receipt"),
        (b"From: a@b\r\nCongvan-Packet: 1\r\n\r\n", "", "packet"),
        (b"Subject: x\n\nbody", "", "mail"),
        (b"From a@b Mon\nSubject: x\n\nbody", "", "mail"),
        (b"<html>", "a.html", "garbage"),
        (b"{}", "a.json", "garbage"),
        (b"PK\x03\x04", "a.zip", "garbage"),
    ],
)
def test_kinds(province: Province, data: bytes, name: str, kind: str) -> None:
    assert kind_of(data, name) == kind
    assert not _verify(province, data, name).passed


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(
        [b"", b"%PDF-1.7\n", b"<edXML", b'{"congvan_receipt"', b"From: a\r\nCongvan-Packet: 1\r\n", b"A: b\n"]
    ),
    st.binary(max_size=300),
    st.sampled_from(["", "a.pdf", "a.edxml", "a.receipt.json", "a.eml", "a.evidence"]),
)
def test_garbage_gets_a_verdict(head: bytes, data: bytes, name: str) -> None:
    verdict = verify_file(head + data, name, anchors=Anchors())
    assert verdict.verdict in ("UNREADABLE", "UNSIGNED", "TOTAL-FAILED", "INDETERMINATE")
    assert verdict.as_json()["signatures"] == []
