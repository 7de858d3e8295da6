# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the signer does with its keys: a closed list of narrow operations, nothing else.

Each takes plain values from a request and gives plain values with the `Use` that the caller writes
into the ledger. Every signing operation fixes what may be signed, so that none can stand in for another.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from cryptography.hazmat.primitives import hashes, keywrap
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF

from config.durable import write_durably
from config.refusal import Refused
from exchange.signing import signed_attributes
from exchange.signing.issuing import Issuing
from exchange.signing.key_operations import KeyOperations
from exchange.signing.keys import Approval, KeyMissing, KeyStore, KeyUnreadable
from exchange.signing.letters import LetterOperations
from exchange.signing.openpgp_keys import OpenPgpOperations
from exchange.signing.phone.approval import NOTHING_SHOWN, Purpose, Statement
from exchange.signing.phone.passkeys import Passkeys
from exchange.signing.protocol import PersonApproval, SealApproval, Use
from exchange.signing.requests import Values, bad, octets, plain, text
from exchange.signing.statement import statement_bytes
from exchange.signing.timestamp import BadRequest, TimestampAuthority
from exchange.signing.uses import Uses
from exchange.signing.wrong_pins import WrongPins
from exchange.trust.directory import TrustDirectory
from exchange.trust.status_places import checked_base
from policy.ledger.checkpoint import Key
from policy.ledger.succession import LINE

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

    def __init__(
        self,
        store: KeyStore,
        directory: TrustDirectory,
        state: Path,
        origin: str,
        host: str = "localhost",
        origins: tuple[str, ...] = (),
        status_url: str = "",
    ) -> None:
        """``host`` and ``origins``: those of the pages on which passkeys approve (WebAuthn)."""
        self._store = store
        self._directory = directory
        self._state = state
        self._origin = origin
        self._uses = Uses(state / "uses.log")
        self._serials = _Serials(state / "timestamp.serial")
        self._wrong_pins = WrongPins()
        self._stamps: TimestampAuthority | None = None
        self._passkeys = Passkeys(state / "passkeys", store, host, origins)
        issuing = Issuing(store, directory, state / "authority.json", checked_base(status_url))
        self._about_keys = KeyOperations(store, directory, self._uses, issuing, self._passkeys)
        self._openpgp = OpenPgpOperations(store, directory, self._uses)
        self._letters = LetterOperations(store, self._uses)

    def named(self, name: str) -> Callable[[Values], Values] | None:
        """The operation ``name``, None when there is none."""
        for holder in (self, self._about_keys, self._openpgp, self._letters):
            found: Callable[[Values], Values] | None = getattr(holder, f"op_{name}", None)
            if found is not None:
                return found
        return None

    def close(self) -> None:
        """Closes the log."""
        self._uses.close()

    # --- signatures in PDF files

    def op_sign_person(self, request: Values) -> Values:
        """``address, approval, prepared_digest, signed_attrs`` → signature of the person; mode token: ``pin``."""
        approval = PersonApproval(**plain(request, "approval"))
        address = text(request, "address").lower()
        name = f"person:{address}"
        digest = octets(request, "prepared_digest", 32)
        attributes = octets(request, "signed_attrs")
        mode = self._store.approval(name)
        signed_attributes.check(attributes, digest, with_time=False, initials=approval.purpose == "initial")
        _same_mode(mode, approval.mode)
        if not _DIGEST.fullmatch(approval.document) or approval.by.lower() != address:
            raise _approval_incomplete()
        if mode == "passkey":
            purpose: Purpose = "initial" if approval.purpose == "initial" else "sign"
            self._passkeys.check(
                approval.proof,
                Statement(purpose, address, digest.hex(), NOTHING_SHOWN, approval.at, approval.id),
            )
        if mode == "token":
            return self._with_pin(name, text(request, "pin", 64), approval, digest, attributes)
        key, _ = self._store.elliptic(name)
        use = self._approved(name, approval, digest)
        return {"signature": _sign(key, attributes), "use": asdict(use)}

    def _with_pin(
        self, name: str, pin: str, approval: PersonApproval, digest: bytes, attributes: bytes
    ) -> Values:
        """The PIN is proven by the token, then the use is written, then the key is used."""
        self._wrong_pins.ask(name)
        try:
            with self._store.opened(name, pin) as key:
                use = self._approved(name, approval, digest)
                return {"signature": _sign(key, attributes), "use": asdict(use)}
        except Refused as problem:
            if problem.code == "token-pin-wrong":
                self._wrong_pins.count(name)
            raise

    def _approved(self, name: str, approval: PersonApproval, digest: bytes) -> Use:
        return self._uses.approve(
            "sign_person",
            name,
            who=approval.by,
            purpose=approval.document,
            digest=digest.hex(),
            approval_id=approval.id,
            at=approval.at,
            mode=approval.mode,
        )

    def op_seal_agency(self, request: Values) -> Values:
        """``code, approval, prepared_digest, signed_attrs`` → signature of the agency, once a row."""
        approval = SealApproval(**plain(request, "approval"))
        name = f"agency-sign:{text(request, 'code')}"
        digest = octets(request, "prepared_digest", 32)
        attributes = octets(request, "signed_attrs")
        key, mode = self._store.elliptic(name)
        signed_attributes.check(attributes, digest, with_time=False)
        _same_mode(mode, approval.mode)
        named = approval.by and approval.register_row and approval.template
        if not named or not _DIGEST.fullmatch(approval.person_signed_digest):
            raise _approval_incomplete()
        if mode == "passkey":
            self._passkeys.check(
                approval.proof,
                Statement(
                    "seal",
                    approval.by,
                    approval.person_signed_digest,
                    NOTHING_SHOWN,
                    approval.at,
                    approval.id,
                    approval.register_row,
                    approval.template,
                ),
                agency=text(request, "code"),
            )
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
        name = f"agency-sign:{text(request, 'code')}"
        attributes = octets(request, "signed_attrs")
        digest = signed_attributes.message_digest(attributes)
        signed_attributes.check(attributes, digest, with_time=True)
        key, _ = self._store.elliptic(name)
        use = self._uses.record("sign_packet", name, digest=digest.hex())
        return {"signature": _sign(key, attributes), "use": asdict(use)}

    def op_sign_xml(self, request: Values) -> Values:
        """``code, signed_info`` (canonical ds:SignedInfo) → signature (DER) of the agency."""
        name = f"agency-sign:{text(request, 'code')}"
        info = octets(request, "signed_info")
        if len(info) > _MAX_XML or not _SIGNED_INFO.match(info) or _XML_DSIG not in info:
            raise Refused(
                "not-signed-info", "Không phải SignedInfo của chữ ký XML.", "Not the SignedInfo of XML-DSig."
            )
        key, _ = self._store.elliptic(name)
        use = self._uses.record("sign_xml", name, digest=hashlib.sha256(info).hexdigest())
        return {"signature": _sign(key, info), "use": asdict(use)}

    def op_sign_statement(self, request: Values) -> Values:
        """``code, label, body`` → signature (DER) of the agency over `statement_bytes`."""
        name = f"agency-sign:{text(request, 'code')}"
        label, body = text(request, "label"), octets(request, "body")
        if len(body) > _MAX_STATEMENT:
            raise bad("body")
        signed = statement_bytes(label, body)
        key, _ = self._store.elliptic(name)
        digest = hashlib.sha256(body).hexdigest()
        use = self._uses.record("sign_statement", name, purpose=label, digest=digest)
        return {"signature": _sign(key, signed), "use": asdict(use)}

    def op_checkpoint(self, request: Values) -> Values:
        """``body`` (a checkpoint of our ledger)``, key`` (its hash, "" the present one) → Ed25519 signature, 64 bytes.

        A key that gave way signs nothing but the checkpoint at which it does (`policy.ledger.succession`).
        """
        body = octets(request, "body")
        pattern = re.escape(self._origin.encode()) + rb"\n(0|[1-9]\d{0,18})\n[A-Za-z0-9+/]{43}=\n"
        if len(body) > 4096 or not re.match(pattern, body) or b"\n\n" in body or not body.endswith(b"\n"):
            raise Refused(
                "not-our-checkpoint",
                "Không phải điểm kiểm tra của sổ cái này.",
                "Not a checkpoint of this ledger.",
            )
        key, present = self._log_key("ledger")
        asked = str(request.get("key", ""))
        if asked and asked != present.hash.hex():
            if not re.fullmatch(r"[0-9a-f]{8}", asked):
                raise bad("key")
            key, earlier = self._log_key(f"ledger~{asked}")
            if not body.endswith(f"\n{LINE} {earlier.vkey} {present.vkey}\n".encode()):
                raise Refused(
                    "key-gave-way",
                    "Khóa sổ cũ chỉ ký điểm kiểm tra bàn giao cho khóa mới.",
                    "An earlier key of the ledger signs only the checkpoint that hands over to the present one.",
                )
        return {"signature": key.sign(body)}

    def _log_key(self, name: str) -> tuple[ed25519.Ed25519PrivateKey, Key]:
        key, _ = self._store.get(name)
        if not isinstance(key, ed25519.Ed25519PrivateKey):
            raise KeyUnreadable(name)
        return key, Key(self._origin, key.public_key().public_bytes_raw())

    def op_timestamp(self, request: Values) -> Values:
        """``request`` (TimeStampReq) → ``response``, or ``digest`` and ``algorithm`` → ``token``."""
        stamps = self._timestamps()
        if "request" in request:
            return {"response": stamps.answer(octets(request, "request"))}
        algorithm = text(request, "algorithm") if "algorithm" in request else "sha256"
        try:
            return {"token": stamps.token(octets(request, "digest"), algorithm)}
        except BadRequest:
            raise bad("digest") from None

    def op_renew_timestamps(self, request: Values) -> Values:
        """``who``: a new key of our time-stamp authority from now on; what the old one stamped stays as it is."""
        use = self._about_keys.renew_timestamps(text(request, "who"))
        self._stamps = None
        return {"use": asdict(use)}

    # --- opening

    def op_unwrap(self, request: Values) -> Values:
        """A key for one content from an ECDH recipient (RFC 5753 §3, X9.63 KDF, RFC 3394 wrap).

        ``code, purpose`` (receive|open)``, who, originator`` (uncompressed point)``, shared_info``
        (DER ECC-CMS-SharedInfo)``, kdf`` (sha256…)``, wrap_bits`` (128|192|256)``, wrapped`` → ``key``.
        ``key``: the `key_mark` of an earlier decryption key, "" for the present one.
        """
        name = f"agency-decrypt:{text(request, 'code')}"
        purpose, who = _purpose(request), text(request, "who") if "who" in request else ""
        kdf, bits = text(request, "kdf"), request.get("wrap_bits")
        info, wrapped = octets(request, "shared_info"), octets(request, "wrapped")
        if kdf not in _KDF_HASHES or bits not in (128, 192, 256) or len(info) > 4096 or len(wrapped) > 128:
            raise bad("kdf")
        mark = str(request.get("key", ""))
        if mark and not re.fullmatch(r"[0-9a-f]{16}", mark):
            raise bad("key")
        key = self._store.archived(name, mark)
        use = self._uses.record(
            "unwrap", name, who=who, purpose=purpose, digest=hashlib.sha256(wrapped).hexdigest()
        )
        try:
            point = ec.EllipticCurvePublicKey.from_encoded_point(key.curve, octets(request, "originator"))
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
        code = text(request, "code")
        key = secrets.token_bytes(32)
        return {"key": key, "wrapped": self._store.wrap(key, f"document {code}")}

    def op_unwrap_document_key(self, request: Values) -> Values:
        """``code, wrapped, purpose, who`` → ``key``."""
        code, who = text(request, "code"), text(request, "who")
        wrapped = octets(request, "wrapped")
        if len(wrapped) > 256:
            raise bad("wrapped")
        key = self._store.unwrap(wrapped, f"document {code}")
        use = self._uses.record(
            "unwrap_document_key",
            f"document:{code}",
            who=who,
            purpose=_purpose(request),
            digest=hashlib.sha256(wrapped).hexdigest(),
        )
        return {"key": key, "use": asdict(use)}

    def op_status(self, request: Values) -> Values:
        """That it lives, and which keys it holds."""
        return {"keys": len(self._store.names()), "origin": self._origin}

    def op_reach_token(self, request: Values) -> Values:
        """Whether a key in the signer's own token can be used now; refuses with what is wrong."""
        return {"held": self._store.reach_token()}

    def _timestamps(self) -> TimestampAuthority:
        if self._stamps is None:
            key, _ = self._store.elliptic("tsa")
            certificate = self._directory.timestamp_certificate()
            if certificate is None or certificate.public_key() != key.public_key():
                raise KeyMissing("tsa")
            chain = tuple(self._directory.issuers_of(certificate))
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
    if of_key == of_approval and of_key in ("file", "passkey", "token"):
        return
    raise Refused(
        "approval-mode",
        f"Khóa này phải được phê duyệt bằng {of_key}; phê duyệt bằng {of_approval} không được chấp nhận.",
        f"This key must be approved by {of_key}; an approval by {of_approval} is not accepted.",
    )


def _purpose(request: Values) -> str:
    purpose = text(request, "purpose")
    if purpose not in _PURPOSES:
        raise bad("purpose")
    return purpose


def _approval_incomplete() -> Refused:
    return Refused(
        "approval-incomplete",
        "Phê duyệt ký thiếu người duyệt, mã băm hoặc số trong sổ.",
        "The approval lacks who approves, a digest, or the register row.",
    )
