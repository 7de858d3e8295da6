# SPDX-License-Identifier: AGPL-3.0-or-later
"""The XML signature, with xmlsec1 as the foreign judge."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lxml import etree

from config.refusal import Refused
from exchange.edxml.model import NAMESPACE, Organ
from exchange.edxml.read import read, read_tree
from exchange.edxml.statuses import answer
from exchange.edxml.write import write
from exchange.sealing.judging import Judging
from exchange.sealing.xml_signature import DS, sign, verify
from exchange.trust.anchors import Anchors
from tests.exchange.edxml.samples import document, sample
from tests.exchange.edxml.test_read_write import with_samples
from tests.exchange.sealing.province import Province, run

_HEADER = f"{{{NAMESPACE}}}edXMLEnvelope/{{{NAMESPACE}}}edXMLHeader"


@pytest.fixture(scope="module")
def signed(province: Province) -> bytes:
    return sign(write(document(b"%PDF-1.7 x")), province.a.chain, province.a.sign)


def test_signed_is_last_child_and_reads_the_same(province: Province, signed: bytes) -> None:
    judgement = verify(signed, province.judging)
    assert judgement.outcome == "TOTAL-PASSED"
    assert judgement.signatures[0].role == "organisation"
    assert judgement.certificate == province.a.chain[0]
    assert read_tree(judgement.root).packet == document(b"%PDF-1.7 x") == read(signed).packet
    header = etree.fromstring(signed).find(_HEADER)
    assert header is not None
    assert header[-1].tag == f"{{{DS}}}Signature"


def test_xmlsec1_agrees(province: Province, signed: bytes, folder: Path) -> None:
    (folder / "d.edxml").write_bytes(signed)
    command = ["xmlsec1", "--verify", "--trusted-pem", "ca.pem", "--enabled-key-data", "x509", "d.edxml"]
    assert run(folder, *command).returncode == 0
    (folder / "d.edxml").write_bytes(signed.replace(b"Chuy", b"Chux").replace(b"TB-VP", b"TB-VQ", 1))
    assert run(folder, *command).returncode != 0


def test_large_attachments(province: Province, folder: Path) -> None:
    packet = document(b"%PDF-1.7 ")
    big = replace(packet.attachments[0], data=bytes(range(256)) * 50_000)
    data = sign(write(replace(packet, attachments=(big,))), province.a.chain, province.a.sign)
    assert len(data) > 12_000_000
    assert verify(data, province.judging).outcome == "TOTAL-PASSED"


def test_status_is_signed_too(province: Province) -> None:
    data = write(answer(document(), Organ("H12.11", "Sở"), "03", 0))
    assert verify(sign(data, province.b.chain, province.b.sign), province.judging).outcome == "TOTAL-PASSED"


def test_every_changed_byte_is_seen(province: Province, signed: bytes) -> None:
    step = max(1, len(signed) // 400)
    for place in range(0, len(signed), step):
        altered = bytearray(signed)
        altered[place] ^= 0x01
        _must_not_pass(bytes(altered), province, place)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"></edXML:edXMLEnvelope>", b"> </edXML:edXMLEnvelope>"),
        (b'<?xml version="1.0"', b'<?xml  version="1.0"'),
        (b'<edXML:edXMLManifest version="1.0">', b"<edXML:edXMLManifest version='1.0'>"),
        (b"</edXML>\n", b"</edXML>"),
        (b"</edXML>\n", b"</edXML>\n<!-- more -->"),
        (b"\n", b"\r\n"),
        (b"<edXML:Subject>", b"<!-- x --><edXML:Subject>"),
    ],
)
def test_what_canonicalisation_hides_is_seen(
    province: Province, signed: bytes, old: bytes, new: bytes
) -> None:
    if old in signed:
        _must_not_pass(signed.replace(old, new, 1), province, 0)


def _must_not_pass(data: bytes, province: Province, place: int) -> None:
    try:
        judgement = verify(data, province.judging)
    except Refused:
        return
    assert judgement.outcome != "TOTAL-PASSED", place


def test_wrapping_fails(province: Province, signed: bytes) -> None:
    root = etree.fromstring(signed)
    forged = etree.fromstring(write(replace(document(), subject="Khác")))
    forged.append(root)
    assert verify(etree.tostring(forged), province.judging).outcome == "TOTAL-FAILED"
    header = forged.find(_HEADER)
    moved = next(root.iter(f"{{{DS}}}Signature"))
    assert header is not None
    header.append(moved)
    assert verify(etree.tostring(forged), province.judging).outcome == "TOTAL-FAILED"


def test_two_signatures_or_another_reference_fail(province: Province, signed: bytes) -> None:
    root = etree.fromstring(signed)
    header = root.find(_HEADER)
    assert header is not None
    header.append(etree.fromstring(etree.tostring(header[-1])))
    assert verify(etree.tostring(root), province.judging).outcome == "TOTAL-FAILED"
    assert verify(signed.replace(b'URI=""', b'URI="#a"'), province.judging).outcome == "TOTAL-FAILED"
    with pytest.raises(Refused, match="already-signed"):
        sign(signed, province.a.chain, province.a.sign)


def test_foreign_signature_without_our_mark(province: Province, folder: Path) -> None:
    """Signed by xmlsec1 from a template: judged by XML-DSig alone."""
    data = sign(write(document()), province.a.chain, province.a.sign)
    template = data.replace(b' Id="congvan-1"', b"")
    start, end = template.index(b"<ds:DigestValue>"), template.index(b"</ds:DigestValue>")
    template = template[: start + 16] + template[end:]
    start, end = template.index(b"<ds:SignatureValue>"), template.index(b"</ds:SignatureValue>")
    template = template[: start + 19] + template[end:]
    (folder / "t.xml").write_bytes(template)
    done = run(folder, "xmlsec1", "--sign", "--privkey-pem", "a-sign.pem", "--output", "s.xml", "t.xml")
    assert done.returncode == 0, done.stderr
    assert verify((folder / "s.xml").read_bytes(), province.judging).outcome == "TOTAL-PASSED"


def test_trust_and_revocation(province: Province, signed: bytes) -> None:
    assert verify(signed, Judging()).sub_indication == "NO_CERTIFICATE_CHAIN_FOUND"
    require = Judging(province.anchors, require_revocation=True)
    assert verify(signed, require).sub_indication == "TRY_LATER"
    crl = province.crl_with(province.a.chain[0], datetime.now(UTC) - timedelta(minutes=1))
    revoked = verify(signed, Judging(Anchors(province.anchors.roots, (), (crl,))))
    assert revoked.outcome == "TOTAL-FAILED"
    assert revoked.signatures[0].revocation == "revoked"


@with_samples
def test_the_samples_prove_nothing(province: Province) -> None:
    for name in ("edoc_new", "edoc_update", "edoc_replacement", "edoc_revocation"):
        judgement = verify(sample(f"{name}.edxml"), province.judging)
        assert (judgement.outcome, judgement.foreign_form) == ("UNSIGNED", True)
    old = verify(sample("edoc.edxml"), province.judging)
    assert (old.outcome, old.sub_indication) == ("INDETERMINATE", "NO_SIGNING_CERTIFICATE_FOUND")
    assert old.repaired
    data = sign(sample("edoc_update.edxml"), province.a.chain, province.a.sign)
    assert verify(data, province.judging).outcome == "TOTAL-PASSED"
    with pytest.raises(Refused):
        sign(sample("edoc.edxml"), province.a.chain, province.a.sign)


def test_no_canonical_form(province: Province, signed: bytes) -> None:
    """A relative namespace URI has none (Canonical XML 1.0 §1): refused, not a crash."""
    assert (
        verify(
            signed.replace(b"<AttachmentEncoded>", b'<AttachmentEncoded xmlns:q="./q">'), province.judging
        ).outcome
        == "TOTAL-FAILED"
    )
    plain = write(document()).replace(b"<AttachmentEncoded>", b'<AttachmentEncoded xmlns:q="./q">')
    with pytest.raises(Refused, match="not-signable"):
        sign(plain, province.a.chain, province.a.sign)
