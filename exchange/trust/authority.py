# SPDX-License-Identifier: AGPL-3.0-or-later
"""The certificate authority of an installation: a root, an issuing authority, and what they issue.

Profiles are those of DESIGN 4.18 on RFC 5280. A real installation signs with certificates of the
government's authority and uses only the profiles of its own servers; the demo issues everything here.
Times are aware UTC datetimes, serial numbers are random (RFC 5280 §4.1.2.2).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from exchange.trust.status_places import named
from exchange.trust.subject import APPROVALS, APPROVES

CRL_LIFE = timedelta(days=7)
_CLOCK_SLACK = timedelta(hours=1)
_YEAR = timedelta(days=365)
PublicKey: TypeAlias = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class Authority:
    """A key with the certificate that lets it issue.

    ``status_url``: where the status of what it issues is served (`exchange.trust.status_places`), "" names none.
    """

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    status_url: str = ""


@dataclass(frozen=True, slots=True)
class Revoked:
    """One entry of a revocation list."""

    serial: int
    at: datetime
    reason: x509.ReasonFlags = x509.ReasonFlags.unspecified


def new_key() -> ec.EllipticCurvePrivateKey:
    """A fresh P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def make_root(
    name: str, organisation: str, now: datetime | None = None, *, status_url: str = ""
) -> Authority:
    """A self-signed root for 20 years."""
    key = new_key()
    subject = _name(organisation=organisation, common_name=name)
    builder = _builder(subject, subject, key.public_key(), now, 20 * _YEAR)
    builder = _as_authority(builder, path_length=1)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    return Authority(key, builder.sign(key, hashes.SHA256()), status_url)


def make_issuing(
    root: Authority,
    name: str,
    organisation: str,
    now: datetime | None = None,
    key: ec.EllipticCurvePrivateKey | None = None,
) -> Authority:
    """An issuing authority under ``root`` for 10 years, with a new key or ``key``."""
    key = key or new_key()
    builder = _issued_builder(
        root, _name(organisation=organisation, common_name=name), key.public_key(), now, 10 * _YEAR
    )
    builder = _as_authority(builder, path_length=0)
    policies = x509.CertificatePolicies(
        [x509.PolicyInformation(x509.ObjectIdentifier("2.5.29.32.0"), None)]  # anyPolicy
    )
    made = builder.add_extension(policies, False).sign(root.key, hashes.SHA256())
    return Authority(key, made, root.status_url)


def person_certificate(
    authority: Authority,
    public_key: ec.EllipticCurvePublicKey,
    *,
    agency: str,
    title: str,
    name: str,
    address: str,
    approval: str = "",
    now: datetime | None = None,
) -> x509.Certificate:
    """The certificate of a person: ``C=VN, O=<agency>, title=<post>, CN=<name>``, 2 years."""
    subject = _name(organisation=agency, title=title, common_name=name)
    builder = _issued_builder(authority, subject, public_key, now, 2 * _YEAR)
    builder = _with_addresses(_with_key_usage(builder, "digital_signature", "content_commitment"), [address])
    return _with_policy(builder, approval).sign(authority.key, hashes.SHA256())


def agency_signing_certificate(
    authority: Authority,
    public_key: ec.EllipticCurvePublicKey,
    *,
    agency: str,
    code: str,
    address: str,
    approval: str = "",
    now: datetime | None = None,
) -> x509.Certificate:
    """The certificate of an agency's seal: ``C=VN, O=CN=<agency>, serialNumber=<code>``, 2 years."""
    subject = _name(organisation=agency, common_name=agency, code=code)
    builder = _issued_builder(authority, subject, public_key, now, 2 * _YEAR)
    builder = _with_addresses(_with_key_usage(builder, "digital_signature", "content_commitment"), [address])
    return _with_policy(builder, approval).sign(authority.key, hashes.SHA256())


def agency_encryption_certificate(
    authority: Authority,
    public_key: ec.EllipticCurvePublicKey,
    *,
    agency: str,
    code: str,
    address: str,
    now: datetime | None = None,
) -> x509.Certificate:
    """The certificate others encrypt to: the same subject, keyAgreement only, 2 years."""
    subject = _name(organisation=agency, common_name=agency, code=code)
    builder = _issued_builder(authority, subject, public_key, now, 2 * _YEAR)
    builder = _with_addresses(_with_key_usage(builder, "key_agreement"), [address])
    return builder.sign(authority.key, hashes.SHA256())


def timestamp_certificate(
    authority: Authority,
    public_key: ec.EllipticCurvePublicKey,
    *,
    name: str,
    organisation: str,
    now: datetime | None = None,
) -> x509.Certificate:
    """The certificate of a time-stamp authority (RFC 3161 §2.3: critical, sole purpose), 5 years."""
    subject = _name(organisation=organisation, common_name=name)
    builder = _issued_builder(authority, subject, public_key, now, 5 * _YEAR)
    builder = _with_key_usage(builder, "digital_signature")
    purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
    return builder.add_extension(purpose, True).sign(authority.key, hashes.SHA256())


