# SPDX-License-Identifier: AGPL-3.0-or-later
"""Address lists of header fields (RFC 5322 §3.4), groups and the forms real mailers write included.

Linear: a regular form is taken by one pattern, anything else by a tokenizer that never looks back.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from mailserver.message.words import header_text, nstring

MAX_ADDRESSES = 4096
_PLAIN = rb"[^\s\"(),:;<>@\[\]\\]+"
_SIMPLE = re.compile(
    rb"[ \t]*+(?:(?:\"([^\"\\\r\n]*+)\"|([^\"(),:;<>@\[\]\\\r\n]*+))[ \t]*+<("
    + _PLAIN
    + rb")@("
    + _PLAIN
    + rb")>|("
    + _PLAIN
    + rb")@("
    + _PLAIN
    + rb"))[ \t]*+(?:,|\Z)"
)
_TOKEN = re.compile(
    rb"[ \t\r\n]++|([^\s\"(),:;<>@\[\]\\]++)|([(),:;<>@])|(\[[^\]\[\\\s]*+\])|\"([^\"\\]*+(?:\\.[^\"\\]*+)*+)\"",
    re.DOTALL,
)
_COMMENT = re.compile(rb"\\.|[()]", re.DOTALL)
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)


class Address(NamedTuple):
    """One mailbox: ``name`` is the decoded display name ("" when there is none)."""

    name: str
    mailbox: str
    host: str

    @property
    def address(self) -> str:
        """``mailbox@host``, or the mailbox alone when the field had no host."""
        return f"{self.mailbox}@{self.host}" if self.host else self.mailbox

    @property
    def shown(self) -> str:
        """The name where there is one, else the address."""
        return self.name or self.address


class Raw(NamedTuple):
    """One entry as the field has it. A group begins with host None and mailbox = its name, and ends with both None."""

    name: bytes | None
    mailbox: bytes | None
    host: bytes | None


def parse(value: bytes) -> list[Raw]:
    """The entries of an unfolded address field, at most `MAX_ADDRESSES`; garbage gives fewer, never an error."""
    out: list[Raw] = []
    position, end = 0, len(value)
    while position < end and len(out) < MAX_ADDRESSES:
        match = _SIMPLE.match(value, position)
        if match is None:
            _general(value, position, out)
            return out
        quoted, plain, mailbox, host, bare, bare_host = match.groups()
        if bare is not None:
            out.append(Raw(None, bare, bare_host))
        else:
            name = quoted if quoted is not None else plain.strip()
            out.append(Raw(name or None, mailbox, host))
        position = match.end()
    return out


def _general(value: bytes, position: int, out: list[Raw]) -> None:
    entry = _Entry()
    in_group, quotes, end = False, True, len(value)
    while position < end and len(out) < MAX_ADDRESSES:
        match = _TOKEN.match(value, position) if quotes or value[position] != 0x22 else None
        if match is None:
            quotes = quotes and value[position] != 0x22  # an unclosed quote stays unclosed to the end
            entry.add(value[position : position + 1])
            position += 1
            continue
        position = match.end()
        atom, special, literal, quoted = match.groups()
        if special == b"(":
            position, comment = _comment(value, position)
            entry.comment = entry.comment or comment
        elif special == b",":
            entry.finish(out)
            entry = _Entry()
        elif special == b";":
            entry.finish(out)
            entry = _Entry()
            if in_group:
                out.append(Raw(None, None, None))
                in_group = False
        elif special == b":" and not entry.angle and not in_group:
            out.append(Raw(None, b" ".join(entry.words) or b"undisclosed", None))
            entry, in_group = _Entry(), True
        elif special is not None:
            entry.special(special)
        elif quoted is not None:
            entry.add(_ESCAPE.sub(rb"\1", quoted), quoted=True)
        elif atom is not None or literal is not None:
            entry.add(atom or literal)
        else:
            entry.space()
    entry.finish(out)
    if in_group:
        out.append(Raw(None, None, None))


class _Entry:
    """What was read of one address."""

    def __init__(self) -> None:
        self.words: list[bytearray] = []
        self.spec: list[bytes] = []
        self.at: int | None = None
        self.angle = self.closed = False
        self.comment = b""
        self._glue = False

    def add(self, piece: bytes, *, quoted: bool = False) -> None:
        if self.closed:
            return
        if self.angle:
            self.spec.append(piece)
        elif self._glue and self.words and not quoted:
            self.words[-1] += piece
        else:
            self.words.append(bytearray(piece))
        self._glue = True

    def space(self) -> None:
        self._glue = False

    def special(self, one: bytes) -> None:
        if one == b"<":
            self.angle, self.spec, self.at = True, [], None
        elif one == b">":
            self.closed = True
        elif one == b"@":
            if self.angle:
                self.at = len(self.spec)
            else:
                self.at = -1
                self.words.append(bytearray(b"@"))
                self._glue = False
        elif one == b":" and self.angle:  # a source route is dropped
            self.spec, self.at = [], None

    def finish(self, out: list[Raw]) -> None:
        if self.angle:
            name = b" ".join(self.words) or self.comment
            cut = self.at if self.at is not None else len(self.spec)
            mailbox, host = b"".join(self.spec[:cut]), b"".join(self.spec[cut:])
        elif self.at is not None:
            cut = len(self.words) - 1 - self.words[::-1].index(bytearray(b"@"))
            mailbox, host, name = b"".join(self.words[:cut]), b"".join(self.words[cut + 1 :]), self.comment
        else:
            name, mailbox, host = self.comment, b" ".join(self.words), b""
        if mailbox or host:
            out.append(Raw(name or None, mailbox, host))


def _comment(value: bytes, position: int) -> tuple[int, bytes]:
    depth, start = 1, position
    for match in _COMMENT.finditer(value, position):
        if match[0] == b"(":
            depth += 1
        elif match[0] == b")":
            depth -= 1
            if not depth:
                return match.end(), value[start : match.start()].strip()
    return len(value), value[start:].strip()


def decoded(entries: list[Raw]) -> tuple[Address, ...]:
    """The mailboxes of ``entries`` (group marks left out) with decoded names."""
    return tuple(
        Address(header_text(one.name) if one.name else "", header_text(one.mailbox), header_text(one.host))
        for one in entries
        if one.mailbox is not None and one.host is not None
    )


def wire(entries: list[Raw]) -> bytes:
    """The parenthesised address list of an ENVELOPE (RFC 9051 §7.5.2), ``NIL`` when empty."""
    if not entries:
        return b"NIL"
    return b"(" + b"".join([_wire(one) for one in entries]) + b")"


def _wire(one: Raw) -> bytes:
    host = one.host
    if host is not None and not host:
        host = b"MISSING_DOMAIN"  # NIL here would mean a group
    return b"(%b NIL %b %b)" % (nstring(one.name), nstring(one.mailbox), nstring(host))
