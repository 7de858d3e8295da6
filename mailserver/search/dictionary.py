# SPDX-License-Identifier: AGPL-3.0-or-later
"""The dictionary: every word with its id, in memory as one text that is searched from end to end.

A reader needs the words and a line feed for each.
"""

from __future__ import annotations

from bisect import bisect_right

import sqlalchemy as sa

from config.seal import Seal
from mailserver.search import schema
from mailserver.search.terms import FIRST_WORD, Piece

MOST_WORDS = 1_000_000
"""With so many words it is full: new ones are indexed by their grams."""
_PAGE = 4096
MANY = 20_000
"""A piece that more words match says nothing: any message may hold it."""


def _aad(first: int) -> bytes:
    return f"search-word {first}".encode()


def put(conn: sa.Connection, seal: Seal, first: int, words: list[str]) -> None:
    """Store new words, which get the ids from ``first`` on: behind those of the last page while that is short.

    Who reads the dictionary for the first time opens all pages, so they should be few.
    """
    table, text = schema.word, "\n".join(words)
    last = conn.execute(sa.select(table).order_by(table.c.first.desc()).limit(1)).first()
    if last is None or len(words) + (held := last._mapping["count"]) > _PAGE or last.first + held != first:
        sealed = seal.seal_text(text, _aad(first))
        conn.execute(sa.insert(table).values(first=first, count=len(words), sealed=sealed))
        return
    text = seal.open_text(last.sealed, _aad(last.first)) + "\n" + text
    longer = {"count": held + len(words), "sealed": seal.seal_text(text, _aad(last.first))}
    conn.execute(sa.update(table).where(table.c.first == last.first).values(longer))


def replace(conn: sa.Connection, seal: Seal, first: int, words: list[str]) -> None:
    """Store a page anew (some of its words blanked)."""
    sealed = seal.seal_text("\n".join(words), _aad(first))
    conn.execute(sa.update(schema.word).where(schema.word.c.first == first).values(sealed=sealed))


def pages(conn: sa.Connection, seal: Seal, since: int = FIRST_WORD) -> list[tuple[int, list[str]]]:
    """(first id, words) from id ``since`` on, page by page."""
    return [(first, text.split("\n")) for first, text in texts(conn, seal, since)]


def texts(conn: sa.Connection, seal: Seal, since: int = FIRST_WORD) -> list[tuple[int, str]]:
    """(first id, words with a line feed between them) from id ``since`` on, page by page."""
    table = schema.word
    query = sa.select(table.c.first, table.c.sealed).where(table.c.first + table.c.count > since)
    found = []
    for first, sealed in conn.execute(query.order_by(table.c.first)):
        text, known = seal.open_text(sealed, _aad(first)), max(0, since - first)
        found.append((first + known, text.split("\n", known)[known]))
    return found


class Dictionary:
    """The words as a reader knows them; `grow` when there are more."""

    def __init__(self) -> None:
        self._text = "\n"
        self._starts = [1]  # of the pages in the text
        self._firsts = [FIRST_WORD]  # their first ids; behind the last page stands what comes next

    @property
    def next(self) -> int:
        """The id behind the last one known."""
        return self._firsts[-1]

    @property
    def octets(self) -> int:
        """Memory it takes, about."""
        return len(self._text) * (1 if self._text.isascii() else 2)

    def grow(self, pages: list[str]) -> None:
        """Add pages of words (a line feed between them), which get the next ids."""
        self._text = "".join([self._text, *[one + "\n" for one in pages]])
        for one in pages:
            self._starts.append(self._starts[-1] + len(one) + 1)
            self._firsts.append(self._firsts[-1] + one.count("\n") + 1)

    def expand(self, piece: Piece) -> list[int] | None:
        """The ids of the words that ``piece`` may be part of; None when they are very many."""
        wanted = piece.text
        if not piece.open_left:
            wanted = "\n" + wanted
        if not piece.open_right:
            wanted += "\n"
        skip = 0 if piece.open_left else 1
        found: list[int] = []
        text = self._text
        page, at, number = -1, 0, 0
        hit = text.find(wanted)
        while hit >= 0:
            if (here := bisect_right(self._starts, hit + skip) - 1) != page:
                page, at, number = here, self._starts[here], self._firsts[here]
            number += text.count("\n", at, hit + skip)
            at = hit + skip
            found.append(number)
            if len(found) > MANY:
                return None
            hit = text.find(wanted, text.index("\n", at))
        return found
