# SPDX-License-Identifier: AGPL-3.0-or-later
"""Chains of certificates, judged offline as of a moment (RFC 5280 §6, EN 319 102-1 §5.2.6).

Nothing here ever touches the network: revocation comes from the lists given and those a file
carries. Parsing and signature checks are those of `cryptography`; the walk is ours because we judge
as of the time of signing and need a sub-indication, not an exception.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from exchange.trust.anchors import Anchors
from exchange.trust.ocsp import ocsp_status
from exchange.trust.revocation import Status, status_of
from exchange.trust.verdict import FAILED, INDETERMINATE, PASSED, Authority, Outcome, Revocation

Usage = Literal["sign", "encrypt", "timestamp", "tls", "any"]

_MAX_DEPTH = 8
_MAX_HELPERS = 256
_MAX_TRIES = 64
_KNOWN_CRITICAL = {
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.KEY_USAGE,
    ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    ExtensionOID.CERTIFICATE_POLICIES,
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    ExtensionOID.SUBJECT_KEY_IDENTIFIER,
    ExtensionOID.CRL_DISTRIBUTION_POINTS,
}
_SIGNING_PURPOSES = {
    ExtendedKeyUsageOID.EMAIL_PROTECTION,
    ExtendedKeyUsageOID.CLIENT_AUTH,
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36"),  # documentSigning, RFC 9336
    x509.ObjectIdentifier("1.3.6.1.4.1.311.10.3.12"),  # the same, of Microsoft
    x509.ObjectIdentifier("1.2.840.113583.1.1.5"),  # the same, of Adobe
}


@dataclass(frozen=True, slots=True)
class ChainResult:
    """``path`` goes from the certificate to the anchor (empty when none was found)."""

    status: Outcome
    sub_indication: str
    revocation: Revocation
    path: tuple[x509.Certificate, ...]
    authority: Authority = "installation"


def validate_chain(
    cert: x509.Certificate,
    extra_certs: Iterable[x509.Certificate],
    anchors: Anchors,
    at: datetime,
    *,
    require_revocation: bool = False,
    usage: Usage = "sign",
) -> ChainResult:
    """Judges ``cert`` as of ``at`` (aware). Never raises for what a certificate holds.

    Revoked at or before ``at`` is TOTAL-FAILED/REVOKED. ``revocation`` speaks of the certificate
    itself (``revoked`` also when an authority above it was); with ``require_revocation`` every
    certificate below the anchor needs a word, else INDETERMINATE/TRY_LATER.
    """
    best: ChainResult | None = None
    helpers = [*extra_certs, *anchors.intermediates][:_MAX_HELPERS]
    try:
        for path in _paths(cert, helpers, anchors.roots):
            result = _judge(path, anchors, at, require_revocation, usage)
            if result.status == PASSED:
                return result
            if best is None or (best.status == INDETERMINATE and result.status == FAILED):
                best = result
    except (ValueError, TypeError, x509.DuplicateExtension, UnsupportedAlgorithm):
        return ChainResult(INDETERMINATE, "CHAIN_CONSTRAINTS_FAILURE", "not-checked", ())
    return best or ChainResult(INDETERMINATE, "NO_CERTIFICATE_CHAIN_FOUND", "not-checked", ())


def _paths(
    cert: x509.Certificate, helpers: list[x509.Certificate], roots: tuple[x509.Certificate, ...]
) -> Iterator[tuple[x509.Certificate, ...]]:
    """Every path from ``cert`` to a root by names and keys, signatures checked; bounded."""
    tries = _MAX_TRIES
    stack: list[tuple[x509.Certificate, ...]] = [(cert,)]
    while stack:
        path = stack.pop()
        last = path[-1]
        if last in roots:
            yield path
            continue
        if len(path) >= _MAX_DEPTH:
            continue
        found = []
        for issuer in (*roots, *helpers):
            if issuer.subject != last.issuer or issuer in path or (*path, issuer) in found:
                continue
            tries -= 1
            if tries < 0:
                return
            if issued(last, issuer):
                found.append((*path, issuer))
        stack.extend(reversed(found))


@lru_cache(maxsize=8192)
def issued(cert: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the key of ``issuer`` signed ``cert``; never raises."""
    try:
        cert.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def stray(
    carried: Iterable[x509.Certificate], path: tuple[x509.Certificate, ...], anchors: Anchors
) -> Outcome:
    """What the certificates that travel along but are not on ``path`` mean; TOTAL-PASSED: nothing.

    Nothing signs them, so an altered one would go unseen: one whose issuer is known and did not sign
    it is TOTAL-FAILED, one whose issuer is not known INDETERMINATE.
    """
    every = list(carried)[:_MAX_HELPERS]
    known = [*path, *anchors.roots, *anchors.intermediates, *every][: 2 * _MAX_HELPERS]
    answer: Outcome = PASSED
    for cert in every:
        if cert in path or cert in anchors.roots or cert in anchors.intermediates:
            continue
        issuers = [one for one in known if one.subject == cert.issuer][:_MAX_DEPTH]
        if not any(issued(cert, one) for one in issuers):
            if issuers:
                return FAILED
            answer = INDETERMINATE
    return answer


