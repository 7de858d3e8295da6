# SPDX-License-Identifier: AGPL-3.0-or-later
"""Chains and revocation, judged as of a moment, offline."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.trust import authority as ca
from exchange.trust.anchors import Anchors, TrustUnreadable, read_certificates, read_crls
from exchange.trust.chain import Usage, validate_chain
from exchange.trust.subject import subject_of
from exchange.trust.verdict import FAILED, INDETERMINATE, PASSED

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


@dataclass
class Tree:
    """A root, an issuing authority and one certificate of each kind."""

    root: ca.Authority
    issuing: ca.Authority
    person: x509.Certificate
    seal: x509.Certificate
    opens: x509.Certificate
    stamps: x509.Certificate
    server: x509.Certificate

    def anchors(self, *crls: x509.CertificateRevocationList) -> Anchors:
        return Anchors((self.root.certificate,), (), crls)

    def both(self, *revoked: ca.Revoked, at: datetime = NOW) -> Anchors:
        return self.anchors(ca.make_crl(self.root, 1, (), at), ca.make_crl(self.issuing, 1, revoked, at))


@pytest.fixture(scope="module")
def tree() -> Tree:
    root = ca.make_root("Root", "Tỉnh")
    issuing = ca.make_issuing(root, "Issuing", "Tỉnh")
    keys = [ca.new_key().public_key() for _ in range(5)]
    agency = {"agency": "Sở Nội vụ", "code": "H12.02", "address": "vanthu@snv.example"}
    return Tree(
        root,
        issuing,
        ca.person_certificate(
            issuing, keys[0], agency="Sở Nội vụ", title="Giám đốc", name="Giám đốc", address="gd@snv.example"
        ),
        ca.agency_signing_certificate(issuing, keys[1], **agency),  # type: ignore[arg-type]
        ca.agency_encryption_certificate(issuing, keys[2], **agency),  # type: ignore[arg-type]
        ca.timestamp_certificate(issuing, keys[3], name="TSA", organisation="Tỉnh"),
        ca.tls_certificate(issuing, keys[4], dns_names=["mail.example", "localhost"]),
    )


def test_a_good_chain(tree: Tree) -> None:
    result = validate_chain(tree.person, [tree.issuing.certificate], tree.both(), NOW)
    assert (result.status, result.sub_indication, result.revocation) == (PASSED, "", "good")
    assert [*result.path] == [tree.person, tree.issuing.certificate, tree.root.certificate]


def test_without_lists_it_is_not_checked_unless_required(tree: Tree) -> None:
    extra = [tree.issuing.certificate]
    result = validate_chain(tree.person, extra, tree.anchors(), NOW)
    assert (result.status, result.revocation) == (PASSED, "not-checked")
    result = validate_chain(tree.person, extra, tree.anchors(), NOW, require_revocation=True)
    assert (result.status, result.sub_indication) == (INDETERMINATE, "TRY_LATER")
    only_leaf = tree.anchors(ca.make_crl(tree.issuing, 1, (), NOW))
    assert validate_chain(tree.person, extra, only_leaf, NOW).revocation == "good"
    result = validate_chain(tree.person, extra, only_leaf, NOW, require_revocation=True)
    assert result.sub_indication == "TRY_LATER"


@pytest.mark.parametrize(
    ("since", "status", "revocation"),
    [(-DAY, FAILED, "revoked"), (timedelta(0), FAILED, "revoked"), (timedelta(seconds=1), PASSED, "good")],
)
def test_revoked_before_and_after(tree: Tree, since: timedelta, status: str, revocation: str) -> None:
    anchors = tree.both(ca.Revoked(tree.person.serial_number, NOW + since), at=NOW + DAY)
    result = validate_chain(tree.person, [tree.issuing.certificate], anchors, NOW, require_revocation=True)
    assert (result.status, result.revocation) == (status, revocation)
    assert result.sub_indication == ("REVOKED" if status == FAILED else "")


def test_a_revoked_authority_takes_all_with_it(tree: Tree) -> None:
    crl = ca.make_crl(tree.root, 1, [ca.Revoked(tree.issuing.certificate.serial_number, NOW - DAY)])
    result = validate_chain(tree.person, [tree.issuing.certificate], tree.anchors(crl), NOW)
    assert (result.status, result.sub_indication) == (FAILED, "REVOKED")


def test_an_old_list_says_nothing_and_a_forged_one_neither(tree: Tree) -> None:
    extra = [tree.issuing.certificate]
    old = tree.both(at=NOW - timedelta(days=30))
    assert validate_chain(tree.person, extra, old, NOW).revocation == "not-checked"
    stranger = ca.Authority(ca.new_key(), tree.issuing.certificate)
    forged = ca.make_crl(stranger, 9, [ca.Revoked(tree.person.serial_number, NOW - DAY)])
    result = validate_chain(tree.person, extra, tree.anchors(forged), NOW)
    assert (result.status, result.revocation) == (PASSED, "not-checked")


def test_times(tree: Tree) -> None:
    extra = [tree.issuing.certificate]
    late = validate_chain(tree.person, extra, tree.anchors(), NOW + timedelta(days=800))
    assert (late.status, late.sub_indication) == (FAILED, "EXPIRED")
    early = validate_chain(tree.person, extra, tree.anchors(), NOW - timedelta(days=800))
    assert (early.status, early.sub_indication) == (FAILED, "NOT_YET_VALID")


def test_no_chain(tree: Tree) -> None:
    result = validate_chain(tree.person, [], tree.anchors(), NOW)
    assert (result.status, result.sub_indication) == (INDETERMINATE, "NO_CERTIFICATE_CHAIN_FOUND")
    twin = ca.make_root("Root", "Tỉnh")  # the same name, another key
    stranger = Anchors((twin.certificate,), (tree.issuing.certificate,))
    result = validate_chain(tree.person, [], stranger, NOW)
    assert result.sub_indication == "NO_CERTIFICATE_CHAIN_FOUND"


def test_a_certificate_trusted_as_it_is(tree: Tree) -> None:
    result = validate_chain(tree.person, [], Anchors((tree.person,)), NOW, require_revocation=True)
    assert (result.status, result.revocation) == (PASSED, "not-checked")


def test_a_person_is_no_authority(tree: Tree) -> None:
    key = ca.new_key()
    forged = ca.person_certificate(
        ca.Authority(key, tree.person), ca.new_key().public_key(), agency="A", title="", name="B", address=""
    )
    result = validate_chain(forged, [tree.person, tree.issuing.certificate], tree.anchors(), NOW)
    assert result.status == INDETERMINATE
    real = ca.make_issuing(tree.root, "Real", "Tỉnh")
    below = ca.make_issuing(real, "Below", "Tỉnh")  # its authority has path length 0
    deep = ca.person_certificate(
        below, ca.new_key().public_key(), agency="A", title="", name="B", address="b@a.example"
    )
    result = validate_chain(deep, [below.certificate, real.certificate], tree.anchors(), NOW)
    assert result.sub_indication == "CHAIN_CONSTRAINTS_FAILURE"


@pytest.mark.parametrize(
    ("kind", "good"),
    [
        ("person", {"sign", "any"}),
        ("seal", {"sign", "any"}),
        ("opens", {"encrypt", "any"}),
        ("stamps", {"timestamp", "any"}),
        ("server", {"tls", "any"}),
    ],
)
def test_what_each_certificate_is_for(tree: Tree, kind: str, good: set[str]) -> None:
    usages: tuple[Usage, ...] = ("sign", "encrypt", "timestamp", "tls", "any")
    for usage in usages:
        result = validate_chain(
            getattr(tree, kind), [tree.issuing.certificate], tree.anchors(), NOW, usage=usage
        )
        if kind in ("person", "seal") and usage == "tls":
            continue  # no purpose is named, so none is excluded
        assert (result.status == PASSED) is (usage in good), usage


def test_weak_keys_and_digests(tree: Tree) -> None:
    weak = rsa.generate_private_key(65537, 1024)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "weak")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(tree.root.certificate.subject)
        .public_key(weak.public_key())
        .serial_number(7)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
    )
    result = validate_chain(builder.sign(tree.root.key, hashes.SHA256()), [], tree.anchors(), NOW)
    assert (result.status, result.sub_indication) == (INDETERMINATE, "CRYPTO_CONSTRAINTS_FAILURE")


def test_a_thousand_namesakes_take_no_time(tree: Tree) -> None:
    twins = [ca.make_issuing(tree.root, "Issuing", "Tỉnh").certificate for _ in range(3)] * 300
    began = time.monotonic()
    result = validate_chain(tree.person, [*twins, tree.issuing.certificate], tree.anchors(), NOW)
    assert time.monotonic() - began < 3
    assert result.status in (PASSED, INDETERMINATE)


def test_whose_certificate_it_is(tree: Tree) -> None:
    person, seal = subject_of(tree.person), subject_of(tree.seal)
    assert (person.role, person.organisation, person.title) == ("person", "Sở Nội vụ", "Giám đốc")
    assert person.addresses == ("gd@snv.example",)
    assert (seal.role, seal.code, seal.name) == ("organisation", "H12.02", "Sở Nội vụ")
    assert subject_of(tree.stamps).role == "timestamp"
    assert not seal.file_approved
    key = ca.new_key()
    for names, role in (
        ({NameOID.ORGANIZATION_NAME: "Sở Y tế", NameOID.COMMON_NAME: "SỞ Y TẾ - con dấu"}, "organisation"),
        ({NameOID.ORGANIZATION_NAME: "Sở Y tế", NameOID.COMMON_NAME: "Phó Giám đốc"}, "person"),
        ({NameOID.COMMON_NAME: "Ai đó"}, "person"),
    ):
        subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in names.items()])
        foreign = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(7)
            .not_valid_before(NOW)
            .not_valid_after(NOW + DAY)
            .sign(key, hashes.SHA256())
        )
        assert subject_of(foreign).role == role


def test_files_are_read_as_pem_and_der(tree: Tree, tmp_path: Path) -> None:
    pem = tree.root.certificate.public_bytes(Encoding.PEM)
    (tmp_path / "ca.pem").write_bytes(
        b"some words\r\n" + pem + tree.issuing.certificate.public_bytes(Encoding.PEM)
    )
    (tmp_path / "ca.der").write_bytes(tree.root.certificate.public_bytes(Encoding.DER))
    crl = ca.make_crl(tree.root, 1)
    (tmp_path / "a.crl").write_bytes(crl.public_bytes(Encoding.DER))
    (tmp_path / "b.crl").write_bytes(crl.public_bytes(Encoding.PEM))
    anchors = Anchors.load(
        [tmp_path / "ca.pem", tmp_path / "ca.der"], crls=[tmp_path / "a.crl", tmp_path / "b.crl"]
    )
    assert len(anchors.roots) == 3
    assert len(anchors.crls) == 2
    for bad in (tmp_path / "none.pem", tmp_path / "a.crl"):
        with pytest.raises(TrustUnreadable) as refused:
            Anchors.load([bad])
        assert refused.value.code == "trust-unreadable"
        assert str(bad) in refused.value.en


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_read_or_refused(data: bytes, pem: bool) -> None:
    if pem:
        data = b"-----BEGIN CERTIFICATE-----\n" + data + b"\n-----END CERTIFICATE-----\n"
    for read in (read_certificates, read_crls):
        with pytest.raises(TrustUnreadable):
            read(data)


def test_a_province_of_certificates_takes_no_time() -> None:
    root = ca.make_root("Root", "Tỉnh")
    began = time.process_time()
    for number in range(86):
        ca.person_certificate(
            root, ca.new_key().public_key(), agency="A", title="T", name=f"{number}", address="a@b.example"
        )
    assert time.process_time() - began < 1
