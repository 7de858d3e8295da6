# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a SEARCH asks for (RFC 9051 §6.4.4, RFC 5032, RFC 7162): a tree of keys, read with a depth limit."""

from __future__ import annotations

from dataclasses import dataclass

from mailserver.imap.grammar.lexer import Cursor, Syntax
from mailserver.imap.grammar.sequences import SequenceSet
from mailserver.imap.grammar.strings import parse_day

_MAX_DEPTH = 32
_MAX_KEYS = 1000
_FLAGS = {
    f"{no}{name}": (flag, not no)
    for name, flag in (
        ("ANSWERED", 2),
        ("DELETED", 8),
        ("DRAFT", 16),
        ("FLAGGED", 4),
        ("SEEN", 1),
    )
    for no in ("", "UN")
}
_TEXTS = frozenset({"BCC", "BODY", "CC", "FROM", "SUBJECT", "TEXT", "TO"})
_DATES = frozenset({"BEFORE", "ON", "SINCE", "SENTBEFORE", "SENTON", "SENTSINCE"})
_NUMBERS = frozenset({"LARGER", "SMALLER", "YOUNGER", "OLDER"})


@dataclass(frozen=True, slots=True)
class Key:
    """One key. Which fields count depends on ``name``:

    ``AND``, ``OR``, ``NOT``: ``keys``. ``FLAG``: bit ``number``, ``wanted``. ``KEYWORD``: ``text``, ``wanted``.
    ``SEQ``, ``UID``: ``set``. Dates: ``number`` days since 1970. Sizes, seconds, ``MODSEQ``: ``number``.
    Texts: ``text``; ``HEADER``: ``header`` and ``text``. ``ALL``, ``NONE``: nothing.
    """

    name: str
    keys: tuple[Key, ...] = ()
    number: int = 0
    wanted: bool = True
    text: str = ""
    header: str = ""
    set: SequenceSet | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """A whole command: ``returns`` is None for a plain SEARCH, else the ESEARCH options (RFC 9051 §6.4.4)."""

    key: Key
    returns: frozenset[str] | None


RETURNS = frozenset({"MIN", "MAX", "COUNT", "ALL"})


class BadCharset(Exception):
    """The charset is not supported: NO [BADCHARSET]."""


def parse_search(cursor: Cursor) -> Search:
    """The arguments of SEARCH, behind the blank."""
    returns: frozenset[str] | None = None
    state = _Reader(cursor)
    word = cursor.word() if not (cursor.at(b"(") or cursor.at_sequence_set()) else None
    if word == "RETURN":
        cursor.space()
        asked = cursor.words()
        unknown = [one for one in asked if one not in RETURNS]
        if unknown:
            raise Syntax(f"RETURN {unknown[0][:40]} is not known")
        returns = frozenset(asked) or frozenset({"ALL"})
        cursor.space()
        word = cursor.word() if not (cursor.at(b"(") or cursor.at_sequence_set()) else None
    if word == "CHARSET":
        cursor.space()
        if cursor.astring().upper() not in (b"UTF-8", b"US-ASCII", b"UTF8"):
            raise BadCharset
        cursor.space()
        word = None
    keys = [state.key(1, word)]
    while cursor.try_space() and not cursor.at_end():
        keys.append(state.key(1, None))
    cursor.end()
    return Search(keys[0] if len(keys) == 1 else Key("AND", tuple(keys)), returns)


class _Reader:
    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._left = _MAX_KEYS

    def key(self, depth: int, word: str | None) -> Key:
        cursor = self._cursor
        self._left -= 1
        if depth > _MAX_DEPTH or self._left < 0:
            raise Syntax("The search is too deep or too long")
        if word is None:
            if cursor.try_byte(b"("):
                keys = [self.key(depth + 1, None)]
                while not cursor.try_byte(b")"):
                    cursor.space()
                    keys.append(self.key(depth + 1, None))
                return Key("AND", tuple(keys))
            if cursor.at_sequence_set():
                return Key("SEQ", set=cursor.sequence_set())
            word = cursor.word()
        return self._named(word, depth)

    def _named(self, word: str, depth: int) -> Key:
        cursor = self._cursor
        if word in _FLAGS:
            bit, wanted = _FLAGS[word]
            return Key("FLAG", number=bit, wanted=wanted)
        if word in ("ALL", "OLD"):
            return Key("ALL")
        if word in ("NEW", "RECENT"):  # this server gives \Recent to nobody (RFC 9051 has no \Recent)
            return Key("NONE")
        if word not in _ARGUMENTS:
            raise Syntax(f"{word[:40]} is not a search key")
        cursor.space()
        if word in _TEXTS:
            return Key(word, text=_text(cursor.astring()))
        if word in _DATES:
            day = parse_day(cursor.astring())
            if day is None:
                raise Syntax("A date is missing or wrong")
            return Key(word, number=day)
        if word in _NUMBERS:
            return Key(word, number=cursor.number())
        if word == "NOT":
            return Key("NOT", (self.key(depth + 1, None),))
        if word == "OR":
            first = self.key(depth + 1, None)
            cursor.space()
            return Key("OR", (first, self.key(depth + 1, None)))
        if word == "HEADER":
            header = _text(cursor.astring())
            cursor.space()
            return Key("HEADER", header=header, text=_text(cursor.astring()))
        if word == "UID":
            return Key("UID", set=cursor.sequence_set())
        if word == "MODSEQ":
            if cursor.at(b'"'):
                cursor.string()
                cursor.space()
                cursor.word()
                cursor.space()
            return Key("MODSEQ", number=cursor.number())
        return Key("KEYWORD", text=cursor.flag(), wanted=word == "KEYWORD")


_ARGUMENTS = _TEXTS | _DATES | _NUMBERS | {"NOT", "OR", "HEADER", "UID", "MODSEQ", "KEYWORD", "UNKEYWORD"}


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise Syntax("The search text is not UTF-8") from problem
