# SPDX-License-Identifier: AGPL-3.0-or-later
"""Whoever signs with a certificate that is not fit: the same answer for letters, packets, edXML and PDF."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from exchange.edxml.write import write
from exchange.sealing import xml_signature
from exchange.sealing.judging import Judging
from exchange.sealing.packet import Sender, build_packet, open_packet
from exchange.sealing.secure_mail import sign_mail
from exchange.sealing.signed import sign_detached, verify_signed
from exchange.signing.pdf.layout import ORGANISATION
from exchange.signing.pdf.sign import begin, finish
from exchange.trust import authority as ca
from exchange.trust.anchors import Anchors
from exchange.trust.pdf_judge import judge_pdf
from exchange.verifying.mail import verify_mail
from tests.exchange.sealing.province import Province
from tests.exchange.sealing.test_xml_signature import document
from tests.exchange.signing.house import OFFICE, House

ADDRESS, CODE = "vt@a.example", "H12.01"
NOW = datetime.now(UTC)
MAIL = (
    b"From: vt@a.example\r\nTo: vt@b.example\r\nSubject: x\r\nDate: Sat, 28 Nov 2026 08:00:00 +0700\r\n"
    b"Message-ID: <1@a.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nKinh gui.\r\n"
)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Case:
    """A key with its certificates, further lists, and the answer."""

    key: Key
    chain: tuple[x509.Certificate, ...]
    outcome: str
    sub: str
    crls: tuple[x509.CertificateRevocationList, ...] = ()

    def sign(self, data: bytes) -> bytes:
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        return self.key.sign(data, ec.ECDSA(hashes.SHA256()))


def _seal(issuing: ca.Authority, now: datetime | None = None) -> tuple[Key, tuple[x509.Certificate, ...]]:
    key = ca.new_key()
    made = ca.agency_signing_certificate(
        issuing, key.public_key(), agency=OFFICE.name, code=CODE, address=ADDRESS, now=now
    )
    return key, (made, issuing.certificate)


def wrong_usage(province: Province) -> Case:
    """The certificate to encrypt to signs."""
    key = ca.new_key()
    made = ca.agency_encryption_certificate(
        province.issuing, key.public_key(), agency=OFFICE.name, code=CODE, address=ADDRESS
    )
    return Case(key, (made, province.issuing.certificate), "INDETERMINATE", "CHAIN_CONSTRAINTS_FAILURE")


def of_a_time_stamp_authority(province: Province) -> Case:
    """The certificate of a time-stamp authority signs."""
    key = ca.new_key()
    made = ca.timestamp_certificate(province.issuing, key.public_key(), name="TSA", organisation="T")
    return Case(key, (made, province.issuing.certificate), "INDETERMINATE", "CHAIN_CONSTRAINTS_FAILURE")


def expired(province: Province) -> Case:
    return Case(*_seal(province.issuing, NOW - timedelta(days=900)), "TOTAL-FAILED", "EXPIRED")


def future(province: Province) -> Case:
    return Case(*_seal(province.issuing, NOW + timedelta(days=30)), "TOTAL-FAILED", "NOT_YET_VALID")


def revoked(province: Province) -> Case:
    key, chain = _seal(province.issuing)
    crl = province.crl_with(chain[0], NOW - timedelta(hours=1))
    return Case(key, chain, "TOTAL-FAILED", "REVOKED", (crl,))


def self_made(province: Province) -> Case:
    """A root and an authority of the same names, made at home."""
    root = ca.make_root("Tỉnh thử - Root CA", "Tỉnh thử")
    issuing = ca.make_issuing(root, "Tỉnh thử - Issuing CA", "Tỉnh thử")
    return Case(*_seal(issuing), "INDETERMINATE", "NO_CERTIFICATE_CHAIN_FOUND")


def issued_by_a_seal(province: Province) -> Case:
    """An agency makes itself an authority."""
    key = ca.new_key()
    made = ca.agency_signing_certificate(
        ca.Authority(province.b.signing, province.b.chain[0]),
        key.public_key(),
        agency=OFFICE.name,
        code=CODE,
        address=ADDRESS,
    )
    return Case(key, (made, *province.b.chain), "INDETERMINATE", "CHAIN_CONSTRAINTS_FAILURE")


def weak_key(province: Province) -> Case:
    """RSA of 1024 bits, issued by the right authority."""
    key = rsa.generate_private_key(65537, 1024)
    _, (model, issuer) = _seal(province.issuing)
    builder = x509.CertificateBuilder().subject_name(model.subject).issuer_name(issuer.subject)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(NOW - timedelta(days=1)).not_valid_after(NOW + timedelta(days=9))
    for one in model.extensions:
        if not isinstance(one.value, x509.SubjectKeyIdentifier):
            builder = builder.add_extension(one.value, one.critical)
    made = builder.sign(province.issuing.key, hashes.SHA256())
    return Case(key, (made, issuer), "INDETERMINATE", "CRYPTO_CONSTRAINTS_FAILURE")


CASES: list[Callable[[Province], Case]] = [
    wrong_usage,
    of_a_time_stamp_authority,
    expired,
    future,
    revoked,
    self_made,
    issued_by_a_seal,
    weak_key,
]


@pytest.fixture(params=CASES, ids=[one.__name__ for one in CASES])
def case(request: pytest.FixtureRequest, province: Province) -> Case:
    made: Case = request.param(province)
    return made


def _judging(province: Province, case: Case) -> Judging:
    return Judging(Anchors(province.anchors.roots, (), case.crls))


def test_cms(province: Province, case: Case) -> None:
    judged = verify_signed(sign_detached(b"x", case.chain, case.sign), b"x", _judging(province, case))
    assert (judged.outcome, judged.sub_indication) == (case.outcome, case.sub)


def test_packet(province: Province, case: Case) -> None:
    sender = Sender(ADDRESS, case.chain, case.sign)
    mail = build_packet(b"<edXML/>", sender, [(province.b.address, province.b.encryption)]).mail
    opened = open_packet(mail, [province.b.opener], _judging(province, case))
    assert (opened.signature.outcome, opened.signature.sub_indication) == (case.outcome, case.sub)


def test_letter(province: Province, case: Case) -> None:
    verdict = verify_mail(sign_mail(MAIL, case.chain, case.sign), _judging(province, case))
    assert (verdict.verdict, verdict.sub_indication, verdict.official) == (case.outcome, case.sub, False)


def test_edxml(province: Province, case: Case) -> None:
    signed = xml_signature.sign(write(document(b"%PDF-1.7 x")), case.chain, case.sign)
    judged = xml_signature.verify(signed, _judging(province, case))
    assert (judged.outcome, judged.sub_indication) == (case.outcome, case.sub)


def test_pdf(province: Province, house: House, case: Case) -> None:
    """The seal of an issued document by such a key; the person's signature stands, the file is not official."""
    signed = house.person_signs(house.prepared()).data
    begun = begin(house.numbered(signed), ORGANISATION, case.chain[0], list(case.chain[1:]))
    data = finish(begun, case.sign(begun.signed_attrs), None)[0]
    anchors = Anchors((*house.anchors().roots, *province.anchors.roots), (), case.crls)
    verdict = judge_pdf(data, anchors)
    own = case.chain[0].public_bytes(Encoding.DER)
    (seal,) = [one for one in verdict.signatures if one.certificate == own]
    assert (verdict.official, seal.verdict, seal.sub_indication) == (False, case.outcome, case.sub)
    assert not verdict.passed


def test_another_agencys_seal(province: Province, house: House) -> None:
    """Sound, but not of whom the packet, the letter, the file says that it is."""
    other = province.b
    letter = verify_mail(sign_mail(MAIL, other.chain, other.sign), province.judging)
    assert (letter.verdict, letter.sub_indication) == ("TOTAL-FAILED", "SIGNER_IS_NOT_SENDER")
    signed = house.person_signs(house.prepared()).data
    sealed = house.seals(house.numbered(signed), signed, "H12.02").data
    verdict = judge_pdf(sealed, house.anchors())
    assert (verdict.verdict, verdict.sub_indication) == ("TOTAL-FAILED", "SEAL_OF_OTHER_AGENCY")
    assert OFFICE.code != "H12.02"
