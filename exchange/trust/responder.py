# SPDX-License-Identifier: AGPL-3.0-or-later
"""Answers of our issuing authority to OCSP questions (RFC 6960, RFC 9654 for the nonce), from its own revocation list.

The authority answers itself, so no certificate of a responder is needed. GOOD means: not on the list (RFC 6960 §2.2);
several questions in one request are not answered (MALFORMED_REQUEST), another authority's are UNAUTHORIZED.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from exchange.trust.authority import Authority
from exchange.trust.ocsp import names_issuer

MAX_REQUEST = 4096
LIFE = timedelta(hours=1)
_MAX_NONCE = 128


def answer(
    request: bytes,
    authority: Authority,
    crl: x509.CertificateRevocationList,
    now: datetime | None = None,
) -> bytes:
    """The response (DER) to a request (DER), good for an hour."""
    moment = (now or datetime.now(UTC)).replace(microsecond=0)
    try:
        if len(request) > MAX_REQUEST:
            raise ValueError
        asked = ocsp.load_der_ocsp_request(request)
        named = names_issuer(asked, authority.certificate)
        nonce = _nonce(asked)
    except (ValueError, TypeError, NotImplementedError, UnsupportedAlgorithm):
        return _error(ocsp.OCSPResponseStatus.MALFORMED_REQUEST)
    if not named:
        return _error(ocsp.OCSPResponseStatus.UNAUTHORIZED)
    entry = crl.get_revoked_certificate_by_serial_number(asked.serial_number)
    status = ocsp.OCSPCertStatus.GOOD if entry is None else ocsp.OCSPCertStatus.REVOKED
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response_by_hash(
            asked.issuer_name_hash,
            asked.issuer_key_hash,
            asked.serial_number,
            asked.hash_algorithm,
            status,
            moment,
            moment + LIFE,
            entry.revocation_date_utc if entry is not None else None,
            _reason(entry) if entry is not None else None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, authority.certificate)
    )
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), False)
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(Encoding.DER)


def is_unauthorized(response: bytes) -> bool:
    """Whether an answer says that the question is about another authority's certificate."""
    return ocsp.load_der_ocsp_response(response).response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED


def _error(status: ocsp.OCSPResponseStatus) -> bytes:
    return ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)


def _nonce(request: ocsp.OCSPRequest) -> bytes | None:
    try:
        value = request.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    except x509.ExtensionNotFound:
        return None
    if not 1 <= len(value) <= _MAX_NONCE:
        raise ValueError("nonce")
    return value


def _reason(entry: x509.RevokedCertificate) -> x509.ReasonFlags | None:
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except x509.ExtensionNotFound:
        return None
