# SPDX-License-Identifier: AGPL-3.0-or-later
"""The passkeys that may approve the use of keys, kept by the signer itself.

The first one of a person is taken only with a code that the agency's officer was given (`invite`): the web
server alone can't enrol anybody. A further one needs a new code. Each passkey gets a certificate of the
issuing authority (the host in its subject alternative name), so that an approval can be checked offline, and
can be revoked like any other. Files are sealed by the signer's secret; an enrolment is one write.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from webauthn import verify_registration_response
from webauthn.helpers import decode_credential_public_key
from webauthn.helpers.decoded_public_key_to_cryptography import decoded_public_key_to_cryptography
from webauthn.helpers.exceptions import WebAuthnException

from config.clock import now_us
from config.durable import write_durably
from config.refusal import Refused
from exchange.signing.keys import KeyStore
from exchange.signing.phone.approval import Approval, Statement, check_assertion
from exchange.signing.protocol import APPROVAL_SECONDS
from exchange.trust.authority import Authority, passkey_certificate

CODE_HOURS = 48
_TRIES = 5
_MOST_KEYS = 10
_MAX_RESPONSE = 64 * 1024
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose passkey it is; ``code`` is the agency's."""

    address: str
    name: str
    title: str
    agency: str
    code: str


@dataclass(frozen=True, slots=True)
class Passkey:
    """One enrolled passkey. ``key`` is COSE, ``count`` the authenticator's counter when last used."""

    credential: bytes
    key: bytes
    count: int
    certificate: bytes
    at: int


class Passkeys:
    """The passkeys below ``folder``. Used by one thread of the signer."""

    def __init__(self, folder: Path, store: KeyStore, host: str, origins: tuple[str, ...]) -> None:
        """``host``: the WebAuthn relying party; ``origins``: where its pages come from."""
        self._folder = folder
        self._store = store
        self.host = host
        self._origins = origins
        self._challenges: dict[str, tuple[bytes, float]] = {}

    def invite(self, holder: Holder) -> str:
        """A code with which ``holder`` may enrol a passkey within `CODE_HOURS`; the old code ends."""
        code = "".join(secrets.choice(_LETTERS) for _ in range(12))
        told = self._read(holder.address)
        told["invited"] = {
            "holder": [holder.address, holder.name, holder.title, holder.agency, holder.code],
            "code": _code_digest(code),
            "until": now_us() + CODE_HOURS * 3_600_000_000,
            "tries": 0,
        }
        self._write(holder.address, told)
        return f"{code[:4]}-{code[4:8]}-{code[8:]}"

    def challenge(self, address: str) -> bytes:
        """A challenge for enrolling, good once for 5 minutes."""
        made = secrets.token_bytes(32)
        now = time.monotonic()
        live = {who: kept for who, kept in self._challenges.items() if kept[1] > now}
        self._challenges = {**live, address: (made, now + APPROVAL_SECONDS)}
        return made

    def enrol(self, address: str, code: str, response: str, authority: Authority) -> Passkey:
        """Takes a passkey from the browser's registration response. Raises `Refused`."""
        holder = self._invited(address, code)
        challenge, until = self._challenges.pop(address, (b"", 0.0))
        if not challenge or time.monotonic() > until or len(response) > _MAX_RESPONSE:
            raise _not_enrolled()
        try:
            made = verify_registration_response(
                credential=response,
                expected_challenge=challenge,
                expected_rp_id=self.host,
                expected_origin=list(self._origins),
                require_user_verification=True,
            )
            public = decoded_public_key_to_cryptography(
                decode_credential_public_key(made.credential_public_key)
            )
        except (WebAuthnException, ValueError, KeyError, TypeError, AttributeError, IndexError):
            raise _not_enrolled() from None
        if not isinstance(public, (ec.EllipticCurvePublicKey, rsa.RSAPublicKey, ed25519.Ed25519PublicKey)):
            raise _not_enrolled()
        certificate = passkey_certificate(
            authority,
            public,
            agency=holder.agency,
            title=holder.title,
            name=holder.name,
            address=holder.address,
            host=self.host,
        )
        kept = Passkey(
            made.credential_id,
            made.credential_public_key,
            made.sign_count,
            certificate.public_bytes(Encoding.DER),
            now_us(),
        )
        told = self._read(address)
        others = [one for one in told["keys"] if one["credential"] != _out(kept.credential)]
        if len(others) >= _MOST_KEYS:
            raise Refused(
                "too-many-passkeys",
                f"Mỗi người có tối đa {_MOST_KEYS} khóa truy cập để ký.",
                f"A person has at most {_MOST_KEYS} passkeys for signing.",
            )
        told["keys"] = [*others, _told(kept)]
        told["code"] = holder.code
        del told["invited"]
        self._write(address, told)
        return kept

    def of(self, address: str) -> list[Passkey]:
        """The passkeys of a person."""
        return [_kept(one) for one in self._read(address)["keys"]]

    def forget(self, address: str, credential: bytes) -> Passkey:
        """A passkey that may approve nothing any more (lost, stolen). Raises `Refused`."""
        told = self._read(address)
        found = [one for one in told["keys"] if one["credential"] == _out(credential)]
        if not found:
            raise _unknown()
        told["keys"] = [one for one in told["keys"] if one not in found]
        told["gone"] = [*told.get("gone", []), *found]
        self._write(address, told)
        return _kept(found[0])

    def gone(self, address: str) -> list[Passkey]:
        """Passkeys that were forgotten: what they approved before stays provable."""
        return [_kept(one) for one in self._read(address).get("gone", [])]

    def check(self, proof: str, expected: Statement, agency: str = "") -> Approval:
        """The approval in ``proof`` when it says yes to ``expected`` (its ``shown`` and ``at`` are the person's).

        ``agency``: the code of which the person must be, for a seal. Raises `Refused`.
        """
        found = Approval.read(proof)
        said = found.statement
        same = (said.purpose, said.signer.lower(), said.document, said.id, said.row, said.template) == (
            expected.purpose,
            expected.signer.lower(),
            expected.document,
            expected.id,
            expected.row,
            expected.template,
        )
        if not same or said.at != expected.at:
            raise Refused(
                "approval-of-other",
                "Xác nhận này dành cho văn bản, người ký hoặc mục đích khác. Chưa ký gì.",
                "This approval is for another document, signer or purpose. Nothing was signed.",
            )
        told = self._read(said.signer.lower())
        if agency and told.get("code") != agency:
            raise _unknown()
        known = next(
            (one for one in told["keys"] if one["credential"] == _out(found.assertion.credential)), None
        )
        if known is None:
            raise _unknown()
        key = _kept(known)
        again = known.get("last") == _last(found)  # the members of one batch share an assertion
        fresh = check_assertion(
            found.assertion,
            found.challenge(),
            key.key,
            host=self.host,
            origins=self._origins,
            count=0 if again else key.count,
        )
        if not again:
            known["count"], known["last"] = fresh, _last(found)
            self._write(said.signer.lower(), told)
        return found

    def _invited(self, address: str, code: str) -> Holder:
        told = self._read(address)
        invited = told.get("invited")
        if not invited or invited["until"] < now_us() or invited["tries"] >= _TRIES:
            raise _no_code()
        invited["tries"] += 1
        self._write(address, told)
        if not hmac.compare_digest(_code_digest(code), invited["code"]):
            raise _no_code()
        return Holder(*invited["holder"])

    def _path(self, address: str) -> Path:
        return self._folder / f"{quote(address, safe='@+')}.passkeys"

    def _read(self, address: str) -> dict[str, Any]:
        try:
            sealed = self._path(address).read_bytes()
        except FileNotFoundError:
            return {"keys": []}
        told: dict[str, Any] = json.loads(self._store.unwrap(sealed, f"passkeys {address}"))
        return told

    def _write(self, address: str, told: dict[str, Any]) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sealed = self._store.wrap(json.dumps(told, ensure_ascii=False).encode(), f"passkeys {address}")
        write_durably(self._path(address), sealed, mode=0o600)


