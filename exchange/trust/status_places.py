# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where others ask about our certificates: addresses that are written into each of them and so hold for its life.

    <base>/ocsp               OCSP (RFC 6960) of the issuing authority     AIA id-ad-ocsp
    <base>/ca/<key id>.crt    the issuer's certificate, DER                AIA id-ad-caIssuers
    <base>/crl/<key id>.crl   the issuer's revocation list, DER            CRL distribution point

The base is http, not https: lists and answers are signed themselves, and who checks a TLS certificate can't need one
for that (RFC 5280 §8). Files go by the issuer's key id (hex), so an authority that gets a new key keeps the old addresses for
what it issued before. Without a base nothing is named, and only who was given the lists can check.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from config.refusal import Refused


def checked_base(base: str) -> str:
    """``base`` without its last slash. Raises `Refused` when it is no plain http address."""
    parts = urlsplit(base)
    if base and (
        parts.scheme != "http" or not parts.hostname or parts.query or parts.fragment or len(base) > 200
    ):
        raise Refused(
            "bad-status-url",
            f"[signer] status_url phải là địa chỉ http:// (không phải https), ví dụ http://pki.tinh.example: {base[:100]}",
            f"[signer] status_url must be an http:// address (not https), as http://pki.province.example: {base[:100]}",
        )
    return base.rstrip("/")


def key_id(certificate: x509.Certificate) -> str:
    """The key id of an authority, hex (40 digits); "" when its certificate has none."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        return ""
    return found.value.digest.hex()


def named(builder: x509.CertificateBuilder, issuer: x509.Certificate, base: str) -> x509.CertificateBuilder:
    """``builder`` with the addresses of ``issuer``'s words; unchanged without a base.

    OCSP is answered by the issuing authority for what it issued; of the root there is the list.
    """
    if not base:
        return builder
    name = key_id(issuer)
    ways = [_way(AuthorityInformationAccessOID.CA_ISSUERS, f"{base}/ca/{name}.crt")]
    if issuer.subject != issuer.issuer:
        ways.insert(0, _way(AuthorityInformationAccessOID.OCSP, f"{base}/ocsp"))
    point = x509.DistributionPoint(
        [x509.UniformResourceIdentifier(f"{base}/crl/{name}.crl")], None, None, None
    )
    return builder.add_extension(x509.AuthorityInformationAccess(ways), False).add_extension(
        x509.CRLDistributionPoints([point]), False
    )


def _way(method: x509.ObjectIdentifier, address: str) -> x509.AccessDescription:
    return x509.AccessDescription(method, x509.UniformResourceIdentifier(address))
