# SPDX-License-Identifier: AGPL-3.0-or-later
"""A CMS signature inside a PDF and its time-stamp: bytes first, then certificate and moment.

The arithmetic (RFC 5652 §5.4–5.6) is pyHanko's, the chain is `exchange.trust.chain`: so one judge of
certificates serves PDF, packets and XML. Following EN 319 102-1: a time-stamp that is broken fails the
signature; one that leads to no trusted authority only proves no time.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from asn1crypto import cms, core, parser, tsp
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.sign.general import (
    CMSExtractionError,
    SignedDataCerts,
    SigningError,
    extract_certificate_info,
)
from pyhanko.sign.validation.errors import SignatureValidationError
from pyhanko.sign.validation.generic_cms import validate_sig_integrity

from config.clock import VIETNAM
from exchange.trust.anchors import Anchors
from exchange.trust.chain import ChainResult, stray, validate_chain
from exchange.trust.subject import subject_of
from exchange.trust.verdict import FAILED, INDETERMINATE, PASSED, Outcome, SignatureVerdict

_DER = Encoding.DER
_STRONG = {"sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512"}
_MAX_CERTIFICATES = 64
_UNSIGNED = {"pdf_mac_data"}
"""Other unsigned attributes that may stand in a PDF (EN 319 142-1 §5.3); others may be altered ones."""
_SLACK = timedelta(minutes=5)
READING = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    IndexError,
    RecursionError,
    NotImplementedError,
    CMSExtractionError,
    SignatureValidationError,
    SigningError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
)
"""What reading a malformed CMS may raise; each means that it can't be read."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What the bytes say: "" or a sub-indication with its outcome, and the certificates carried."""

    outcome: Outcome
    sub_indication: str
    certificate: x509.Certificate | None
    others: tuple[x509.Certificate, ...]


@dataclass(frozen=True, slots=True)
class Stamp:
    """A time-stamp: its verdict, its moment, and whether its bytes hold and belong to the signature."""

    verdict: SignatureVerdict
    moment: datetime | None
    intact: bool


def check_bytes(signed_data: cms.SignedData, digest: bytes, content: str, *, bound: bool) -> Checked:
    """Digest, signature value and the binding of the certificate (ESS, RFC 5035).

    ``content`` is ``data`` or ``tst_info``; ``bound``: the certificate must be named in the attributes.
    """
    try:
        if len(signed_data["signer_infos"]) != 1:
            return Checked(FAILED, "FORMAT_FAILURE", None, ())
        signer = signed_data["signer_infos"][0]
        if not _understood(signer):
            return Checked(FAILED, "FORMAT_FAILURE", None, ())
        found = _certificates(signed_data)
        if found is None:
            return Checked(INDETERMINATE, "NO_SIGNING_CERTIFICATE_FOUND", None, ())
        own = x509.load_der_x509_certificate(found.signer_cert.dump())
        others = tuple(
            x509.load_der_x509_certificate(one.dump()) for one in found.other_certs[:_MAX_CERTIFICATES]
        )
        algorithm = signer["digest_algorithm"]["algorithm"].native
        intact, valid = validate_sig_integrity(signer, found.signer_cert, content, digest)
        if not intact:
            return Checked(FAILED, "HASH_FAILURE", own, others)
        if not valid:
            return Checked(FAILED, "SIG_CRYPTO_FAILURE", own, others)
        if not _consistent(signed_data, signer, own.issuer.public_bytes()) or not _bound(
            signer, found.signer_cert.dump(), bound
        ):
            return Checked(FAILED, "FORMAT_FAILURE", own, others)
        if algorithm not in _STRONG:
            return Checked(INDETERMINATE, "CRYPTO_CONSTRAINTS_FAILURE", own, others)
    except READING:
        return Checked(FAILED, "FORMAT_FAILURE", None, ())
    return Checked(PASSED, "", own, others)


def chain_at(
    checked: Checked,
    anchors: Anchors,
    stamped: datetime | None,
    claimed: datetime | None,
    now: datetime,
    require: bool,
) -> tuple[Outcome, str, ChainResult]:
    """The chain as of the proven moment; without one, as of the claimed moment and of now.

    What fails only now may have been good then, but nothing proves when it was: INDETERMINATE …_NO_POE.
    """
    assert checked.certificate is not None
    moment = stamped or claimed or now
    result = validate_chain(
        checked.certificate, checked.others, anchors, moment, require_revocation=require, usage="sign"
    )
    if result.status == PASSED:
        beside = stray(checked.others, result.path, anchors)
        if beside != PASSED:
            named = "FORMAT_FAILURE" if beside == FAILED else "NO_CERTIFICATE_CHAIN_FOUND"
            return beside, named, result
    if stamped is not None or result.status != PASSED:
        return result.status, result.sub_indication, result
    if moment > now + _SLACK:
        return INDETERMINATE, "TIMESTAMP_ORDER_FAILURE", result
    today = validate_chain(
        checked.certificate, checked.others, anchors, now, require_revocation=require, usage="sign"
    )
    if today.status == FAILED:
        named = "REVOKED_NO_POE" if today.sub_indication == "REVOKED" else "OUT_OF_BOUNDS_NO_POE"
        return INDETERMINATE, named, today
    return PASSED, "", result


