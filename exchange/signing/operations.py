# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the signer does with its keys: a closed list of narrow operations, nothing else.

Each takes plain values from a request and gives plain values with the `Use` that the caller writes
into the ledger. Every signing operation fixes what may be signed, so that none can stand in for another.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, keywrap
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF

from config.durable import write_durably
from config.refusal import Refused
from exchange.signing import signed_attributes
from exchange.signing.issuing import Issuing
from exchange.signing.keys import Approval, KeyMissing, KeyStore, KeyUnreadable
from exchange.signing.protocol import PersonApproval, SealApproval
from exchange.signing.provision import AgencyKeys, PersonKey
from exchange.signing.statement import statement_bytes
from exchange.signing.timestamp import BadRequest, TimestampAuthority
from exchange.signing.uses import Uses
from exchange.trust.directory import TrustDirectory

Values = dict[str, Any]

_KDF_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1,
    "sha224": hashes.SHA224,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}
_PURPOSES = ("receive", "open")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SIGNED_INFO = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?SignedInfo[\s>]")
_XML_DSIG = b"http://www.w3.org/2000/09/xmldsig#"
_SERIAL_BLOCK = 1000
_MAX_XML = 16 * 1024
_MAX_STATEMENT = 128 * 1024


class Operations:
    """The operations over one store. Methods named ``op_<name>`` are the requests that exist."""

    def __init__(self, store: KeyStore, directory: TrustDirectory, state: Path, origin: str) -> None:
        self._store = store
        self._directory = directory
        self._state = state
        self._origin = origin
        self._uses = Uses(state / "uses.log")
        self._issuing = Issuing(store, directory, state / "authority.json")
        self._serials = _Serials(state / "timestamp.serial")
        self._stamps: TimestampAuthority | None = None

    def close(self) -> None:
        """Closes the log."""
        self._uses.close()

    # --- signatures in PDF files

    def op_sign_person(self, request: Values) -> Values:
        """``address, approval, prepared_digest, signed_attrs`` → signature of the person."""
        approval = PersonApproval(**_object(request, "approval"))
        address = _text(request, "address").lower()
        name = f"person:{address}"
        digest = _bytes(request, "prepared_digest", 32)
        attributes = _bytes(request, "signed_attrs")
        key, mode = self._store.elliptic(name)
        signed_attributes.check(attributes, digest, with_time=False, initials=approval.purpose == "initial")
        _same_mode(mode, approval.mode)
        if not _DIGEST.fullmatch(approval.document) or approval.by.lower() != address:
            raise _approval_incomplete()
        use = self._uses.approve(
            "sign_person",
            name,
            who=approval.by,
            purpose=approval.document,
            digest=digest.hex(),
            approval_id=approval.id,
            at=approval.at,
            mode=approval.mode,
        )
        return {"signature": _sign(key, attributes), "use": asdict(use)}

    def op_seal_agency(self, request: Values) -> Values:
        """``code, approval, prepared_digest, signed_attrs`` → signature of the agency, once a row."""
        approval = SealApproval(**_object(request, "approval"))
        name = f"agency-sign:{_text(request, 'code')}"
        digest = _bytes(request, "prepared_digest", 32)
        attributes = _bytes(request, "signed_attrs")
        key, mode = self._store.elliptic(name)
        signed_attributes.check(attributes, digest, with_time=False)
        _same_mode(mode, approval.mode)
        named = approval.by and approval.register_row and approval.template
        if not named or not _DIGEST.fullmatch(approval.person_signed_digest):
            raise _approval_incomplete()
        use = self._uses.seal(
            name,
            who=approval.by,
            template=approval.template,
            row=approval.register_row,
            person_signed=approval.person_signed_digest,
            digest=digest.hex(),
            approval_id=approval.id,
            at=approval.at,
            mode=approval.mode,
        )
        return {"signature": _sign(key, attributes), "use": asdict(use)}

    # --- signatures on what travels

    def op_sign_packet(self, request: Values) -> Values:
        """``code, signed_attrs`` (with signing-time) → signature of the agency on a packet."""
        name = f"agency-sign:{_text(request, 'code')}"
        attributes = _bytes(request, "signed_attrs")
        digest = signed_attributes.message_digest(attributes)
        signed_attributes.check(attributes, digest, with_time=True)
        key, _ = self._store.elliptic(name)
        use = self._uses.record("sign_packet", name, digest=digest.hex())
        return {"signature": _sign(key, attributes), "use": asdict(use)}

    def op_sign_xml(self, request: Values) -> Values:
        """``code, signed_info`` (canonical ds:SignedInfo) → signature (DER) of the agency."""
        name = f"agency-sign:{_text(request, 'code')}"
        info = _bytes(request, "signed_info")
        if len(info) > _MAX_XML or not _SIGNED_INFO.match(info) or _XML_DSIG not in info:
            raise Refused(
                "not-signed-info", "Không phải SignedInfo của chữ ký XML.", "Not the SignedInfo of XML-DSig."
            )
        key, _ = self._store.elliptic(name)
        use = self._uses.record("sign_xml", name, digest=hashlib.sha256(info).hexdigest())
        return {"signature": _sign(key, info), "use": asdict(use)}

    def op_sign_statement(self, request: Values) -> Values:
        """``code, label, body`` → signature (DER) of the agency over `statement_bytes`."""
        name = f"agency-sign:{_text(request, 'code')}"
        label, body = _text(request, "label"), _bytes(request, "body")
        if len(body) > _MAX_STATEMENT:
            raise _bad("body")
        signed = statement_bytes(label, body)
        key, _ = self._store.elliptic(name)
        digest = hashlib.sha256(body).hexdigest()
        use = self._uses.record("sign_statement", name, purpose=label, digest=digest)
        return {"signature": _sign(key, signed), "use": asdict(use)}

    def op_checkpoint(self, request: Values) -> Values:
        """``body`` (a checkpoint of our ledger) → Ed25519 signature, 64 bytes."""
        body = _bytes(request, "body")
        pattern = re.escape(self._origin.encode()) + rb"\n(0|[1-9]\d{0,18})\n[A-Za-z0-9+/]{43}=\n"
        if len(body) > 4096 or not re.match(pattern, body) or b"\n\n" in body or not body.endswith(b"\n"):
            raise Refused(
                "not-our-checkpoint",
                "Không phải điểm kiểm tra của sổ cái này.",
                "Not a checkpoint of this ledger.",
            )
        key, _ = self._store.get("ledger")
        if not isinstance(key, ed25519.Ed25519PrivateKey):
            raise KeyUnreadable("ledger")
        return {"signature": key.sign(body)}

    def op_timestamp(self, request: Values) -> Values:
        """``request`` (TimeStampReq) → ``response``, or ``digest`` and ``algorithm`` → ``token``."""
        stamps = self._timestamps()
        if "request" in request:
            return {"response": stamps.answer(_bytes(request, "request"))}
        algorithm = _text(request, "algorithm") if "algorithm" in request else "sha256"
        try:
            return {"token": stamps.token(_bytes(request, "digest"), algorithm)}
        except BadRequest:
            raise _bad("digest") from None

    # --- opening

    def op_unwrap(self, request: Values) -> Values:
        """A key for one content from an ECDH recipient (RFC 5753 §3, X9.63 KDF, RFC 3394 wrap).

        ``code, purpose`` (receive|open)``, who, originator`` (uncompressed point)``, shared_info``
        (DER ECC-CMS-SharedInfo)``, kdf`` (sha256…)``, wrap_bits`` (128|192|256)``, wrapped`` → ``key``.
        """
        name = f"agency-decrypt:{_text(request, 'code')}"
        purpose, who = _purpose(request), _text(request, "who") if "who" in request else ""
        kdf, bits = _text(request, "kdf"), request.get("wrap_bits")
        info, wrapped = _bytes(request, "shared_info"), _bytes(request, "wrapped")
        if kdf not in _KDF_HASHES or bits not in (128, 192, 256) or len(info) > 4096 or len(wrapped) > 128:
            raise _bad("kdf")
        key, _ = self._store.elliptic(name)
        use = self._uses.record(
            "unwrap", name, who=who, purpose=purpose, digest=hashlib.sha256(wrapped).hexdigest()
        )
        try:
            point = ec.EllipticCurvePublicKey.from_encoded_point(key.curve, _bytes(request, "originator"))
            secret = key.exchange(ec.ECDH(), point)
            wrapping = X963KDF(_KDF_HASHES[kdf](), bits // 8, info).derive(secret)
            return {"key": keywrap.aes_key_unwrap(wrapping, wrapped), "use": asdict(use)}
        except (ValueError, keywrap.InvalidUnwrap):
            raise Refused(
                "does-not-open",
                "Gói tin không mã hóa cho khóa này hoặc đã bị hỏng.",
                "The packet is not encrypted to this key, or it is damaged.",
            ) from None

    def op_wrap_document_key(self, request: Values) -> Values:
        """``code`` → ``key`` (32 bytes) and ``wrapped``, which only `op_unwrap_document_key` opens."""
        code = _text(request, "code")
        key = secrets.token_bytes(32)
        return {"key": key, "wrapped": self._store.wrap(key, f"document {code}")}

    def op_unwrap_document_key(self, request: Values) -> Values:
        """``code, wrapped, purpose, who`` → ``key``."""
        code, who = _text(request, "code"), _text(request, "who")
        wrapped = _bytes(request, "wrapped")
        if len(wrapped) > 256:
            raise _bad("wrapped")
        key = self._store.unwrap(wrapped, f"document {code}")
        use = self._uses.record(
            "unwrap_document_key",
            f"document:{code}",
            who=who,
            purpose=_purpose(request),
            digest=hashlib.sha256(wrapped).hexdigest(),
        )
        return {"key": key, "use": asdict(use)}

    # --- the authority

    def op_crl(self, request: Values) -> Values:
        """Renews the revocation lists that are older than a day; gives the names of those renewed."""
        return {"renewed": self._issuing.renew()}

    def op_revoke(self, request: Values) -> Values:
        """``serial`` (hex)``, reason, who``: revokes a certificate of our issuing authority."""
        serial = _text(request, "serial")
        if not re.fullmatch(r"[0-9a-fA-F]{1,40}", serial):
            raise _bad("serial")
        reason, who = _text(request, "reason"), _text(request, "who")
        self._issuing.revoke(int(serial, 16), reason)
        return {
            "use": asdict(self._uses.record("revoke", "ca-issuing", who=who, purpose=f"{serial} {reason}"))
        }

    def op_add_agency(self, request: Values) -> Values:
        """``agency`` {code, name, registry}``, who``: keys and certificates (file approval)."""
        agency = AgencyKeys(**_object(request, "agency"))
        self._issuing.agency(agency)
        use = self._uses.record("issue", "ca-issuing", who=_text(request, "who"), purpose=agency.code)
        return {"use": asdict(use)}

    def op_add_person(self, request: Values) -> Values:
        """``person`` {address, name, title, agency}``, who``: key and certificate (file approval)."""
        person = PersonKey(**_object(request, "person"))
        self._issuing.person(person)
        use = self._uses.record("issue", "ca-issuing", who=_text(request, "who"), purpose=person.address)
        return {"use": asdict(use)}

    def op_status(self, request: Values) -> Values:
        """That it lives, and which keys it holds."""
        return {"keys": len(self._store.names()), "origin": self._origin}

    def _timestamps(self) -> TimestampAuthority:
        if self._stamps is None:
            key, _ = self._store.elliptic("tsa")
            certificate, issuer = (
                self._directory.timestamp_certificate(),
                self._directory.issuing_certificate(),
            )
            if certificate is None:
                raise KeyMissing("tsa")
            chain: tuple[x509.Certificate, ...] = (issuer,) if issuer is not None else ()
            self._stamps = TimestampAuthority(key, certificate, chain, self._serials.next)
        return self._stamps


class _Serials:
    """Serial numbers of time-stamps: taken in blocks, so that one write serves a thousand."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next = int(path.read_text()) if path.exists() else 1
        self._end = self._next

    def next(self) -> int:
        """A number never given before, also after a crash."""
        if self._next >= self._end:
            self._end = self._next + _SERIAL_BLOCK
            write_durably(self._path, str(self._end).encode(), mode=0o600)
        self._next += 1
        return self._next - 1


def _sign(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    return key.sign(data, ec.ECDSA(hashes.SHA256()))


def _same_mode(of_key: Approval, of_approval: str) -> None:
    if of_key == "file" and of_approval == "file":
        return
    raise Refused(
        "approval-mode",
        f"Khóa này phải được phê duyệt bằng {of_key}; phê duyệt bằng {of_approval} không được chấp nhận.",
        f"This key must be approved by {of_key}; an approval by {of_approval} is not accepted.",
    )


def _purpose(request: Values) -> str:
    purpose = _text(request, "purpose")
    if purpose not in _PURPOSES:
        raise _bad("purpose")
    return purpose


def _approval_incomplete() -> Refused:
    return Refused(
        "approval-incomplete",
        "Phê duyệt ký thiếu người duyệt, mã băm hoặc số trong sổ.",
        "The approval lacks who approves, a digest, or the register row.",
    )


def _bad(field: str) -> Refused:
    return Refused(
        "bad-request",
        f"Yêu cầu ký sai ở trường {field}.",
        f"The request to the signer is wrong in its field {field}.",
    )


def _text(request: Values, field: str) -> str:
    value = request.get(field)
    if not isinstance(value, str) or not 0 < len(value) <= 500:
        raise _bad(field)
    return value


def _bytes(request: Values, field: str, size: int | None = None) -> bytes:
    value = request.get(field)
    if not isinstance(value, bytes) or (size is not None and len(value) != size):
        raise _bad(field)
    return value


def _object(request: Values, field: str) -> Values:
    value = request.get(field)
    if not isinstance(value, dict) or not all(isinstance(one, (str, int)) for one in value.values()):
        raise _bad(field)
    return value
