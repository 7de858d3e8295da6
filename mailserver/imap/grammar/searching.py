# SPDX-License-Identifier: AGPL-3.0-or-later
"""SEARCH, SORT and THREAD read from the wire (RFC 9051 §6.4.4, RFC 5256 §3): keys with a depth limit, options."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from mailserver.imap.grammar.lexer import Cursor, Syntax
from mailserver.imap.grammar.strings import parse_day
from mailserver.imap.grammar.windows import parse_window
from mailserver.search.keys import TEXTS, Key

_MAX_DEPTH = 32
_MAX_KEYS = 1000
_MAX_TEXT = 2000
_MAX_HARD = 50  # keys of one search that may look into bodies
_FLAGS = {
    f"{no}{name}": (flag, not no)
    for name, flag in (("ANSWERED", 2), ("DELETED", 8), ("DRAFT", 16), ("FLAGGED", 4), ("SEEN", 1))
    for no in ("", "UN")
}
_DATES = frozenset(f"{kind}{name}" for kind in ("", "SENT", "SAVED") for name in ("BEFORE", "ON", "SINCE"))
_NUMBERS = frozenset({"LARGER", "SMALLER", "YOUNGER", "OLDER"})
_ARGUMENTS = (
    TEXTS
    | _DATES
    | _NUMBERS
    | {"NOT", "OR", "HEADER", "UID", "MODSEQ", "KEYWORD", "UNKEYWORD", "FUZZY", "EMAILID", "THREADID"}
)
RETURNS = frozenset({"MIN", "MAX", "COUNT", "ALL", "SAVE", "PARTIAL", "RELEVANCY"})
SORT_KEYS = frozenset(
    {"ARRIVAL", "CC", "DATE", "FROM", "SIZE", "SUBJECT", "TO", "DISPLAYFROM", "DISPLAYTO", "RELEVANCY"}
)
ALGORITHMS = frozenset({"ORDEREDSUBJECT", "REFERENCES"})


class BadCharset(Exception):
    """The charset is not supported: NO [BADCHARSET]."""


@dataclass(frozen=True, slots=True)
class Returns:
    """The RETURN options of a command (RFC 4731 §3.1, RFC 5182 §2, RFC 9394 §3.1, RFC 6203 §4).

    ``partial``: the ends of the wanted window as written, both positive or both negative.
    """

    options: frozenset[str] = frozenset({"ALL"})
    partial: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """A whole SEARCH: ``returns`` is None without RETURN."""

    key: Key
    returns: Returns | None


@dataclass(frozen=True, slots=True)
class Sort:
    """A whole SORT: ``criteria`` are (name, reversed) pairs."""

    criteria: tuple[tuple[str, bool], ...]
    search: Search = field(default_factory=lambda: Search(Key("ALL"), None))


def parse_search(cursor: Cursor) -> Search:
    """The arguments of SEARCH, behind the blank. Raises `Syntax`, `BadCharset`."""
    returns, word = _returns(cursor)
    if word == "CHARSET":
        cursor.space()
        _charset(cursor)
        word = None
    return Search(_program(cursor, word), returns)


def parse_sort(cursor: Cursor) -> Sort:
    """The arguments of SORT (RFC 5256 §3, RFC 5267 §3). Raises `Syntax`, `BadCharset`."""
    returns, word = _returns(cursor)
    if word is not None:
        raise Syntax("The sort criteria are missing")
    criteria: list[tuple[str, bool]] = []
    turned = False
    for one in cursor.words():
        if one == "REVERSE" and not turned:
            turned = True
        elif one in SORT_KEYS:
            criteria.append((one, turned))
            turned = False
        else:
            raise Syntax(f"{one[:40]} is not a sort criterion")
    if turned or not criteria or len(criteria) > 2 * len(SORT_KEYS):
        raise Syntax("The sort criteria are incomplete or too many")
    cursor.space()
    _charset(cursor)
    return Sort(tuple(criteria), Search(_program(cursor, None), returns))


def parse_thread(cursor: Cursor) -> tuple[str, Key]:
    """The arguments of THREAD: (algorithm, key). Raises `Syntax`, `BadCharset`."""
    algorithm = cursor.word()
    if algorithm not in ALGORITHMS:
        raise Syntax(f"{algorithm[:40]} is not a threading algorithm of this server")
    cursor.space()
    _charset(cursor)
    return algorithm, _program(cursor, None)


def _returns(cursor: Cursor) -> tuple[Returns | None, str | None]:
    """(RETURN options, the word that was read behind them, if one had to be)."""
    word = _word(cursor)
    if word != "RETURN":
        return None, word
    cursor.space()
    cursor.byte(b"(")
    options: set[str] = set()
    partial: tuple[int, int] | None = None
    cursor.try_space()
    while not cursor.try_byte(b")"):
        one = cursor.word()
        if one not in RETURNS:
            raise Syntax(f"RETURN {one[:40]} is not known")
        if one in options:
            raise Syntax(f"RETURN {one} is given twice")
        options.add(one)
        if one == "PARTIAL":
            cursor.space()
            partial = parse_window(cursor)
        if not cursor.try_space() and not cursor.at(b")"):
            raise Syntax("A list is not closed")
    if {"ALL", "PARTIAL"} <= options:
        raise Syntax("ALL and PARTIAL exclude one another")  # RFC 9394 §3.1
    if not options - {"RELEVANCY"}:
        options.add("ALL")
    cursor.space()
    return Returns(frozenset(options), partial), _word(cursor)


def _word(cursor: Cursor) -> str | None:
    return None if cursor.at(b"(") or cursor.at_sequence_set() else cursor.word()


def _charset(cursor: Cursor) -> None:
    if cursor.astring().upper() not in (b"UTF-8", b"US-ASCII", b"UTF8"):
        raise BadCharset
    cursor.space()


def _program(cursor: Cursor, word: str | None) -> Key:
    reader = _Reader(cursor)
    keys = [reader.key(1, word)]
    while cursor.try_space() and not cursor.at_end():
        keys.append(reader.key(1, None))
    cursor.end()
    return keys[0] if len(keys) == 1 else Key("AND", tuple(keys))


class _Reader:
    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._left = _MAX_KEYS
        self._hard = _MAX_HARD

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
        if word == "SAVEDATESUPPORTED":  # RFC 8514 §4.3
            return Key("ALL")
        if word in ("NEW", "RECENT"):  # this server gives \Recent to nobody (RFC 9051 has no \Recent)
            return Key("NONE")
        if word not in _ARGUMENTS:
            raise Syntax(f"{word[:40]} is not a search key")
        cursor.space()
        if word in TEXTS:
            return self._text(word, "")
        if word in _DATES:
            day = parse_day(cursor.astring())
            if day is None:
                raise Syntax("A date is missing or wrong")
            return Key(word, number=day)
        if word in _NUMBERS:
            number = cursor.number()
            if not number and word in ("YOUNGER", "OLDER"):
                raise Syntax(f"{word} 0 is not an interval")  # RFC 5032 §3
            return Key(word, number=number)
        if word in ("NOT", "OR"):
            keys = [self.key(depth + 1, None)]
            if word == "OR":
                cursor.space()
                keys.append(self.key(depth + 1, None))
            return Key(word, tuple(keys))
        if word == "FUZZY":  # RFC 6203 §3
            return _fuzzy(self.key(depth + 1, None))
        if word == "HEADER":
            header = _decoded(cursor.astring())
            cursor.space()
            return self._text("HEADER", header)
        if word in ("EMAILID", "THREADID"):  # RFC 8474 §6
            return Key(word, text=cursor.atom().decode())
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

    def _text(self, name: str, header: str) -> Key:
        text = _decoded(self._cursor.astring())
        if len(text) > _MAX_TEXT:
            raise Syntax("The search text is too long")
        if name in ("BODY", "TEXT", "HEADER"):
            self._hard -= 1
            if self._hard < 0:
                raise Syntax("The search looks for too many texts")
        return Key(name, header=header, text=text)


def _fuzzy(key: Key) -> Key:
    if key.keys:
        return replace(key, keys=tuple(_fuzzy(one) for one in key.keys))
    return replace(key, fuzzy=True)


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise Syntax("The search text is not UTF-8") from problem
