# SPDX-License-Identifier: AGPL-3.0-or-later
"""Header fields as raw bytes, and DKIM's canonical forms of them and of the body (RFC 6376 §3.4)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

Canonical: TypeAlias = Literal["simple", "relaxed"]

MOST_FIELDS = 2000
"""Further header fields are not looked at."""

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:((?:[^\r\n]|\r\n[ \t])*+)\r\n")
_WHITE = re.compile(rb"[ \t]+")
_BODY_WHITE = re.compile(rb"[ \t]{2,}|\t")


@dataclass(frozen=True, slots=True)
class Field:
    """One header field: ``name`` in lower case, ``value`` without the colon and the last CRLF, ``raw`` with both."""

    name: bytes
    value: bytes
    raw: bytes

    @property
    def text(self) -> str:
        """The value on one line, Latin-1."""
        return self.value.replace(b"\r\n", b"").strip().decode("latin-1")


def fields_of(data: bytes | bytearray) -> tuple[list[Field], int]:
    """The header fields from the top, and the offset of the body. A line that is no field ends the header.

    Lines end in CRLF (SMTP takes nothing else). ``value`` keeps the case and the white space.
    """
    found: list[Field] = []
    position = 0
    while len(found) < MOST_FIELDS:
        one = _FIELD.match(data, position)
        if one is None:
            break
        found.append(Field(one[1].lower(), one[2], one[0]))
        position = one.end()
    if data.startswith(b"\r\n", position):
        return found, position + 2
    end = data.find(b"\r\n\r\n", max(0, position - 2))
    return found, end + 4 if end >= 0 else len(data)


def header(field: Field, how: Canonical) -> bytes:
    """One field in canonical form, with its CRLF."""
    if how == "simple":
        return field.raw
    value = field.value.replace(b"\r\n", b"")
    return field.name + b":" + _WHITE.sub(b" ", value).strip(b" \t") + b"\r\n"


def body(data: bytes | memoryview, how: Canonical) -> bytes:
    """The body in canonical form. Linear; a body that is canonical already is only looked at."""
    raw = bytes(data)
    if how == "relaxed":
        if b"\t" in raw or b"  " in raw:
            raw = _BODY_WHITE.sub(b" ", raw)
        if b" \r\n" in raw:
            raw = raw.replace(b" \r\n", b"\r\n")
        raw = raw.removesuffix(b" ")
    end = len(raw)
    while raw.endswith(b"\r\n", 0, end):
        end -= 2
    if end == 0:
        return b"" if how == "relaxed" else b"\r\n"
    if raw[end : end + 2] == b"\r\n":
        return raw[: end + 2]
    return raw[:end] + b"\r\n"
