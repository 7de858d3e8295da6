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


def check(attributes: bytes, digest: bytes, *, with_time: bool) -> None:
    """Raises `Refused` unless ``attributes`` (DER, SET OF) sign exactly ``digest`` (SHA-256) as data.

    ``with_time``: whether a signing-time attribute must be there (packet) or must not (PDF).
    """
    found = _read(attributes)
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
            name = one["type"].native
            if name in found or len(one["values"]) != 1:
                raise _malformed()
            found[name] = one["values"][0].native if name in _WANTED else True
    except (ValueError, TypeError, KeyError):
        raise _malformed() from None
    return found


_WANTED = ("content_type", "message_digest")


def _malformed() -> Refused:
    return _no(
        "attributes-malformed", "Thuộc tính ký không đọc được.", "The signed attributes can't be read."
    )


def _no(code: str, vi: str, en: str) -> Refused:
    return Refused(code, vi, en)
