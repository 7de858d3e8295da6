# SPDX-License-Identifier: AGPL-3.0-or-later
"""What goes over the signer's socket: a 4-byte length (big-endian), then JSON; bytes are base64.

A request is ``{"op": name, …}``, an answer ``{"ok": {…}}`` or ``{"refused": {code, vi, en, again}}``
(``again``: not able now, `Unavailable`).
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass
from typing import Any

from config.refusal import Refused, Unavailable

MAX_FRAME = 256 * 1024
HEAD = 4
APPROVAL_SECONDS = 300
"""An approval lives 5 minutes (DESIGN 4.15)."""

_BYTES = "\u0001b"


class BadFrame(Exception):
    """A frame that is too long or no JSON object."""


@dataclass(frozen=True, slots=True)
class PersonApproval:
    """A person said yes to signing one document.

    ``id`` is unique and used for one prepared file; ``document`` is the SHA-256 (hex) of the draft the
    person saw; ``at`` is µs UTC; ``mode`` must be the key's approval mode. ``purpose``: ``sign``, or
    ``initial`` (ký nháy). ``proof``: the passkey's yes, JSON (`exchange.signing.phone.approval`).
    """

    id: str
    by: str
    document: str
    at: int
    mode: str = "file"
    purpose: str = "sign"
    proof: str = ""


@dataclass(frozen=True, slots=True)
class SealApproval:
    """A clerk said yes to sealing: the digest (hex SHA-256) of the person-signed file, row, template."""

    id: str
    by: str
    person_signed_digest: str
    register_row: str
    template: str
    at: int
    mode: str = "file"
    proof: str = ""


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a key, for the ledger: no secrets. ``at`` is µs UTC, ``record`` the log line's hash."""

    op: str
    key: str
    who: str
    purpose: str
    digest: str
    approval: str
    at: int
    record: str

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)


def encode(value: dict[str, Any]) -> bytes:
    """The frame of ``value``. Raises `BadFrame` when it is too long."""
    body = json.dumps(value, default=_bytes_out, ensure_ascii=False).encode()
    if len(body) > MAX_FRAME:
        raise BadFrame
    return len(body).to_bytes(HEAD, "big") + body


def decode(body: bytes) -> dict[str, Any]:
    """The object of a frame's body. Raises `BadFrame`."""
    try:
        value = json.loads(body, object_hook=_bytes_in)
    except (ValueError, RecursionError):
        raise BadFrame from None
    if not isinstance(value, dict):
        raise BadFrame
    return value


def length_of(head: bytes) -> int:
    """The length of the body after ``head``. Raises `BadFrame`."""
    size = int.from_bytes(head, "big")
    if not 0 < size <= MAX_FRAME:
        raise BadFrame
    return size


def refusal(problem: Refused) -> dict[str, Any]:
    """``problem`` as an answer."""
    again = isinstance(problem, Unavailable)
    return {"refused": {"code": problem.code, "vi": problem.vi, "en": problem.en, "again": again}}


def raised(answer: dict[str, Any]) -> Refused:
    """The refusal in an answer."""
    said = answer.get("refused")
    if not isinstance(said, dict):
        return unavailable()
    kind = Unavailable if said.get("again") else Refused
    return kind(str(said.get("code")), str(said.get("vi")), str(said.get("en")))


def unavailable() -> Unavailable:
    """The signer process does not answer."""
    return Unavailable(
        "signer-unavailable",
        "Tiến trình ký số tạm thời không trả lời. Chưa có gì được ký; hãy thử lại sau ít phút.",
        "The signing process does not answer just now. Nothing was signed; please try again in a few minutes.",
    )


def _bytes_out(value: object) -> dict[str, str]:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {_BYTES: base64.b64encode(value).decode("ascii")}
    raise TypeError(type(value).__name__)


def _bytes_in(value: dict[str, Any]) -> Any:
    if len(value) == 1 and _BYTES in value:
        return base64.b64decode(value[_BYTES], validate=True)
    return value
