# SPDX-License-Identifier: AGPL-3.0-or-later
"""Values of Content-Type and Content-Disposition (RFC 2045 §5.1, RFC 2183) with RFC 2231 parameters."""

from __future__ import annotations

import re

from mailserver.message.charsets import decode
from mailserver.message.words import header_text

MAX_PARAMETERS = 64
_VALUE = re.compile(rb"[ \t]*+([!#$%&'*+.^_`{|}~0-9A-Za-z-]++)")
_TYPE = re.compile(rb"[ \t]*+([!#$%&'*+.^_`{|}~0-9A-Za-z-]++)[ \t]*+/[ \t]*+([!#$%&'*+.^_`{|}~0-9A-Za-z-]++)")
_PARAMETER = re.compile(
    rb";[ \t;]*+([^\s=;\"]++)[ \t]*+=[ \t]*+(?:\"([^\"\\]*+(?:\\.[^\"\\]*+)*+)(?:\"|\Z)|([^;\"]*+))",
    re.DOTALL,
)
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
_SECTION = re.compile(r"([^*]+)(?:\*(\d{1,3}))?(\*)?\Z")

Pairs = list[tuple[bytes, bytes]]


def media_type(value: bytes) -> tuple[bytes, bytes] | None:
    """(type, subtype) in lower case of an unfolded Content-Type, None when it is not one."""
    match = _TYPE.match(value)
    return (match[1].lower(), match[2].lower()) if match else None


def disposition(value: bytes) -> bytes | None:
    """The disposition of an unfolded Content-Disposition in lower case (``inline``, ``attachment``)."""
    match = _VALUE.match(value)
    return match[1].lower() if match else None


def pairs(value: bytes) -> Pairs:
    """The parameters as the field has them, names in lower case, at most `MAX_PARAMETERS`."""
    out: Pairs = []
    if b";" not in value:
        return out
    for match in _PARAMETER.finditer(value):
        name, quoted, plain = match.groups()
        found = plain.strip() if quoted is None else quoted
        if quoted is not None and b"\\" in quoted:
            found = _ESCAPE.sub(rb"\1", quoted)
        out.append((name.lower(), found))
        if len(out) >= MAX_PARAMETERS:
            break
    return out


def decoded(found: Pairs) -> dict[str, str]:
    """Parameters as text: RFC 2231 continuations joined and decoded, encoded words too (they are common)."""
    out: dict[str, str] = {}
    pieces: dict[str, dict[int, tuple[bool, bytes]]] = {}
    for name, value in found:
        if b"*" not in name:
            out.setdefault(name.decode("ascii", "replace"), header_text(value))
            continue
        match = _SECTION.match(name.decode("ascii", "replace"))
        if match is not None:
            pieces.setdefault(match[1], {}).setdefault(int(match[2] or 0), (bool(match[3]), value))
    for key, sections in pieces.items():
        out[key] = _joined(sections)
    return out


def _joined(sections: dict[int, tuple[bool, bytes]]) -> str:
    charset: str | None = None
    octets = b""
    for number in sorted(sections):
        encoded, value = sections[number]
        if encoded:
            if not octets and value.count(b"'") >= 2:
                label, _, value = value.split(b"'", 2)
                charset = label.decode("ascii", "replace") or None
            value = _PERCENT.sub(lambda one: bytes([int(one[1], 16)]), value)
        octets += value
    return header_text(decode(octets, charset).encode())
