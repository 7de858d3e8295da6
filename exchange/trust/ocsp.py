# SPDX-License-Identifier: AGPL-3.0-or-later
"""What OCSP responses say about a certificate as of a moment (RFC 6960); offline, from what is stored or carried."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from config.refusal import Refused
from exchange.trust.revocation import Status

MAX_RESPONSES = 64
_HASHES = {"sha1": hashlib.sha1, "sha256": hashlib.sha256, "sha384": hashlib.sha384, "sha512": hashlib.sha512}
_STRONG = {"sha256", "sha384", "sha512"}


def read_response(data: bytes, what: str = "OCSP") -> ocsp.OCSPResponse:
    """A response (DER). Raises `Refused`, also for one that reports an error."""
    try:
        found = ocsp.load_der_ocsp_response(data)
        if found.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise ValueError
        _ = (found.certificates, found.responder_name, found.responder_key_hash, list(found.responses))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Refused(
            "trust-unreadable",
            f"{what}: không phải trả lời OCSP dùng được.",
            f"{what}: not a usable OCSP response.",
        ) from None
    return found


def ocsp_status(
    cert: x509.Certificate, issuer: x509.Certificate, responses: Iterable[ocsp.OCSPResponse], at: datetime
) -> Status:
    """Whether ``cert`` was revoked at ``at``, by the responses that ``issuer`` or its delegate signed.

    A response speaks for ``at`` when it was made after ``at``, or is still current then; a revocation counts
    from its date. SHA-1 in the identifier is a look-up, in the signature it is no proof.
    """
    answer = Status.UNKNOWN
    asked = 0
    for response in responses:
        try:
            ours = [one for one in response.responses if _speaks_of(one, cert, issuer)]
            asked += bool(ours)
            if not ours or asked > MAX_RESPONSES or not _signed(response, issuer):
                continue
        except (ValueError, TypeError, UnsupportedAlgorithm):
            continue
        for one in ours:
            if one.certificate_status is ocsp.OCSPCertStatus.REVOKED:
                since = one.revocation_time_utc
                if since is None or since <= at:
                    return Status.REVOKED
                answer = Status.GOOD
            elif one.certificate_status is ocsp.OCSPCertStatus.GOOD and _current(one, at):
                answer = Status.GOOD
    return answer


def _speaks_of(one: ocsp.OCSPSingleResponse, cert: x509.Certificate, issuer: x509.Certificate) -> bool:
    return one.serial_number == cert.serial_number and names_issuer(one, issuer)


def names_issuer(one: ocsp.OCSPRequest | ocsp.OCSPSingleResponse, issuer: x509.Certificate) -> bool:
    """Whether the identifier (RFC 6960 §4.1.1 CertID) is of a certificate that ``issuer`` issued."""
    made = _HASHES.get(one.hash_algorithm.name)
    return (
        made is not None
        and one.issuer_name_hash == made(issuer.subject.public_bytes()).digest()
        and one.issuer_key_hash == made(_key_bits(issuer)).digest()
    )


def _current(one: ocsp.OCSPSingleResponse, at: datetime) -> bool:
    made = one.this_update_utc
    return made >= at or (one.next_update_utc is not None and at <= one.next_update_utc) or made == at


def _signed(response: ocsp.OCSPResponse, issuer: x509.Certificate) -> bool:
    """By the issuer itself, or by one it named for this (RFC 6960 §4.2.2.2), whose own time has not run out."""
    algorithm = response.signature_hash_algorithm
    if algorithm is not None and algorithm.name not in _STRONG:
        return False
    made = response.produced_at_utc
    for one in (issuer, *response.certificates[:8]):
        if one is not issuer and not _delegated(one, issuer, made):
            continue
        if _verifies(one, response):
            return True
    return False


def _delegated(one: x509.Certificate, issuer: x509.Certificate, at: datetime) -> bool:
    try:
        one.verify_directly_issued_by(issuer)
        purposes = one.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, x509.ExtensionNotFound):
        return False
    return ExtendedKeyUsageOID.OCSP_SIGNING in purposes and (
        one.not_valid_before_utc <= at.replace(tzinfo=UTC) <= one.not_valid_after_utc
    )


def _verifies(one: x509.Certificate, response: ocsp.OCSPResponse) -> bool:
    key, digest = one.public_key(), response.signature_hash_algorithm
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and digest is not None:
            key.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(digest))
        elif isinstance(key, rsa.RSAPublicKey) and digest is not None:
            key.verify(response.signature, response.tbs_response_bytes, padding.PKCS1v15(), digest)
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(response.signature, response.tbs_response_bytes)
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _key_bits(certificate: x509.Certificate) -> bytes:
    """The bits of the public key, without algorithm (what the identifier digests)."""
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    if isinstance(key, rsa.RSAPublicKey):
        return key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    return certificate.public_key().public_bytes_raw()  # type: ignore[union-attr]
