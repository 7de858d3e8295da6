# SPDX-License-Identifier: AGPL-3.0-or-later
"""The index of words, as readers use it: which blobs may hold a text (DESIGN 4.8).

A search never waits for the index: blobs behind it count as possible and are read. What it names is a superset
of the truth; reading decides.
"""

from __future__ import annotations

import os
import threading
import zlib
from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag

from config.seal import Seal
from mailserver.search import dictionary, schema
from mailserver.search.dictionary import MOST_WORDS, Dictionary
from mailserver.search.postings import Head, Shard, add_to, bitmap_size, bits
from mailserver.search.terms import NOISE, Piece, grams, is_word, pieces
from mailserver.store import Store
from mailserver.store import schema as stored

_SHARDS = 32 * 1024 * 1024
_SHORTEST_GRAM = 3


def head_aad(segment: int) -> bytes:
    """The place a segment's head is sealed for."""
    return f"search-segment {segment}".encode()


def shard_aad(segment: int, shard: int) -> bytes:
    """The place a shard is sealed for."""
    return f"search-shard {segment} {shard}".encode()


@dataclass(frozen=True, slots=True)
class Segment:
    """A live segment: blobs from ``first`` to ``last``."""

    number: int
    first: int
    last: int
    head: Head


class Index:
    """Which blobs may hold a text. May be asked from any thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._words = Dictionary()
        self._swept = -1
        self._heads: dict[int, Head] = {}
        self._shards: OrderedDict[tuple[int, int], Shard] = OrderedDict()
        self._held = 0
        self._lock = threading.Lock()

    def upto(self) -> int:
        """The last blob that is indexed; its neighbours before it are so too."""
        with self._store.database.reading() as conn:
            return int(conn.execute(sa.select(schema.state.c.blob)).scalar() or 0)

    def candidates(self, among: Collection[int], wanted: str, *, fuzzy: bool) -> set[int] | None:
        """Blobs that may hold the folded text ``wanted`` (``fuzzy``: its words), all of ``among`` that do are in it;
        None: any may."""
        parts = pieces(wanted.split() if fuzzy else [wanted])
        if not parts or not among:
            return None
        with self._lock, self._store.database.reading() as conn:
            upto, segments = self._refresh(conn)
            first, last = min(among), max(among)
            found = {blob for blob in among if blob > upto} if last > upto else set[int]()
            plans = [self._plan(one) for one in parts]
            if all(one is None for one in plans):
                return None
            useful = sorted((one for one in plans if one is not None), key=len)
            for one in segments:
                if one.first <= last and one.last >= first:
                    left = self._match(conn, one, useful)
                    blobs = one.head.blobs
                    found.update([blobs[doc] for doc in bits(left)] if left else ())
        return found

    def extracted(self, blobs: list[int]) -> dict[int, str]:
        """The texts that were taken from the attachments of these blobs, NFC; those that have none are left out."""
        if not blobs:
            return {}
        query = (
            sa.select(
                schema.extracted.c.blob,
                schema.extracted.c.sealed,
                stored.blob.c.wrapped_key,
                stored.blob.c.name,
            )
            .join(stored.blob, stored.blob.c.blob == schema.extracted.c.blob)
            .where(schema.extracted.c.blob.in_(blobs))
        )
        with self._store.database.reading() as conn:
            rows = conn.execute(query).all()
        seal = self._store.seal
        return {row.blob: open_text(seal, row.sealed, row.wrapped_key, row.name) for row in rows}

    # --- what is known

    def _refresh(self, conn: sa.Connection) -> tuple[int, list[Segment]]:
        """(last indexed blob, live segments) in the snapshot of ``conn``; the dictionary is brought up to it."""
        state = conn.execute(sa.select(schema.state)).first()
        if state is None:
            return 0, []
        if state.swept_us != self._swept or state.words < self._words.next:
            self._words, self._swept = (
                Dictionary(),
                state.swept_us,
            )  # words were blanked, or all was built anew
        if state.words > self._words.next:
            more = dictionary.texts(conn, self._store.seal, self._words.next)
            self._words.grow([text for _, text in more])
        table = schema.segment
        rows = conn.execute(
            sa.select(table.c.segment, table.c.first_blob, table.c.last_blob).where(table.c.live)
        ).all()
        known = self._heads
        self._heads = {}
        for row in rows:
            head = known.get(row.segment)
            if head is None:
                sealed = conn.execute(
                    sa.select(table.c.sealed).where(table.c.segment == row.segment)
                ).scalar()
                head = Head.unpack(self._store.seal.open(sealed or b"", head_aad(row.segment)))
            self._heads[row.segment] = head
        return state.blob, [
            Segment(row.segment, row.first_blob, row.last_blob, self._heads[row.segment]) for row in rows
        ]

    def _plan(self, piece: Piece) -> list[list[int]] | None:
        """Ways to have ``piece``: lists of ids that must all be there; None when any message may."""
        ids = self._words.expand(piece)
        if ids is None:
            return None
        ways = [[one] for one in ids]
        full = self._words.next >= MOST_WORDS
        if piece.open_left or piece.open_right or not is_word(piece.text) or full:
            long = len(piece.text) >= _SHORTEST_GRAM
            ways.append(sorted(grams(piece.text)) if long else [NOISE])
        return ways

    # --- one segment

    def _match(self, conn: sa.Connection, one: Segment, plans: Iterable[list[list[int]]]) -> int:
        """A bitmap of the documents that have every plan."""
        size = bitmap_size(len(one.head.blobs))
        left = (1 << len(one.head.blobs)) - 1
        for ways in plans:
            found = bytearray(size)
            for way in ways:
                if len(way) == 1:
                    posting = self._posting(conn, one, way[0])
                    if posting is not None:
                        add_to(found, posting)
                    continue
                every = left
                for identity in way:
                    some = bytearray(size)
                    posting = self._posting(conn, one, identity)
                    if posting is not None:
                        add_to(some, posting)
                    every &= int.from_bytes(some, "little")
                    if not every:
                        break
                if every:
                    add_to(found, every.to_bytes(size, "little"))
            left &= int.from_bytes(found, "little")
            if not left:
                break
        return left

    def _posting(self, conn: sa.Connection, one: Segment, identity: int) -> bytes | None:
        number = one.head.shard_of(identity)
        if number < 0:
            return None
        key = (one.number, number)
        shard = self._shards.get(key)
        if shard is None:
            table = schema.shard
            sealed = conn.execute(
                sa.select(table.c.sealed).where(table.c.segment == one.number, table.c.shard == number)
            ).scalar()
            opened = self._store.seal.open(sealed or b"", shard_aad(*key))
            shard = self._shards[key] = Shard(opened, len(one.head.blobs))
            self._held += shard.octets
            while self._held > _SHARDS and len(self._shards) > 1:
                self._held -= self._shards.popitem(last=False)[1].octets
        else:
            self._shards.move_to_end(key)
        return shard.posting(identity)


def seal_text(seal: Seal, text: str, wrapped_key: bytes, name: bytes) -> bytes:
    """Extracted text sealed under the key of its blob, so that it goes with it."""

    nonce = os.urandom(12)
    packed = zlib.compress(text.encode("utf-8", "surrogatepass"), 6)
    return nonce + seal.blob_key(wrapped_key).encrypt(nonce, packed, b"search-text" + name)


def open_text(seal: Seal, sealed: bytes, wrapped_key: bytes, name: bytes) -> str:
    """What `seal_text` sealed; "" when it does not open."""
    try:
        packed = seal.blob_key(wrapped_key).decrypt(sealed[:12], sealed[12:], b"search-text" + name)
    except InvalidTag:
        return ""
    return zlib.decompress(packed).decode("utf-8", "surrogatepass")
