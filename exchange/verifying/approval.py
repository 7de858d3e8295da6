# SPDX-License-Identifier: AGPL-3.0-or-later
"""The verdict on a person's yes by passkey, offline: what it says, whose passkey it was, which signature it allowed.

A file ``{"approval": {…}, "certificates": [PEM, …]}``: the approval as `exchange.signing.phone.approval` writes
it, the passkey's certificate and its issuer. It must say yes to exactly the bytes that a person's signature in
one of the PDFs covers (``sign``, ``initial``) or to the file that the person signed (``seal``).
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.pdf_utils.reader import PdfFileReader
from webauthn.helpers import encode_cbor
from webauthn.helpers.cose import COSEAlgorithmIdentifier as Algorithm

from config.clock import to_utc
from config.refusal import Refused
from exchange.sealing.judging import Judging
from exchange.signing.phone.approval import Approval, check_assertion
from exchange.trust.chain import validate_chain
from exchange.trust.subject import APPROVES, Subject, addresses_of, subject_of
from exchange.trust.verdict import FAILED, INDETERMINATE, PASSED, Outcome, SignatureVerdict, Verdict

MAX_FILE = 64 * 1024
_LIVES_US = 300_000_000


@dataclass(frozen=True, slots=True)
class Covered:
    """What one signature of a PDF covers: ``digest`` (hex) over its byte range, and who made it, how approved."""

    digest: str
    signer: Subject
    before: str
    """SHA-256 (hex) of the file as it was after the signature before this one (a seal: the person-signed file),
    or as it was prepared for the first signature."""


def write_approval(approval: Approval, certificates: Sequence[x509.Certificate]) -> bytes:
    """The file of one approval."""
    told = {
        "approval": json.loads(approval.as_json()),
        "certificates": [one.public_bytes(Encoding.PEM).decode("ascii") for one in certificates],
    }
    return json.dumps(told, ensure_ascii=False, sort_keys=True, indent=1).encode() + b"\n"


def covered_by(pdf: bytes) -> list[Covered]:
    """The signatures of a PDF; none when it can't be read."""
    found = []
    try:
        reader = PdfFileReader(io.BytesIO(pdf), strict=False)
        signatures = sorted(reader.embedded_regular_signatures, key=lambda one: one.signed_revision)[:32]
        for one in signatures:
            numbers = [int(number) for number in one.byte_range]
            certificate = x509.load_der_x509_certificate(one.signer_cert.dump())
            ends = [end for other in signatures if (end := _end(other)) < numbers[2] + numbers[3]]
            before = hashlib.sha256(pdf[: max(ends) if ends else _prepared_end(pdf, numbers[1])]).hexdigest()
            whole = hashlib.sha256(pdf[numbers[0] : numbers[0] + numbers[1]])
            whole.update(pdf[numbers[2] : numbers[2] + numbers[3]])
            found.append(Covered(whole.hexdigest(), subject_of(certificate), before))
    except Exception:
        return []
    return found