def passkey_certificate(
    authority: Authority,
    public_key: PublicKey,
    *,
    agency: str,
    title: str,
    name: str,
    address: str,
    host: str,
    now: datetime | None = None,
) -> x509.Certificate:
    """The certificate of a person's passkey: only to approve (DESIGN 4.15), bound to ``host``, 2 years."""
    subject = _name(organisation=agency, title=title, common_name=name)
    builder = _issued_builder(authority, subject, public_key, now, 2 * _YEAR)
    names = [x509.RFC822Name(address), x509.DNSName(host)]
    return (
        _with_key_usage(builder, "digital_signature")
        .add_extension(x509.ExtendedKeyUsage([APPROVES]), True)
        .add_extension(x509.SubjectAlternativeName(names), False)
        .sign(authority.key, hashes.SHA256())
    )


def tls_certificate(
    authority: Authority,
    public_key: ec.EllipticCurvePublicKey,
    *,
    dns_names: Sequence[str],
    addresses: Sequence[str] = ("127.0.0.1",),
    now: datetime | None = None,
) -> x509.Certificate:
    """The certificate of a TLS server for ``dns_names`` (the first is the CN), 397 days."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, dns_names[0][:64])])
    builder = _issued_builder(authority, subject, public_key, now, timedelta(days=397))
    names = [x509.DNSName(one) for one in dict.fromkeys(dns_names)]
    numbers = [x509.IPAddress(ipaddress.ip_address(one)) for one in addresses]
    return (
        _with_key_usage(builder, "digital_signature")
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
        .add_extension(x509.SubjectAlternativeName([*names, *numbers]), False)
        .sign(authority.key, hashes.SHA256())
    )


def make_crl(
    authority: Authority, number: int, revoked: Iterable[Revoked] = (), now: datetime | None = None
) -> x509.CertificateRevocationList:
    """A full revocation list with CRL number ``number``; the next is due in 7 days."""
    moment = (now or datetime.now(UTC)).replace(microsecond=0)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(moment)
        .next_update(moment + CRL_LIFE)
        .add_extension(x509.CRLNumber(number), False)
        .add_extension(_authority_key(authority), False)
    )
    for one in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(one.serial).revocation_date(one.at)
        if one.reason is not x509.ReasonFlags.unspecified:
            entry = entry.add_extension(x509.CRLReason(one.reason), False)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(authority.key, hashes.SHA256())


def _name(*, organisation: str, common_name: str, title: str = "", code: str = "") -> x509.Name:
    parts = [(NameOID.COUNTRY_NAME, "VN"), (NameOID.ORGANIZATION_NAME, organisation)]
    if title:
        parts.append((NameOID.TITLE, title))
    parts.append((NameOID.COMMON_NAME, _within(common_name)))
    if code:
        parts.append((NameOID.SERIAL_NUMBER, code))
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])


def _within(name: str) -> str:
    """A CN has 64 bytes at most in practice; a longer one is cut between words, O keeps it whole."""
    if len(name.encode()) <= 64:
        return name
    kept = name.encode()[:64].decode(errors="ignore")
    return kept.rsplit(" ", 1)[0] if " " in kept else kept


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: PublicKey,
    now: datetime | None,
    life: timedelta,
) -> x509.CertificateBuilder:
    moment = (now or datetime.now(UTC)).replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - _CLOCK_SLACK)
        .not_valid_after(moment + life)
    )


def _issued_builder(
    authority: Authority,
    subject: x509.Name,
    public_key: PublicKey,
    now: datetime | None,
    life: timedelta,
) -> x509.CertificateBuilder:
    builder = _builder(subject, authority.certificate.subject, public_key, now, life)
    builder = builder.add_extension(_authority_key(authority), False).add_extension(
        x509.SubjectKeyIdentifier.from_public_key(public_key), False
    )
    return named(builder, authority.certificate, authority.status_url)


def _authority_key(authority: Authority) -> x509.AuthorityKeyIdentifier:
    own = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _as_authority(builder: x509.CertificateBuilder, path_length: int) -> x509.CertificateBuilder:
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), True)
    return builder.add_extension(_key_usage("key_cert_sign", "crl_sign"), True)


def _with_key_usage(builder: x509.CertificateBuilder, *bits: str) -> x509.CertificateBuilder:
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
    return builder.add_extension(_key_usage(*bits), True)


def _with_addresses(builder: x509.CertificateBuilder, addresses: Sequence[str]) -> x509.CertificateBuilder:
    names = [x509.RFC822Name(one) for one in addresses if one]
    return builder.add_extension(x509.SubjectAlternativeName(names), False) if names else builder


def _with_policy(builder: x509.CertificateBuilder, approval: str) -> x509.CertificateBuilder:
    if approval not in APPROVALS:
        return builder
    policy = x509.PolicyInformation(APPROVALS[approval], None)
    return builder.add_extension(x509.CertificatePolicies([policy]), False)


def _key_usage(*bits: str) -> x509.KeyUsage:
    every = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: name in bits for name in every})
