# SPDX-License-Identifier: AGPL-3.0-or-later
"""Whose certificate it is: a person of an agency, an agency, or a time-stamp authority (DESIGN 4.18)."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from exchange.trust.verdict import Role

FILE_APPROVED = x509.ObjectIdentifier("1.3.6.1.4.1.32473.4.15.1")
"""Certificate policy of a key approved by file (demo and tests only, DESIGN 4.15); RFC 5612 example arc."""
APPROVES = x509.ObjectIdentifier("1.3.6.1.4.1.32473.4.15.4")
"""Extended key usage of a passkey's certificate: it approves the use of keys and signs nothing else."""
APPROVALS = {
    "file": FILE_APPROVED,
    "passkey": x509.ObjectIdentifier("1.3.6.1.4.1.32473.4.15.2"),
    "token": x509.ObjectIdentifier("1.3.6.1.4.1.32473.4.15.3"),
}
"""Approval mode of a key → the certificate policy that says so."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The holder of a certificate. ``code`` is the agency's code (or "" when the subject has none).

    ``approval``: how each use of the key is approved (a key of `APPROVALS`), "" when it does not say.
    """

    name: str
    organisation: str
    title: str
    code: str
    role: Role
    addresses: tuple[str, ...]
    approval: str

    @property
    def file_approved(self) -> bool:
        """A key of a demo or a test."""
        return self.approval == "file"


def subject_of(certificate: x509.Certificate) -> Subject:
    """Reads the subject. An agency has a serialNumber, or (foreign) a CN that begins with its O."""
    name = _attribute(certificate, NameOID.COMMON_NAME)
    organisation = _attribute(certificate, NameOID.ORGANIZATION_NAME)
    title = _attribute(certificate, NameOID.TITLE)
    code = _attribute(certificate, NameOID.SERIAL_NUMBER)
    role: Role = "person"
    if _only_time_stamps(certificate):
        role = "timestamp"
    elif not title and (code or (organisation and plain(name).startswith(plain(organisation)))):
        role = "organisation"
    return Subject(
        name=name or certificate.subject.rfc4514_string(),
        organisation=organisation,
        title=title,
        code=code if role == "organisation" else "",
        role=role,
        addresses=addresses_of(certificate),
        approval=_approval(certificate),
    )


def addresses_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """The e-mail addresses in the subject alternative name, lower case."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return tuple(one.lower() for one in names.get_values_for_type(x509.RFC822Name))
    except (x509.ExtensionNotFound, ValueError):
        return ()


def plain(text: str) -> str:
    """``text`` for comparing names: NFC, case folded, one space between words."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def _attribute(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    values = certificate.subject.get_attributes_for_oid(oid)
    value = values[0].value if values else ""
    return value if isinstance(value, str) else ""


def _only_time_stamps(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return list(usage) == [ExtendedKeyUsageOID.TIME_STAMPING]


def _approval(certificate: x509.Certificate) -> str:
    try:
        policies = certificate.extensions.get_extension_for_class(x509.CertificatePolicies).value
    except (x509.ExtensionNotFound, ValueError):
        return ""
    said = {one.policy_identifier for one in policies}
    return next((mode for mode, policy in APPROVALS.items() if policy in said), "")
