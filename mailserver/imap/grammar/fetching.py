# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a FETCH asks for (RFC 9051 §6.4.5, RFC 3516 §4.2): items, sections, partial ranges, modifiers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from mailserver.imap.grammar.lexer import Cursor, Syntax
from mailserver.imap.grammar.strings import astring
from mailserver.imap.grammar.windows import parse_window

_MACROS = {
    "ALL": ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"),
    "FAST": ("FLAGS", "INTERNALDATE", "RFC822.SIZE"),
    "FULL": ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"),
}
SIMPLE = frozenset(
    {
        "FLAGS",
        "INTERNALDATE",
        "RFC822.SIZE",
        "ENVELOPE",
        "BODY",
        "BODYSTRUCTURE",
        "UID",
        "MODSEQ",
        "PREVIEW",
        "EMAILID",
        "THREADID",
        "SAVEDATE",
        "RFC822",
        "RFC822.HEADER",
        "RFC822.TEXT",
    }
)
_WORD = re.compile(r"[A-Z0-9.]+")
_PATH = re.compile(r"(\d{1,9}(?:\.\d{1,9}){0,63})(?:\.|\Z)")
_MAX_ITEMS = 64
_BINARY = frozenset({"BINARY", "BINARY.PEEK", "BINARY.SIZE"})
_MAX_FIELDS = 100


@dataclass(frozen=True, slots=True)
class Section:
    """``[1.2.HEADER.FIELDS (FROM)]``: ``path`` "1.2" or "", ``text`` "HEADER.FIELDS" or ""."""

    path: str
    text: str
    fields: tuple[bytes, ...] = ()

    @lru_cache(maxsize=256)  # noqa: B019 (sections are few and small)
    def wire(self) -> bytes:
        """As it stands in the reply, between the brackets."""
        head = ".".join(one for one in (self.path, self.text) if one).encode()
        return head + b" (" + b" ".join(astring(one) for one in self.fields) + b")" if self.fields else head


@dataclass(frozen=True, slots=True)
class Item:
    """One item. ``name`` is one of `SIMPLE`, ``BODY[]``, ``BINARY[]`` or ``BINARY.SIZE[]``; ``first``/``length`` are of the partial range."""

    name: str
    section: Section | None = None
    peek: bool = False
    first: int | None = None
    length: int = 0

    @property
    def sees(self) -> bool:
        """Whether fetching it sets \\Seen."""
        return (self.section is not None and not self.peek) or self.name in ("RFC822", "RFC822.TEXT")


@dataclass(frozen=True, slots=True)
class Modifiers:
    """CHANGEDSINCE and VANISHED (RFC 7162 §3.1.4, §3.2.6), and the ends of PARTIAL as written (RFC 9394 §3.3)."""

    since: int | None = None
    vanished: bool = False
    partial: tuple[int, int] | None = None


def parse_modifiers(cursor: Cursor) -> Modifiers:
    """The list behind the items, each modifier once at most and in any order. Raises `Syntax`."""
    since: int | None = None
    partial: tuple[int, int] | None = None
    seen: set[str] = set()
    if cursor.try_space() and not cursor.at_end():
        cursor.byte(b"(")
        while not cursor.try_byte(b")"):
            word = cursor.word()
            if word in seen or word not in ("CHANGEDSINCE", "VANISHED", "PARTIAL"):
                raise Syntax(f"{word[:40]} is not a modifier of FETCH, or given twice")
            seen.add(word)
            if word == "CHANGEDSINCE":
                cursor.space()
                since = cursor.number()
            elif word == "PARTIAL":
                cursor.space()
                partial = parse_window(cursor)
            cursor.try_space()
    return Modifiers(since, "VANISHED" in seen, partial)


def parse_items(cursor: Cursor) -> list[Item]:
    """The items of a FETCH: one, a list, or a macro."""
    found: list[Item] = []
    if not cursor.try_byte(b"("):
        _one(cursor, found, macros=True)
        return found
    cursor.try_space()
    while not cursor.try_byte(b")"):
        _one(cursor, found, macros=False)
        if len(found) > _MAX_ITEMS:
            raise Syntax("Too many items")
        if not cursor.try_space() and not cursor.at(b")"):
            raise Syntax("The list of items is not closed")
    if not found:
        raise Syntax("No items")
    return found


def _one(cursor: Cursor, found: list[Item], *, macros: bool) -> None:
    raw = cursor.atom().decode("ascii").upper()
    name, bracket, rest = raw.partition("[")
    if bracket:
        if name in _BINARY:
            _binary(cursor, found, name, rest)
            return
        if name not in ("BODY", "BODY.PEEK"):
            raise Syntax(f"{name} has no section")
        section = _section(cursor, rest)
        cursor.byte(b"]")
        first, length = _partial(cursor)
        found.append(Item("BODY[]", section, name == "BODY.PEEK", first, length))
    elif macros and name in _MACROS:
        found.extend(Item(one) for one in _MACROS[name])
    elif name in SIMPLE:
        if name == "PREVIEW" and cursor.at(b" (LAZY)"):
            cursor.space()
            cursor.words()
        found.append(Item(name))
    else:
        raise Syntax(f"{name[:40]} is not an item of FETCH")


def _binary(cursor: Cursor, found: list[Item], name: str, path: str) -> None:
    cursor.byte(b"]")
    match = _PATH.fullmatch(path)
    if path and (match is None or path.endswith(".") or any(one.startswith("0") for one in path.split("."))):
        raise Syntax("A part number is missing or wrong")
    section = Section(path, "")
    if name == "BINARY.SIZE":
        found.append(Item("BINARY.SIZE[]", section, True))
        return
    first, length = _partial(cursor)
    found.append(Item("BINARY[]", section, name == "BINARY.PEEK", first, length))


def _section(cursor: Cursor, spec: str) -> Section:
    match = _PATH.match(spec)
    path, text = (match[1], spec[match.end() :]) if match else ("", spec)
    if match and not text and spec.endswith("."):
        raise Syntax("The section is not complete")
    if any(one.startswith("0") for one in path.split(".")):
        raise Syntax("Parts are counted from 1")
    if text in ("", "HEADER", "TEXT") or (text == "MIME" and path):
        return Section(path, text)
    if text in ("HEADER.FIELDS", "HEADER.FIELDS.NOT"):
        cursor.space()
        cursor.byte(b"(")
        fields: list[bytes] = []
        cursor.try_space()
        while not cursor.try_byte(b")"):
            fields.append(cursor.astring())
            if len(fields) > _MAX_FIELDS:
                raise Syntax("Too many header fields")
            if not cursor.try_space() and not cursor.at(b")"):
                raise Syntax("The list of header fields is not closed")
        if not fields:
            raise Syntax("No header fields")
        return Section(path, text, tuple(fields))
    raise Syntax("The section is not known")


def _partial(cursor: Cursor) -> tuple[int | None, int]:
    if not cursor.try_byte(b"<"):
        return None, 0
    first = cursor.number()
    cursor.byte(b".")
    length = cursor.number()
    cursor.byte(b">")
    if not length:
        raise Syntax("A partial range of nothing")
    return first, length
