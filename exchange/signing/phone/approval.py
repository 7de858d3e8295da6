# SPDX-License-Identifier: AGPL-3.0-or-later
"""A person's yes by passkey: what it is a yes to, and the WebAuthn assertion that says it.

A `Statement` names document, pages as shown, signer, purpose and moment. Up to `MOST` statements are the
leaves of an RFC 6962 tree; the challenge that the passkey signs is a hash of its size and root, so one
gesture says yes to each of them and each carries its own proof (statement, path, assertion). Checked by the
signer before a key is used, and again offline by `congvan verify` from the evidence.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from webauthn import verify_authentication_response
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticationCredential,
    AuthenticatorAssertionResponse,
    PublicKeyCredentialType,
)

from config.refusal import Refused
from policy.ledger.tree import ProofWrong, check_inclusion, inclusion_proof, leaf_hash, root, root_of_hashes

Purpose = Literal["sign", "initial", "seal"]
PURPOSES: tuple[Purpose, ...] = ("sign", "initial", "seal")
MOST = 30
"""Documents of one gesture, at most."""
MAX_PROOF = 16 * 1024
VERSION = "congvan approval v1"
_BATCH = b"congvan approvals v1\n"
NOTHING_SHOWN = "0" * 64
"""In place of `pages_digest` where no pages are shown."""
_HEX = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Statement:
    """What is said yes to.

    ``document``: for a signature or initials the SHA-256 (hex) over the prepared file without the place of the
    signature, which is what the signature will cover; for a seal the SHA-256 of the person-signed file.
    ``shown``: `pages_digest` of what was on the screen. ``at``: µs UTC. ``row`` and ``template``: of a seal.
    """

    purpose: Purpose
    signer: str
    document: str
    shown: str
    at: int
    id: str
    row: str = ""
    template: str = ""

    def as_bytes(self) -> bytes:
        """The canonical form: a label, then JSON with sorted keys."""
        told = json.dumps(asdict(self), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return f"{VERSION}\n{told}".encode()

    @classmethod
    def read(cls, told: object) -> Statement:
        """From plain values. Raises `Refused` (``approval-unreadable``)."""
        if not isinstance(told, dict):
            raise _unreadable()
        try:
            made = cls(**told)
        except TypeError:
            raise _unreadable() from None
        words = (made.signer, made.row, made.template)
        if (
            made.purpose not in PURPOSES
            or not all(isinstance(one, str) and len(one) <= 300 for one in words)
            or not all(isinstance(one, str) and _HEX.fullmatch(one) for one in (made.document, made.shown))
            or not isinstance(made.id, str)
            or not _ID.fullmatch(made.id)
            or type(made.at) is not int
        ):
            raise _unreadable()
        return made


@dataclass(frozen=True, slots=True)
class Assertion:
    """What the authenticator gave (W3C WebAuthn §5.2.2), and the key's public half (COSE, RFC 9052 §7)."""

    credential: bytes
    client_data: bytes
    authenticator_data: bytes
    signature: bytes
    user_handle: bytes = b""


@dataclass(frozen=True, slots=True)
class Approval:
    """One statement with its place in the tree and the assertion over the whole."""

    statement: Statement
    index: int
    size: int
    path: tuple[bytes, ...]
    assertion: Assertion

    def challenge(self) -> bytes:
        """The challenge that the passkey must have signed. Raises `Refused` when the path does not fit."""
        if not 0 <= self.index < self.size <= MOST:
            raise _unreadable()
        leaf = leaf_hash(self.statement.as_bytes())
        top = _climb(leaf, self.index, self.size, self.path)
        try:
            check_inclusion(leaf, self.index, self.size, self.path, top)
        except ProofWrong:
            raise _unreadable() from None
        return challenge_of(self.size, top)

    def as_json(self) -> str:
        """For the signer, for the rows, and for the evidence."""
        one = self.assertion
        return json.dumps(
            {
                "statement": asdict(self.statement),
                "index": self.index,
                "size": self.size,
                "path": [step.hex() for step in self.path],
                "credential": bytes_to_base64url(one.credential),
                "client_data": bytes_to_base64url(one.client_data),
                "authenticator_data": bytes_to_base64url(one.authenticator_data),
                "signature": bytes_to_base64url(one.signature),
                "user_handle": bytes_to_base64url(one.user_handle),
            },
            sort_keys=True,
            ensure_ascii=False,
        )

    @classmethod
    def read(cls, text: str | bytes) -> Approval:
        """The inverse of `as_json`. Raises `Refused` (``approval-unreadable``)."""
        if len(text) > MAX_PROOF:
            raise _unreadable()
        try:
            told: dict[str, Any] = json.loads(text)
            keys = ("credential", "client_data", "authenticator_data", "signature", "user_handle")
            parts = [base64url_to_bytes(told[key]) for key in keys]
            index, size = told["index"], told["size"]
            if type(index) is not int or type(size) is not int or len(told["path"]) > 8:
                raise _unreadable()
            path = tuple(bytes.fromhex(step) for step in told["path"])
            return cls(Statement.read(told["statement"]), index, size, path, Assertion(*parts))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error):
            raise _unreadable() from None


