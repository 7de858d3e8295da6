# SPDX-License-Identifier: AGPL-3.0-or-later
"""What revocation lists say about a certificate as of a moment (RFC 5280 §6.3)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import Enum

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import ExtensionOID

_KNOWN_CRITICAL = {ExtensionOID.ISSUING_DISTRIBUTION_POINT}


class Status(Enum):
    """The word of the lists."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


def status_of(
    cert: x509.Certificate,
    issuer: x509.Certificate,
    crls: Iterable[x509.CertificateRevocationList],
    at: datetime,
) -> Status:
    """Whether ``cert`` was revoked at ``at``, by the lists that ``issuer`` signed.

    A list speaks for ``at`` when it was made after ``at`` (it remembers) or is still current then.
    A revocation counts from its date, or from its invalidity date when that is earlier.
    """
    answer = Status.UNKNOWN
    for crl in crls:
        try:
            if crl.issuer != cert.issuer or not _usable(crl, cert, issuer):
                continue
            entry = crl.get_revoked_certificate_by_serial_number(cert.serial_number)
            since = _since(entry) if entry is not None else None
        except (ValueError, TypeError, UnsupportedAlgorithm):
            continue
        if since is not None and since <= at:
            return Status.REVOKED
        if since is not None or _speaks_for(crl, at):
            answer = Status.GOOD
    return answer


def lists_about(
    certificates: Iterable[x509.Certificate], crls: Iterable[x509.CertificateRevocationList]
) -> list[x509.CertificateRevocationList]:
    """The lists of those who issued these certificates: what is worth carrying along with them."""
    issuers = {one.issuer for one in certificates}
    return [one for one in crls if one.issuer in issuers]


def current(crl: x509.CertificateRevocationList, at: datetime) -> bool:
    """Whether ``at`` lies between thisUpdate and nextUpdate."""
    return crl.last_update_utc <= at and (crl.next_update_utc is None or at <= crl.next_update_utc)


def _speaks_for(crl: x509.CertificateRevocationList, at: datetime) -> bool:
    return crl.last_update_utc >= at or current(crl, at)


def _usable(crl: x509.CertificateRevocationList, cert: x509.Certificate, issuer: x509.Certificate) -> bool:
    """A full, direct list for this kind of certificate, signed by ``issuer``."""
    for extension in crl.extensions:
        value = extension.value
        if isinstance(value, x509.DeltaCRLIndicator):
            return False
        if isinstance(value, x509.IssuingDistributionPoint):
            authority = _is_authority(cert)
            if (
                value.indirect_crl
                or value.only_some_reasons
                or value.only_contains_attribute_certs
                or (value.only_contains_user_certs and authority)
                or (value.only_contains_ca_certs and not authority)
            ):
                return False
        elif extension.critical and extension.oid not in _KNOWN_CRITICAL:
            return False
    try:
        if not issuer.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign:
            return False
    except x509.ExtensionNotFound:
        pass
    return crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]


def _is_authority(cert: x509.Certificate) -> bool:
    try:
        return cert.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _since(entry: x509.RevokedCertificate) -> datetime | None:
    """When the certificate stopped being good; None for an entry that takes it off the list."""
    since = entry.revocation_date_utc
    for extension in entry.extensions:
        value = extension.value
        if isinstance(value, x509.CRLReason) and value.reason is x509.ReasonFlags.remove_from_crl:
            return None
        if isinstance(value, x509.InvalidityDate):
            since = min(since, value.invalidity_date.replace(tzinfo=UTC))
    return since