def certificate_of(key: Passkey) -> x509.Certificate:
    """The certificate of a passkey."""
    return x509.load_der_x509_certificate(key.certificate)


def _last(found: Approval) -> str:
    """Names an assertion."""
    return hashlib.sha256(found.assertion.authenticator_data + found.assertion.client_data).hexdigest()


def _code_digest(code: str) -> str:
    plain = "".join(one for one in code.upper() if one in _LETTERS)
    return hashlib.sha256(b"congvan enrolment " + plain.encode()).hexdigest()


def _out(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _told(key: Passkey) -> dict[str, Any]:
    return {
        "credential": _out(key.credential),
        "key": _out(key.key),
        "count": key.count,
        "certificate": _out(key.certificate),
        "at": key.at,
    }


def _kept(told: dict[str, Any]) -> Passkey:
    credential, key, certificate = (
        base64.b64decode(told[one]) for one in ("credential", "key", "certificate")
    )
    return Passkey(credential, key, told["count"], certificate, told["at"])


def _no_code() -> Refused:
    return Refused(
        "enrolment-code",
        "Mã đăng ký không đúng, đã dùng hoặc quá hạn. Xin cán bộ CNTT của cơ quan một mã mới.",
        "The enrolment code is wrong, used or too old. Ask your agency's officer for a new one.",
    )


def _not_enrolled() -> Refused:
    return Refused(
        "passkey-not-enrolled",
        "Thiết bị không tạo được khóa truy cập đúng yêu cầu (cần vân tay, khuôn mặt hoặc mã khóa máy). Thử lại.",
        "The device made no passkey that fits (it needs a fingerprint, face or screen lock). Try again.",
    )


def _unknown() -> Refused:
    return Refused(
        "passkey-unknown",
        "Khóa truy cập này chưa được đăng ký để ký. Xin mã đăng ký ở cán bộ CNTT của cơ quan.",
        "This passkey is not enrolled for signing. Ask your agency's officer for an enrolment code.",
    )