def challenge_for(statements: Sequence[Statement]) -> bytes:
    """The challenge of one gesture over these. Raises `Refused` for none or more than `MOST`."""
    if not 0 < len(statements) <= MOST:
        raise Refused(
            "too-many-approvals",
            f"Mỗi lần xác nhận từ 1 đến {MOST} văn bản.",
            f"One gesture is for 1 to {MOST} documents.",
        )
    leaves = [leaf_hash(one.as_bytes()) for one in statements]
    return challenge_of(len(leaves), root_of_hashes(leaves))


def approvals(statements: Sequence[Statement], assertion: Assertion) -> list[Approval]:
    """Each statement with its own proof."""
    leaves = [leaf_hash(one.as_bytes()) for one in statements]
    nodes: dict[tuple[int, int], bytes] = {(0, place): one for place, one in enumerate(leaves)}

    def read(level: int, place: int) -> bytes:
        if (level, place) not in nodes:
            start = place << level
            nodes[level, place] = root_of_hashes(leaves[start : start + (1 << level)])
        return nodes[level, place]

    size = len(leaves)
    root(size, read)
    return [
        Approval(one, place, size, tuple(inclusion_proof(place, size, read)), assertion)
        for place, one in enumerate(statements)
    ]


def challenge_of(size: int, top: bytes) -> bytes:
    """SHA-256 over label, number of leaves and root."""
    return hashlib.sha256(_BATCH + size.to_bytes(4, "big") + top).digest()


def pages_digest(pages: Iterable[bytes]) -> str:
    """The digest (hex) of pictures as they are shown: SHA-256 over the SHA-256 of each."""
    return hashlib.sha256(b"".join(hashlib.sha256(one).digest() for one in pages)).hexdigest()


def check_assertion(
    assertion: Assertion,
    challenge: bytes,
    public_key: bytes,
    *,
    host: str,
    origins: Sequence[str] | None = None,
    count: int = 0,
) -> int:
    """Checks an assertion with ``public_key`` (COSE); gives the authenticator's new signature count.

    User presence and verification are required (S40). ``origins``: those allowed; None: any https origin of
    ``host``. Raises `Refused`: ``passkey-refused``, or ``passkey-cloned`` when the count did not grow.
    """
    try:
        if origins is None:
            origins = [_origin_of(assertion.client_data, host)]
        done = verify_authentication_response(
            credential=AuthenticationCredential(
                id=bytes_to_base64url(assertion.credential),
                raw_id=assertion.credential,
                response=AuthenticatorAssertionResponse(
                    client_data_json=assertion.client_data,
                    authenticator_data=assertion.authenticator_data,
                    signature=assertion.signature,
                ),
                type=PublicKeyCredentialType.PUBLIC_KEY,
            ),
            expected_challenge=challenge,
            expected_rp_id=host,
            expected_origin=list(origins),
            credential_public_key=public_key,
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError):
        raise Refused(
            "passkey-refused",
            "Khóa truy cập không xác nhận đúng nội dung này. Chưa ký gì; hãy mở lại văn bản và xác nhận lại.",
            "The passkey did not confirm this. Nothing was signed; open the document again and confirm again.",
        ) from None
    if (done.new_sign_count or count) and done.new_sign_count <= count:
        raise Refused(
            "passkey-cloned",
            "Bộ đếm của khóa truy cập không tăng: có thể khóa đã bị sao chép. Chưa ký gì; báo cán bộ CNTT.",
            "The passkey's counter did not grow: it may have been copied. Nothing was signed; tell your officer.",
        )
    return done.new_sign_count


def _origin_of(client_data: bytes, host: str) -> str:
    """The origin in client data when it is https and of ``host``. Raises ValueError."""
    origin = json.loads(client_data)["origin"]
    parts = urlsplit(origin)
    if parts.scheme != "https" or parts.hostname != host or parts.path or parts.query:
        raise ValueError("foreign origin")
    return str(origin)


def _climb(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that ``path`` leads to (RFC 9162 §2.1.3.2); `check_inclusion` then checks its length."""
    place, last, found = index, size - 1, leaf
    for step in path:
        if place & 1 or place == last:
            found = hashlib.sha256(b"\x01" + step + found).digest()
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = hashlib.sha256(b"\x01" + found + step).digest()
        place, last = place >> 1, last >> 1
    return found


def _unreadable() -> Refused:
    return Refused(
        "approval-unreadable",
        "Xác nhận bằng khóa truy cập không đọc được hoặc không đủ. Đề nghị xác nhận lại.",
        "The passkey's approval can't be read or is not complete. Please approve again.",
    )


def raw(text: str) -> bytes:
    """Bytes from the base64url of a browser. Raises `Refused`."""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        raise _unreadable() from None
