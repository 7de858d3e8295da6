# SPDX-License-Identifier: AGPL-3.0-or-later
"""How a verifier without a network trusts a log: its key has a certificate.

The checkpoint key (Ed25519) of an installation gets a certificate of the issuing authority whose CN is
the log's origin and whose only purpose is ``LOG_PURPOSE``; it travels in every receipt. So ``--trust
ca.pem`` is enough, and no certificate of a person or agency can speak for a log.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from config.refusal import Refused
from exchange.trust.authority import Authority
from exchange.trust.status_places import named
from policy.ledger.checkpoint import Key

LOG_PURPOSE = x509.ObjectIdentifier("1.3.6.1.4.1.32473.4.15.2")
"""Extended key usage of a log's certificate; RFC 5612 example arc, like ``trust.subject.FILE_APPROVED``."""

_LIFE = timedelta(days=10 * 365)
_SLACK = timedelta(hours=1)


def log_certificate(
    authority: Authority, key: Key, organisation: str, now: datetime | None = None
) -> x509.Certificate:
    """The certificate of a log: ``C=VN, O=<organisation>, CN=<origin>``, 10 years.

    Raises ``Refused`` when the origin does not fit a CN (64 characters).
    """
    if len(key.name) > 64:
        raise Refused(
            "origin-too-long", "Tên sổ dài quá 64 ký tự.", "The log's origin is over 64 characters."
        )
    moment = (now or datetime.now(UTC)).replace(microsecond=0)
    public = Ed25519PublicKey.from_public_bytes(key.public)
    issuer = authority.certificate
    own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    subject = [(NameOID.COUNTRY_NAME, "VN"), (NameOID.ORGANIZATION_NAME, organisation[:64])]
    subject.append((NameOID.COMMON_NAME, key.name))
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(oid, value) for oid, value in subject]))
        .issuer_name(issuer.subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - _SLACK)
        .not_valid_after(min(moment + _LIFE, issuer.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .add_extension(_signing_only(), True)
        .add_extension(x509.ExtendedKeyUsage([LOG_PURPOSE]), False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own), False)
    )
    return named(builder, issuer, authority.status_url).sign(authority.key, hashes.SHA256())


def log_key_of(certificate: x509.Certificate) -> Key | None:
    """The log key that a certificate speaks for, ``None`` when it is no log's certificate."""
    public = certificate.public_key()
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        if list(usage) != [LOG_PURPOSE] or not isinstance(public, Ed25519PublicKey) or len(names) != 1:
            return None
        return Key(str(names[0].value), public.public_bytes(Encoding.Raw, PublicFormat.Raw))
    except (x509.ExtensionNotFound, ValueError):
        return None


def _signing_only() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
