# SPDX-License-Identifier: AGPL-3.0-or-later
"""The parts of a signed or encrypted mail, cut out byte for byte, and its protected header (RFC 9788)."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesHeaderParser
from email.utils import getaddresses
from typing import Any

_COMPARED = ("From", "To", "Cc", "Subject", "Date", "Message-ID", "Reply-To")
_MAX_HEAD = 256 * 1024


class Malformed(Exception):
    """The structure is broken; the text says where, in English."""


@dataclass(frozen=True, slots=True)
class Protected:
    """What the payload says of the header: the one address in From ("" else), fields to show, remarks."""

    sender: str
    shown: dict[str, Any]
    problems: tuple[dict[str, str], ...]


def headers_of(head: bytes) -> Message:
    """A header block, parsed."""
    return BytesHeaderParser().parsebytes(head[:_MAX_HEAD] + b"\r\n\r\n")


def two_parts(headers: Message, body: bytes) -> tuple[bytes, Message, bytes]:
    """(first part as it is signed, header of the second, body of the second). Raises ``Malformed``."""
    try:
        boundary = headers.get_boundary()
    except (ValueError, LookupError):
        boundary = None  # RFC 2231 in a character set that is none
    if not boundary:
        raise Malformed("a multipart without a boundary")
    mark = b"\r\n--" + boundary.encode("ascii", "replace")
    pieces = re.split(re.escape(mark) + rb"(?=[ \t]*\r\n|--)", b"\r\n" + body, maxsplit=5)
    if len(pieces) != 4 or not pieces[3].startswith(b"--"):
        raise Malformed("the multipart does not have two parts")
    head, _, content = pieces[2].partition(b"\r\n")[2].partition(b"\r\n\r\n")
    return pieces[1].partition(b"\r\n")[2], headers_of(head), content


def decoded(headers: Message, body: bytes) -> bytes:
    """A body without its transfer encoding. Raises ``Malformed``."""
    encoding = str(headers.get("Content-Transfer-Encoding", "7bit")).strip().lower()
    if encoding != "base64":
        return body
    try:
        return base64.b64decode(b"".join(body.split()), validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("the base64 is broken") from None


def sender_of(head: bytes) -> str:
    """The one address in From, lower case; "" when there is not exactly one."""
    return _sender(headers_of(head))


def protected_fields(payload: bytes, outer: bytes) -> Protected | None:
    """The protected header of a payload, compared with the one outside; ``None`` when it has none."""
    inside = headers_of(payload.partition(b"\r\n\r\n")[0])
    how = str(inside.get_param("hp") or "").lower()
    if how not in ("clear", "cipher"):
        return None
    outside = headers_of(outer)
    shown: dict[str, Any] = {"hp": how}
    problems = []
    meant = _meant_outside(inside)
    for name in _COMPARED:
        own = _text(inside, name)
        if own:
            shown[name] = own
        expected = meant.get(name.lower(), "") if how == "cipher" and meant else own
        if _text(outside, name) != expected and name != "From":
            problems.append(_changed(name))
    return Protected(_sender(inside), shown, tuple(problems))


def crlf(data: bytes) -> bytes:
    """The canonical line ends that signatures are made over."""
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _meant_outside(inside: Message) -> dict[str, str]:
    """What the sender put outside (HP-Outer, RFC 9788 §2.2), by lower-case name."""
    found = {}
    for value in inside.get_all("HP-Outer", [])[:100]:
        name, _, text = str(value).partition(":")
        found[name.strip().lower()] = _plain(text)
    return found


def _sender(headers: Message) -> str:
    found = headers.get_all("From", [])
    addresses = getaddresses([str(one) for one in found])
    return addresses[0][1].lower() if len(found) == 1 and len(addresses) == 1 else ""


def _text(headers: Message, name: str) -> str:
    return " | ".join(_plain(str(one)) for one in headers.get_all(name, [])[:5])


def _plain(value: str) -> str:
    try:
        text = str(make_header(decode_header(value)))
    except (HeaderParseError, ValueError, LookupError):
        text = value
    return " ".join(text.split())[:2000]


def _changed(name: str) -> dict[str, str]:
    return {
        "element": name,
        "rule": "RFC9788",
        "severity": "warn",
        "text": f"The field {name} outside is not what the signer wrote; what is shown is the signer's.",
        "vi": f"Trường {name} bên ngoài khác với bản người ký viết; nội dung hiển thị là của người ký.",
    }
