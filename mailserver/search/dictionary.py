# SPDX-License-Identifier: AGPL-3.0-or-later
"""The dictionary: every word with its id, in memory as one text that is searched from end to end.

A reader needs about 13 octets a word (the word, a line feed, four octets of where it begins).
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from itertools import accumulate

import sqlalchemy as sa

from config.seal import Seal
from mailserver.search import schema
from mailserver.search.terms import FIRST_WORD, Piece

MOST_WORDS = 1_000_000
"""With so many words it is full: new ones are indexed by their grams."""
MANY = 20_000
"""A piece that more words match says nothing: any message may hold it."""


def _aad(first: int) -> bytes:
    return f"search-word {first}".encode()


def put(conn: sa.Connection, seal: Seal, first: int, words: list[str]) -> None:
    """Store new words, which get the ids from ``first`` on."""
    sealed = seal.seal_text("\n".join(words), _aad(first))
    conn.execute(sa.insert(schema.word).values(first=first, count=len(words), sealed=sealed))


def replace(conn: sa.Connection, seal: Seal, first: int, words: list[str]) -> None:
    """Store a page anew (some of its words blanked)."""
    sealed = seal.seal_text("\n".join(words), _aad(first))
    conn.execute(sa.update(schema.word).where(schema.word.c.first == first).values(sealed=sealed))


def pages(conn: sa.Connection, seal: Seal, since: int = FIRST_WORD) -> list[tuple[int, list[str]]]:
    """(first id, words) of the pages from id ``since`` on."""
    table = schema.word
    query = sa.select(table.c.first, table.c.sealed).where(table.c.first >= since).order_by(table.c.first)
    return [
        (row.first, seal.open_text(row.sealed, _aad(row.first)).split("\n")) for row in conn.execute(query)
    ]


class Dictionary:
    """The words as a reader knows them; `grow` when there are more."""

    def __init__(self) -> None:
        self._text = "\n"
        self._starts = array("I", [1])

    @property
    def next(self) -> int:
        """The id behind the last one known."""
        return FIRST_WORD + len(self._starts) - 1

    @property
    def octets(self) -> int:
        """Memory it takes, about."""
        return 4 * len(self._starts) + len(self._text) * (1 if self._text.isascii() else 2)

    def grow(self, words: list[str]) -> None:
        """Add words, which get the next ids."""
        ends = accumulate(map(len, words), lambda at, one: at + one + 1, initial=self._starts.pop())
        self._starts.extend(ends)
        self._text += "".join([one + "\n" for one in words])

    def expand(self, piece: Piece) -> list[int] | None:
        """The ids of the words that ``piece`` may be part of; None when they are very many."""
        wanted = piece.text
        if not piece.open_left:
            wanted = "\n" + wanted
        if not piece.open_right:
            wanted += "\n"
        skip = 0 if piece.open_left else 1
        found: list[int] = []
        text, starts = self._text, self._starts
        hit = text.find(wanted)
        while hit >= 0:
            at = bisect_right(starts, hit + skip) - 1
            found.append(FIRST_WORD + at)
            if len(found) > MANY:
                return None
            hit = text.find(wanted, starts[at + 1] - 1)
        return found
