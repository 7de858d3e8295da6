# SPDX-License-Identifier: AGPL-3.0-or-later
"""Building the index behind delivery: the worker's side (DESIGN 4.8).

It follows new blobs with a cursor that moves in the transaction that stores their postings, so a crash repeats nothing
and skips nothing. One holder of a lease writes. Blobs get their numbers under a row lock, so they commit in order.
"""

from __future__ import annotations

import logging
from array import array
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from config.clock import now_us
from config.refusal import Refused
from mailserver.message import Summary, scan
from mailserver.search import dictionary, schema, texts
from mailserver.search.content import body_text, head_text
from mailserver.search.dictionary import MOST_WORDS
from mailserver.search.extraction import Extraction
from mailserver.search.index import head_aad, seal_text, shard_aad
from mailserver.search.postings import Head, shards
from mailserver.search.terms import FIRST_WORD, NOISE, Folded, grams, is_word
from mailserver.store import Store
from mailserver.store import schema as stored

log = logging.getLogger("congvan.search")

BATCH = 256
_BATCH_OCTETS = 32 * 1024 * 1024


class Overtaken(Exception):
    """Somebody else wrote to the index meanwhile: read what there is and begin again."""


@dataclass(slots=True)
class _Document:
    blob: int
    tokens: set[str]
    sealed_text: bytes | None
    sealed_folded: bytes | None


class Indexer:
    """Adds the next blobs to the index. One thread of one process, while it holds the lease."""

    def __init__(self, store: Store, extraction: Extraction) -> None:
        self._store = store
        self._extraction = extraction
        self._ids: dict[str, int] = {}
        self._next = 0
        self._cursor = 0
        self._known = False

    def load(self) -> None:
        """Read state and dictionary; the first time an empty index is made."""
        self._store.database.write(_begin)
        with self._store.database.reading() as conn:
            state = conn.execute(sa.select(schema.state)).one()
            self._cursor, self._next = state.blob, state.words
            self._ids = {
                word: first + at
                for first, words in dictionary.pages(conn, self._store.seal)
                for at, word in enumerate(words)
                if word
            }
        self._known = True

    def forget(self) -> None:
        """What is known of the index may be old: read it again before the next step."""
        self._known = False

    def step(self) -> bool:
        """Index the next blobs, at most `BATCH`; whether more wait. Raises `Overtaken`."""
        if not self._known:
            self.load()
        table = stored.blob
        query = (
            sa.select(table.c.blob, table.c.name, table.c.wrapped_key, table.c.length)
            .where(table.c.blob > self._cursor)
            .order_by(table.c.blob)
            .limit(BATCH)
        )
        with self._store.database.reading() as conn:
            rows = conn.execute(query).all()
        read = self._store.contents(row.blob for row in rows)
        summaries = self._store.summaries(row.blob for row in rows)
        found: list[_Document] = []
        octets = 0
        for row in rows:
            found.append(self._read(row.blob, row.name, row.wrapped_key, read, summaries.get(row.blob)))
            octets += row.length
            if octets > _BATCH_OCTETS:
                break
        if found:
            self._write(found)
        return len(found) == BATCH or len(found) < len(rows)

    def _read(
        self,
        blob: int,
        name: bytes,
        wrapped_key: bytes,
        read: Callable[[int], bytes],
        summary: Summary | None,
    ) -> _Document:
        store = self._store
        try:
            data = read(blob)
            summary = summary or scan(data)
        except (LookupError, Refused, OSError):
            log.warning("blob %d can't be indexed", blob)
            return _Document(blob, set(), None, None)
        extracted = self._extraction.text(data, summary)
        folded = Folded(head_text(data), body_text(data, summary, extracted))
        sealed = seal_text(store.seal, extracted, wrapped_key, name) if extracted else None
        kept = texts.sealed(store.seal, folded.head, folded.body, wrapped_key, name)
        return _Document(blob, folded.tokens, sealed, kept)

    def _write(self, found: list[_Document]) -> None:
        new: dict[str, int] = {}
        postings: dict[int, list[int]] = {}
        for number, one in enumerate(found):
            for identity in self._identities(one.tokens, new):
                postings.setdefault(identity, []).append(number)
        packed = list(shards(sorted(postings.items()), len(found)))
        head = Head(array("q", [one.blob for one in found]), array("I", [first for first, _ in packed]))
        cursor, words = self._cursor, self._next
        seal = self._store.seal

        def job(conn: sa.Connection) -> None:
            state = schema.state
            number = conn.execute(
                sa.update(state)
                .where(state.c.id == 1, state.c.blob == cursor, state.c.words == words)
                .values(blob=found[-1].blob, words=words + len(new), segments=state.c.segments + 1)
                .returning(state.c.segments)
            ).scalar()
            if number is None:
                raise Overtaken
            if new:
                dictionary.put(conn, seal, words, list(new))
            if packed:
                conn.execute(
                    sa.insert(schema.shard),
                    [
                        {"segment": number, "shard": at, "sealed": seal.seal(one, shard_aad(number, at))}
                        for at, (_, one) in enumerate(packed)
                    ],
                )
            conn.execute(
                sa.insert(schema.segment).values(
                    segment=number,
                    live=True,
                    first_blob=found[0].blob,
                    last_blob=found[-1].blob,
                    docs=len(found),
                    sealed=seal.seal(head.pack(), head_aad(number)),
                )
            )
            for table, rows in (
                (schema.extracted, [(one.blob, one.sealed_text) for one in found if one.sealed_text]),
                (schema.folded, [(one.blob, one.sealed_folded) for one in found if one.sealed_folded]),
            ):
                if rows:
                    conn.execute(sa.insert(table), [{"blob": blob, "sealed": row} for blob, row in rows])

        try:
            self._store.database.write(job)
        except Overtaken:
            self._known = False
            raise
        self._cursor = found[-1].blob
        self._next += len(new)
        self._ids.update(new)

    def _identities(self, found: set[str], new: dict[str, int]) -> set[int]:
        """The ids of a document's tokens; unknown words get one in ``new`` while there is room."""
        out: set[int] = set()
        for token in found:
            identity = self._ids.get(token) or new.get(token)
            if identity is None:
                room = self._next + len(new) < MOST_WORDS or len(token) < 3
                if is_word(token) and room:
                    identity = new[token] = self._next + len(new)
                else:
                    out.add(NOISE)
                    out |= grams(token)
                    continue
            out.add(identity)
        return out


def _begin(conn: sa.Connection) -> None:
    if conn.execute(sa.select(schema.state.c.id)).first() is None:
        conn.execute(
            sa.insert(schema.state).values(
                id=1, blob=0, words=FIRST_WORD, segments=0, swept_us=now_us(), unfolded=0
            )
        )


def clear(conn: sa.Connection) -> None:
    """Throw the index away; it is built anew from the blobs."""
    for table in (*schema.TABLES, schema.state):
        conn.execute(sa.delete(table))
    _begin(conn)
