# SPDX-License-Identifier: AGPL-3.0-or-later
"""Certificates in the manner of the government's specialised authority: a fixture, not an assumption.

What is taken from it: RSA, a root with a subordinate authority, subjects with L, OU and UID, no serialNumber, key usage
without (or with) nonRepudiation, extended key usages of Microsoft, addresses of lists and OCSP in the certificate.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

ROOT, SUB = (
    "Co quan chung thuc so chuyen dung Chinh phu (RootCA)",
    "Co quan chung thuc so Ban Co yeu Chinh phu",
)
SIGNING = (ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.CLIENT_AUTH)
DOCUMENTS = x509.ObjectIdentifier("1.3.6.1.4.1.311.10.3.12")


@dataclass(frozen=True)
class Government:
    """The root, the subordinate authority and a certificate of each kind, with their keys."""

    root_key: rsa.RSAPrivateKey
    root: x509.Certificate
    sub_key: rsa.RSAPrivateKey
    sub: x509.Certificate
    key: rsa.RSAPrivateKey

    def certificate(
        self, names: list[tuple[x509.ObjectIdentifier, str]], repudiation: bool, documents: bool = False
    ) -> x509.Certificate:
        purposes = [*SIGNING, DOCUMENTS] if documents else [*SIGNING]
        return (
            _builder(names, self.sub.subject, self.key, 2)
            .add_extension(x509.BasicConstraints(False, None), False)
            .add_extension(
                _usage(digital_signature=True, content_commitment=repudiation, key_encipherment=True), True
            )
            .add_extension(x509.ExtendedKeyUsage(purposes), False)
            .add_extension(
                x509.CRLDistributionPoints(
                    [
                        x509.DistributionPoint(
                            [x509.UniformResourceIdentifier("http://ca.example/sub.crl")], None, None, None
                        )
                    ]
                ),
                False,
            )
            .add_extension(
                x509.AuthorityInformationAccess(
                    [
                        x509.AccessDescription(
                            AuthorityInformationAccessOID.OCSP,
                            x509.UniformResourceIdentifier("http://ocsp.example/"),
                        )
                    ]
                ),
                False,
            )
            .sign(self.sub_key, hashes.SHA256())
        )

    @property
    def person(self) -> x509.Certificate:
        names = [
            (NameOID.COUNTRY_NAME, "VN"),
            (NameOID.LOCALITY_NAME, "Cà Mau"),
            (NameOID.ORGANIZATION_NAME, "Ủy ban nhân dân tỉnh Cà Mau"),
            (NameOID.ORGANIZATIONAL_UNIT_NAME, "Văn phòng"),
            (NameOID.TITLE, "Chánh Văn phòng"),
            (NameOID.COMMON_NAME, "Chánh Văn phòng"),
            (NameOID.USER_ID, "CMND:000000000"),
        ]
        return self.certificate(names, repudiation=False)

    @property
    def agency(self) -> x509.Certificate:
        names = [
            (NameOID.COUNTRY_NAME, "VN"),
            (NameOID.LOCALITY_NAME, "Cà Mau"),
            (NameOID.ORGANIZATION_NAME, "Văn phòng Ủy ban nhân dân tỉnh Cà Mau"),
            (NameOID.COMMON_NAME, "Văn phòng Ủy ban nhân dân tỉnh Cà Mau"),
            (NameOID.USER_ID, "MST:0000000000"),
        ]
        return self.certificate(names, repudiation=True, documents=True)


def government() -> Government:
    """A fresh one."""
    keys = [rsa.generate_private_key(65537, 2048) for _ in range(3)]
    root_name = [
        (NameOID.COUNTRY_NAME, "VN"),
        (NameOID.ORGANIZATION_NAME, "Ban Co yeu Chinh phu"),
        (NameOID.COMMON_NAME, ROOT),
    ]
    sub_name = [*root_name[:2], (NameOID.COMMON_NAME, SUB)]
    root = _authority(
        root_name, x509.Name([x509.NameAttribute(*one) for one in root_name]), keys[0], keys[0], None
    )
    sub = _authority(sub_name, root.subject, keys[1], keys[0], 0)
    return Government(keys[0], root, keys[1], sub, keys[2])


def _authority(
    names: list[tuple[x509.ObjectIdentifier, str]],
    issuer: x509.Name,
    key: rsa.RSAPrivateKey,
    by: rsa.RSAPrivateKey,
    length: int | None,
) -> x509.Certificate:
    return (
        _builder(names, issuer, key, 20)
        .add_extension(x509.BasicConstraints(True, length), True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .sign(by, hashes.SHA256())
    )


def _builder(
    names: list[tuple[x509.ObjectIdentifier, str]], issuer: x509.Name, key: rsa.RSAPrivateKey, years: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(*one) for one in names]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365 * years))
    )


def _usage(**bits: bool) -> x509.KeyUsage:
    every = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{one: bits.get(one, False) for one in every})
