# SPDX-License-Identifier: AGPL-3.0-or-later
"""Fewer and larger segments, and nothing of what is gone: merging, sweeping, forgetting words (DESIGN 4.8).

A new segment is written shard by shard, invisible, and takes the place of the old ones in one short transaction; what
a crash leaves half written is thrown away at the next start.
"""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Iterator

import sqlalchemy as sa

from config.clock import now_us
from mailserver.search import dictionary, schema
from mailserver.search.index import head_aad, shard_aad
from mailserver.search.postings import MOST_DOCS, Head, Shard, shards
from mailserver.search.terms import FIRST_WORD
from mailserver.store import Store
from mailserver.store import schema as stored

_FAN = 8
_ASKED = 500
_AT_ONCE = 8  # shards written in one transaction
SWEEP_US = 24 * 3_600_000_000
"""So long at most stay words and postings of messages that are gone."""


def tidy(store: Store) -> None:
    """Throw away what a crash left half written. Before the first step of who holds the lease."""

    def job(conn: sa.Connection) -> None:
        dead = sa.select(schema.segment.c.segment).where(sa.not_(schema.segment.c.live))
        conn.execute(sa.delete(schema.shard).where(schema.shard.c.segment.in_(dead)))
        conn.execute(sa.delete(schema.segment).where(sa.not_(schema.segment.c.live)))

    store.database.write(job)


def merge(store: Store) -> bool:
    """Join the newest segments when `_FAN` of one size have come together; True when something was joined."""
    with store.database.reading() as conn:
        rows = _live(conn)
    level = 1
    while level <= MOST_DOCS:
        level *= _FAN
        run: list[tuple[int, int]] = []
        for number, docs in reversed(rows):
            if docs >= level or sum(some for _, some in run) + docs > MOST_DOCS:
                break
            run.append((number, docs))
        if len(run) >= _FAN:
            rewrite(store, [number for number, _ in reversed(run)])
            return True
    return False


def _live(conn: sa.Connection) -> list[tuple[int, int]]:
    table = schema.segment
    query = sa.select(table.c.segment, table.c.docs).where(table.c.live).order_by(table.c.first_blob)
    return [(row.segment, row.docs) for row in conn.execute(query)]


def rewrite(store: Store, numbers: list[int]) -> None:
    """One segment in place of ``numbers`` (by first blob), without the blobs that are gone."""
    heads = [_head(store, number) for number in numbers]
    there = _existing(store, [blob for head in heads for blob in head.blobs])
    places: list[list[int]] = []
    blobs = array("q")
    for head in heads:
        mapped = []
        for blob in head.blobs:
            mapped.append(len(blobs) if blob in there else -1)
            if blob in there:
                blobs.append(blob)
        places.append(mapped)
    with store.database.reading() as conn:
        span = conn.execute(
            sa.select(
                sa.func.min(schema.segment.c.first_blob), sa.func.max(schema.segment.c.last_blob)
            ).where(schema.segment.c.segment.in_(numbers))
        ).one()
    new = _reserve(store, int(span[0]), int(span[1]), len(blobs))
    firsts = array("I")
    waiting: list[dict[str, object]] = []
    streams = [_items(store, number, head) for number, head in zip(numbers, heads, strict=True)]
    for first, packed in shards(_joined(streams, places), len(blobs)):
        at = len(firsts)
        firsts.append(first)
        waiting.append({"segment": new, "shard": at, "sealed": store.seal.seal(packed, shard_aad(new, at))})
        if len(waiting) == _AT_ONCE:
            _add(store, waiting)
            waiting = []
    _add(store, waiting)
    sealed = store.seal.seal(Head(blobs, firsts).pack(), head_aad(new))
    table = schema.segment

    def job(conn: sa.Connection) -> None:
        conn.execute(sa.update(table).where(table.c.segment == new).values(live=True, sealed=sealed))
        conn.execute(sa.update(table).where(table.c.segment.in_(numbers)).values(live=False))
        if not blobs:
            conn.execute(sa.update(table).where(table.c.segment == new).values(live=False))

    store.database.write(job)
    tidy(store)


def _reserve(store: Store, first: int, last: int, docs: int) -> int:
    def job(conn: sa.Connection) -> int:
        state = schema.state
        number = conn.execute(
            sa.update(state)
            .where(state.c.id == 1)
            .values(segments=state.c.segments + 1)
            .returning(state.c.segments)
        ).scalar_one()
        conn.execute(
            sa.insert(schema.segment).values(
                segment=number, live=False, first_blob=first, last_blob=last, docs=docs, sealed=b""
            )
        )
        return int(number)

    return store.database.write(job)