def verify_approval(data: bytes, judging: Judging, signatures: Iterable[Covered]) -> Verdict:
    """The verdict on one approval of an evidence file whose PDFs have these ``signatures``."""
    try:
        told = json.loads(data) if len(data) <= MAX_FILE else {}
        approval = Approval.read(json.dumps(told["approval"]))
        chain = [x509.load_pem_x509_certificate(one.encode()) for one in told["certificates"][:8]]
        own, others = chain[0], chain[1:]
        host = _host(own)
    except (Refused, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return _verdict(FAILED, "FORMAT_FAILURE", "the approval can't be read")
    said = approval.statement
    line = _line(own, approval)
    try:
        check_assertion(approval.assertion, approval.challenge(), _cose(own), host=host)
    except Refused:
        return _verdict(FAILED, "SIG_CRYPTO_FAILURE", "the passkey did not say yes to this", line)
    if said.signer.lower() not in addresses_of(own):
        return _verdict(FAILED, "SIGNER_IS_NOT_SENDER", "the passkey is another person's", line)
    if not any(_allows(approval, one) for one in signatures):
        return _verdict(FAILED, "HASH_FAILURE", "the approval is for another document", line)
    moment = to_utc(said.at)
    result = validate_chain(
        own, others, judging.anchors, moment, require_revocation=judging.require_revocation, usage="any"
    )
    if result.status != PASSED:
        return _verdict(result.status, result.sub_indication, "the passkey's certificate", line)
    return _verdict(PASSED, "", f"{said.signer} approved by passkey ({said.purpose})", line)


def missing_approvals(signatures: Iterable[Covered], approvals: Iterable[bytes]) -> Verdict | None:
    """A verdict when a signature by a key that needs a passkey has no approval beside it."""
    found = []
    for data in approvals:
        try:
            found.append(Approval.read(json.dumps(json.loads(data)["approval"])))
        except (Refused, ValueError, KeyError, TypeError, RecursionError):
            continue  # its own verdict says so
    for one in signatures:
        if one.signer.approval == "passkey" and not any(_allows(approval, one) for approval in found):
            return _verdict(
                INDETERMINATE, "APPROVAL_MISSING", f"the approval of {one.signer.name} is missing"
            )
    return None


def _allows(approval: Approval, signature: Covered) -> bool:
    """Whether the approval is the one for this signature."""
    said = approval.statement
    if said.purpose == "seal":
        return signature.signer.role == "organisation" and said.document == signature.before
    own = said.signer.lower() in signature.signer.addresses
    return own and signature.signer.role == "person" and said.document == signature.digest


def _prepared_end(pdf: bytes, place: int) -> int:
    """Where the revision before the first signature ends, whose value stands at ``place``."""
    mark = pdf.rfind(b"%%EOF", 0, place)
    if mark < 0:
        return 0
    end = mark + 5
    while pdf[end : end + 1] in (b"\r", b"\n"):
        end += 1
    return end


def _end(one: object) -> int:
    numbers = [int(number) for number in one.byte_range]  # type: ignore[attr-defined]
    return numbers[2] + numbers[3]


def _host(certificate: x509.Certificate) -> str:
    """The host a passkey's certificate is bound to. Raises ValueError, IndexError."""
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    if list(usage) != [APPROVES]:
        raise ValueError("no passkey's certificate")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.DNSName)[0]


def _cose(certificate: x509.Certificate) -> bytes:
    """The public key as COSE (RFC 9053)."""
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        numbers, size = key.public_numbers(), (key.key_size + 7) // 8
        told = {1: 2, 3: int(Algorithm.ECDSA_SHA_256), -1: 1}
        return encode_cbor(told | {-2: numbers.x.to_bytes(size, "big"), -3: numbers.y.to_bytes(size, "big")})
    if isinstance(key, rsa.RSAPublicKey):
        public = key.public_numbers()
        told = {1: 3, 3: int(Algorithm.RSASSA_PKCS1_v1_5_SHA_256)}
        modulus = public.n.to_bytes((public.n.bit_length() + 7) // 8, "big")
        return encode_cbor(told | {-1: modulus, -2: public.e.to_bytes(3, "big")})
    if isinstance(key, ed25519.Ed25519PublicKey):
        return encode_cbor({1: 1, 3: int(Algorithm.EDDSA), -1: 6, -2: key.public_bytes_raw()})
    raise Refused("passkey-refused", "Loại khóa không dùng được.", "A kind of key that is not used.")


def _line(certificate: x509.Certificate, approval: Approval) -> SignatureVerdict:
    subject = subject_of(certificate)
    return SignatureVerdict(
        signer=subject.name,
        organisation=subject.organisation,
        role="person",
        time=to_utc(approval.statement.at).isoformat(),
        verdict=PASSED,
        certificate=certificate.public_bytes(Encoding.DER),
    )


def _verdict(outcome: Outcome, sub: str, reason: str, line: SignatureVerdict | None = None) -> Verdict:
    lines = () if line is None else (replace(line, verdict=outcome, sub_indication=sub),)
    return Verdict(
        "evidence",
        outcome,
        reason,
        official=outcome == PASSED,
        signatures=lines,
        sub_indication=sub,
    )