def _judge(
    path: tuple[x509.Certificate, ...], anchors: Anchors, at: datetime, require: bool, usage: Usage
) -> ChainResult:
    def no(status: Outcome, sub: str, revocation: Revocation = "not-checked") -> ChainResult:
        return ChainResult(status, sub, revocation, path)

    if not anchors.trusts(path[-1], at):
        return no(INDETERMINATE, "NO_CERTIFICATE_CHAIN_FOUND")
    for depth, cert in enumerate(path):
        if cert is path[-1] and depth > 0:
            break  # an anchor is trusted as it is
        if at < cert.not_valid_before_utc:
            return no(FAILED, "NOT_YET_VALID")
        if at > cert.not_valid_after_utc:
            return no(FAILED, "EXPIRED")
        if not _strong(cert.public_key()) or _weak_digest(cert):
            return no(INDETERMINATE, "CRYPTO_CONSTRAINTS_FAILURE")
        if any(one.critical and one.oid not in _KNOWN_CRITICAL for one in cert.extensions):
            return no(INDETERMINATE, "CHAIN_CONSTRAINTS_FAILURE")
    if not _may(path[0], usage):
        return no(INDETERMINATE, "CHAIN_CONSTRAINTS_FAILURE")
    for depth, authority in enumerate(path[1:]):
        if not _may_issue(authority, depth):
            return no(INDETERMINATE, "CHAIN_CONSTRAINTS_FAILURE")
    statuses = [_status(cert, issuer, anchors, at) for cert, issuer in pairwise(path)]
    if Status.REVOKED in statuses:
        return no(FAILED, "REVOKED", "revoked")
    own: Revocation = "good" if statuses and statuses[0] is Status.GOOD else "not-checked"
    if require and Status.UNKNOWN in statuses:
        return no(INDETERMINATE, "TRY_LATER", own)
    return ChainResult(PASSED, "", own, path, anchors.kind_of(path[-1]))


def _status(cert: x509.Certificate, issuer: x509.Certificate, anchors: Anchors, at: datetime) -> Status:
    """The word of lists and OCSP responses together: revoked by one is revoked."""
    said = {status_of(cert, issuer, anchors.crls, at), ocsp_status(cert, issuer, anchors.ocsps, at)}
    return next((one for one in (Status.REVOKED, Status.GOOD) if one in said), Status.UNKNOWN)


def _strong(key: object) -> bool:
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= 2048
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.key_size >= 256
    return isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey))


def _weak_digest(cert: x509.Certificate) -> bool:
    algorithm = cert.signature_hash_algorithm
    return algorithm is not None and algorithm.name in ("md5", "sha1")


def _may(cert: x509.Certificate, usage: Usage) -> bool:
    """Whether key usage and extended key usage let the certificate be used so."""
    if usage == "any":
        return True
    bits = _key_usage(cert)
    purposes = _purposes(cert)
    if usage == "encrypt":
        return bits is None or bits.key_agreement or bits.key_encipherment
    if bits is not None and not (bits.digital_signature or bits.content_commitment):
        return False
    if usage == "timestamp":
        return purposes is not None and ExtendedKeyUsageOID.TIME_STAMPING in purposes
    if usage == "tls":
        return purposes is None or ExtendedKeyUsageOID.SERVER_AUTH in purposes
    return purposes is None or bool(_SIGNING_PURPOSES & purposes)


def _may_issue(cert: x509.Certificate, below: int) -> bool:
    """Whether ``cert`` is an authority that may stand above ``below`` other authorities."""
    try:
        constraints = cert.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return False
    if not constraints.ca or (constraints.path_length is not None and constraints.path_length < below):
        return False
    bits = _key_usage(cert)
    return bits is None or bits.key_cert_sign


def _key_usage(cert: x509.Certificate) -> x509.KeyUsage | None:
    try:
        return cert.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return None


def _purposes(cert: x509.Certificate) -> set[x509.ObjectIdentifier] | None:
    try:
        return set(cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return None