def judge_stamp(
    signer: cms.SignerInfo,
    anchors: Anchors,
    require: bool,
    *,
    covers: bool,
    others: Iterable[x509.Certificate],
) -> Stamp | None:
    """The signature's time-stamp (RFC 3161 §2.4.2, Appendix A); None when it has none."""
    try:
        tokens = []
        for one in signer["unsigned_attrs"]:
            if one["type"].native == "signature_time_stamp_token":
                tokens += list(one["values"])
            elif one["type"].native not in _UNSIGNED:
                unknown = replace(_broken("FORMAT_FAILURE", covers), verdict=INDETERMINATE)
                return Stamp(unknown, None, True)
        if not tokens:
            return None
        return judge_token(tokens[0]["content"], signer["signature"].native, anchors, require, covers, others)
    except READING:
        return Stamp(_broken("FORMAT_FAILURE", covers), None, False)


def judge_token(
    signed_data: cms.SignedData,
    over: bytes | None,
    anchors: Anchors,
    require: bool,
    covers: bool,
    others: Iterable[x509.Certificate] = (),
    digests: dict[str, bytes] | None = None,
) -> Stamp:
    """A token over the bytes ``over`` (or over what ``digests`` are of, by algorithm)."""
    try:
        content = signed_data["encap_content_info"]["content"]
        info = content.parsed
        if not isinstance(info, tsp.TSTInfo):
            return Stamp(_broken("FORMAT_FAILURE", covers), None, False)
        algorithm = info["message_imprint"]["hash_algorithm"]["algorithm"].native
        said = info["message_imprint"]["hashed_message"].native
        moment = info["gen_time"].native
        own_algorithm = signed_data["signer_infos"][0]["digest_algorithm"]["algorithm"].native
        own_digest = hashlib.new(own_algorithm, bytes(content)).digest()
    except READING:
        return Stamp(_broken("FORMAT_FAILURE", covers), None, False)
    checked = check_bytes(signed_data, own_digest, "tst_info", bound=True)
    if algorithm not in _STRONG:
        actual = b""
    elif over is not None:
        actual = hashlib.new(algorithm, over).digest()
    else:
        actual = (digests or {}).get(algorithm, b"")
    if checked.outcome == FAILED or checked.certificate is None or not hmac.compare_digest(actual, said):
        return Stamp(_broken("TIMESTAMP_INVALID", covers), None, False)
    result = validate_chain(
        checked.certificate,
        (*checked.others, *others),
        anchors,
        moment,
        require_revocation=require,
        usage="timestamp",
    )
    if result.status == PASSED and stray(checked.others, result.path, anchors) != PASSED:
        return Stamp(_broken("TIMESTAMP_INVALID", covers), None, False)
    subject = subject_of(checked.certificate)
    verdict = SignatureVerdict(
        signer=subject.name,
        organisation=subject.organisation,
        role="timestamp",
        time=iso(moment),
        verdict=result.status if checked.outcome == PASSED else checked.outcome,
        sub_indication=result.sub_indication or checked.sub_indication,
        revocation=result.revocation,
        covers_whole_file=covers,
        certificate=checked.certificate.public_bytes(_DER),
        stamped=True,
    )
    return Stamp(verdict, moment if verdict.verdict == PASSED else None, True)


def iso(moment: datetime) -> str:
    """ISO 8601 in Vietnam time, to the second."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return aware.astimezone(VIETNAM).isoformat(timespec="seconds")


def _broken(sub_indication: str, covers: bool) -> SignatureVerdict:
    return SignatureVerdict(
        signer="",
        organisation="",
        role="timestamp",
        time="",
        verdict=FAILED,
        sub_indication=sub_indication,
        covers_whole_file=covers,
    )


def _certificates(signed_data: cms.SignedData) -> SignedDataCerts | None:
    try:
        return extract_certificate_info(signed_data)
    except CMSExtractionError:
        return None


def _consistent(signed_data: cms.SignedData, signer: cms.SignerInfo, issuer: bytes) -> bool:
    """The parts of CMS that nothing signs agree with those that are signed."""
    listed = [one["algorithm"].native for one in signed_data["digest_algorithms"]]
    by_key = signer["sid"].name == "subject_key_identifier"
    if not by_key and signer["sid"].chosen["issuer"].dump() != issuer:
        return False
    return (
        listed == [signer["digest_algorithm"]["algorithm"].native]
        and signer["version"].native == ("v3" if by_key else "v1")
        and signed_data["version"].native in ("v1", "v3", "v4", "v5")
    )


def _understood(signer: cms.SignerInfo) -> bool:
    """Whether every element was read: asn1crypto passes over those behind what it knows."""
    content, count, at = signer.contents, 0, 0
    while at < len(content):
        at += parser.peek(content[at:])
        count += 1
    optional = ("signed_attrs", "unsigned_attrs")
    return count == 5 + sum(not isinstance(signer[one], core.Void) for one in optional)


def _bound(signer: cms.SignerInfo, certificate: bytes, must: bool) -> bool:
    for one in signer["signed_attrs"]:
        kind = one["type"].native
        if kind not in ("signing_certificate", "signing_certificate_v2"):
            continue
        first = one["values"][0]["certs"][0]
        algorithm = "sha1" if kind == "signing_certificate" else first["hash_algorithm"]["algorithm"].native
        actual = hashlib.new(algorithm, certificate).digest()
        return hmac.compare_digest(first["cert_hash"].native, actual)
    return not must
