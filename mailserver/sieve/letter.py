# SPDX-License-Identifier: AGPL-3.0-or-later
"""A letter as scripts look at it: fields decoded, addresses, envelope, text. Bounded in all it gives."""

from __future__ import annotations

import re
from functools import cached_property

from mailserver.message import Address, Summary, body_text, header_text, html_text
from mailserver.message.addresses import decoded, parse
from mailserver.message.words import unfold

_FIELD = re.compile(rb"^([!-9;-~]{1,200})[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)", re.MULTILINE)
_HEADER = 256 * 1024
_MOST_FIELDS = 2000
_LONGEST = 16 * 1024
_BODY = 256 * 1024


class Letter:
    """``sender`` and ``recipient`` are the envelope's ("" for the null sender)."""

    def __init__(self, data: bytes, summary: Summary, sender: str, recipient: str) -> None:
        self.data = data
        self.summary = summary
        self.sender = sender
        self.recipient = recipient

    @property
    def size(self) -> int:
        """Octets."""
        return len(self.data)

    @cached_property
    def _fields(self) -> dict[str, list[bytes]]:
        found: dict[str, list[bytes]] = {}
        end = min(self.summary.parts[0].body_start, _HEADER)
        for number, match in enumerate(_FIELD.finditer(self.data, 0, end)):
            if number >= _MOST_FIELDS:
                break
            found.setdefault(match[1].decode("ascii").lower(), []).append(match[2][:_LONGEST])
        return found

    def has(self, name: str) -> bool:
        """Whether the field is there."""
        return name.lower() in self._fields

    def header(self, name: str) -> list[str]:
        """The decoded values of a field, in order."""
        return [header_text(one).strip() for one in self._fields.get(name.lower(), ())]

    def addresses(self, name: str) -> list[list[Address]]:
        """The addresses of each field of this name."""
        return [list(decoded(parse(unfold(one)))) for one in self._fields.get(name.lower(), ())]

    def envelope(self, part: str) -> str:
        """``from`` or ``to``."""
        return self.sender if part == "from" else self.recipient

    @cached_property
    def raw_body(self) -> str:
        """The undecoded body, as Latin-1, at most 256 KiB."""
        start = self.summary.parts[0].body_start
        return self.data[start : start + _BODY].decode("latin-1")

    def body(self, types: list[str] | None) -> list[str]:
        """The decoded text of the parts of these types (``text``, ``text/html``, "" for all); None: text for people."""
        found: list[str] = []
        left = _BODY
        for part in self.summary.parts:
            if left <= 0:
                break
            if part.is_multipart or part.is_message or (types is None and not part.type.startswith("text/")):
                continue
            if types is not None and not any(_is_type(part.type, one.lower()) for one in types):
                continue
            text = body_text(self.data, part, left)
            left -= part.size
            found.append(html_text(text) if types is None and part.type == "text/html" else text)
        return found


def _is_type(kind: str, wanted: str) -> bool:
    return not wanted or kind == wanted or ("/" not in wanted and kind.startswith(wanted + "/"))
