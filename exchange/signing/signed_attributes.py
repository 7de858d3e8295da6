# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the signer agrees to sign as CMS signed attributes (RFC 5652 §5.3, EN 319 142-1 §5.3).

A PDF signature (PAdES) has no signing-time attribute, a packet (S/MIME) must have one: so the
approval that a PDF needs can't be got around by calling the PDF a packet.
"""

from __future__ import annotations

import hmac
from typing import Any

from asn1crypto import cms

from config.refusal import Refused

MAX_ATTRIBUTES = 16 * 1024
_SIGNING_TIME = "signing_time"


INITIALS = bytes.fromhex("300d060b2a864886f70d0109100606")
"""CommitmentTypeIndication proof-of-creation (RFC 5126 §5.11.1): who initials (ký nháy) answers for the draft
but does not approve it, so initials can't stand for the competent person's signature."""


def check(attributes: bytes, digest: bytes, *, with_time: bool, initials: bool = False) -> None:
    """Raises `Refused` unless ``attributes`` (DER, SET OF) sign exactly ``digest`` (SHA-256) as data.

    ``with_time``: whether a signing-time attribute must be there (packet) or must not (PDF).
    ``initials``: whether the attributes must say that they are initials, or must not.
    """
    found = _read(attributes)
    if (found.get(_COMMITMENT) == INITIALS) is not initials or (not initials and _COMMITMENT in found):
        raise _no(
            "attributes-not-fit",
            "Ký nháy và ký chính thức không thay được cho nhau.",
            "Initials and a signature can't stand for one another.",
        )
    said = found.get("message_digest")
    if not isinstance(said, bytes) or not hmac.compare_digest(said, digest):
        raise _no(
            "digest-mismatch",
            "Thuộc tính ký không khớp với tệp đã chuẩn bị.",
            "The signed attributes do not belong to the prepared file.",
        )
    if found.get("content_type") != "data" or (_SIGNING_TIME in found) is not with_time:
        raise _no(
            "attributes-not-fit",
            "Thuộc tính ký không đúng loại cho thao tác này.",
            "The signed attributes are not of the kind this operation signs.",
        )


def message_digest(attributes: bytes) -> bytes:
    """The messageDigest in ``attributes``. Raises `Refused`."""
    said = _read(attributes).get("message_digest")
    if not isinstance(said, bytes) or len(said) not in (32, 48, 64):
        raise _no(
            "digest-mismatch", "Thuộc tính ký thiếu mã băm.", "The signed attributes lack a message digest."
        )
    return said


def _read(attributes: bytes) -> dict[str, Any]:
    """The attributes by name; each once, each with one value."""
    if len(attributes) > MAX_ATTRIBUTES:
        raise _malformed()
    found: dict[str, Any] = {}
    try:
        parsed = cms.CMSAttributes.load(attributes, strict=True)
        for one in parsed:
            name = _COMMITMENT if one["type"].dotted == _COMMITMENT else one["type"].native
            if name in found or len(one["values"]) != 1:
                raise _malformed()
            found[name] = one["values"][0].native if name in _WANTED else True
            if name == _COMMITMENT:
                found[name] = one["values"][0].dump()
    except (ValueError, TypeError, KeyError):
        raise _malformed() from None
    return found


_WANTED = ("content_type", "message_digest")
_COMMITMENT = "1.2.840.113549.1.9.16.2.16"


def _malformed() -> Refused:
    return _no(
        "attributes-malformed", "Thuộc tính ký không đọc được.", "The signed attributes can't be read."
    )


def _no(code: str, vi: str, en: str) -> Refused:
    return Refused(code, vi, en)