def _add(store: Store, rows: list[dict[str, object]]) -> None:
    if rows:
        store.database.write(lambda conn: conn.execute(sa.insert(schema.shard), rows))


def _head(store: Store, number: int) -> Head:
    with store.database.reading() as conn:
        sealed = conn.execute(
            sa.select(schema.segment.c.sealed).where(schema.segment.c.segment == number)
        ).scalar_one()
    return Head.unpack(store.seal.open(sealed, head_aad(number)))


def opened(store: Store, number: int, at: int, docs: int) -> Shard:
    """A shard of a segment. Raises `SealBroken`, or sqlalchemy's NoResultFound."""
    table = schema.shard
    with store.database.reading() as conn:
        sealed = conn.execute(
            sa.select(table.c.sealed).where(table.c.segment == number, table.c.shard == at)
        ).scalar_one()
    return Shard(store.seal.open(sealed, shard_aad(number, at)), docs)


def _items(store: Store, number: int, head: Head) -> Iterator[tuple[int, list[int]]]:
    for at in range(len(head.firsts)):
        yield from opened(store, number, at, len(head.blobs)).items()


def _joined(
    streams: list[Iterator[tuple[int, list[int]]]], places: list[list[int]]
) -> Iterator[tuple[int, list[int]]]:
    """Postings of several segments by rising id, their documents renumbered."""
    marked = [_marked(stream, source) for source, stream in enumerate(streams)]
    known, held = -1, list[int]()
    for identity, source, found in heapq.merge(*marked):
        if identity != known:
            if held:
                yield known, held
            known, held = identity, []
        place = places[source]
        held += [place[doc] for doc in found if place[doc] >= 0]
    if held:
        yield known, held


def _marked(stream: Iterator[tuple[int, list[int]]], source: int) -> Iterator[tuple[int, int, list[int]]]:
    for identity, found in stream:
        yield identity, source, found


def _existing(store: Store, wanted: list[int]) -> set[int]:
    found: set[int] = set()
    table = stored.blob
    with store.database.reading() as conn:
        for start in range(0, len(wanted), _ASKED):
            part = wanted[start : start + _ASKED]
            found.update(conn.execute(sa.select(table.c.blob).where(table.c.blob.in_(part))).scalars())
    return found


def sweep(store: Store) -> bool:
    """Once in `SWEEP_US`: postings of messages that are gone, and words that no message has any more, are erased.

    Returns whether it was due; the indexer's dictionary is old then.
    """
    with store.database.reading() as conn:
        swept = conn.execute(sa.select(schema.state.c.swept_us)).scalar()
        rows = _live(conn)
    if swept is None or now_us() - swept < SWEEP_US:
        return False
    for number, _ in rows:
        head = _head(store, number)
        if len(_existing(store, list(head.blobs))) < len(head.blobs):
            rewrite(store, [number])
    _forget_texts(store, schema.extracted)
    _forget_texts(store, schema.folded)
    used = _used(store)
    with store.database.reading() as conn:
        kept = dictionary.pages(conn, store.seal)
    for first, words in kept:
        left = [word if first + at in used else "" for at, word in enumerate(words)]
        if left != words:
            store.database.write(
                lambda conn, first=first, left=left: dictionary.replace(conn, store.seal, first, left)  # type: ignore[misc]
            )
    state = schema.state
    store.database.write(lambda conn: conn.execute(sa.update(state).values(swept_us=now_us())))
    return True


def _used(store: Store) -> set[int]:
    with store.database.reading() as conn:
        rows = _live(conn)
    used: set[int] = set()
    for number, docs in rows:
        for at in range(len(_head(store, number).firsts)):
            used.update(one for one in opened(store, number, at, docs).ids if one >= FIRST_WORD)
    return used


def _forget_texts(store: Store, table: sa.Table) -> None:
    gone = sa.select(table.c.blob).where(table.c.blob.not_in(sa.select(stored.blob.c.blob))).limit(_ASKED)
    with store.database.reading() as conn:
        dead = list(conn.execute(gone).scalars())
    if dead:
        store.database.write(lambda conn: conn.execute(sa.delete(table).where(table.c.blob.in_(dead))))
