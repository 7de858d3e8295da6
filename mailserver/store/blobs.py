# SPDX-License-Identifier: AGPL-3.0-or-later
"""Blobs: message bytes, stored once whoever gets them, each sealed under a key of its own (DESIGN 4.3).

Dropping the last reference drops the key, so the bytes left in a segment say nothing more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from sqlalchemy.dialects import postgresql, sqlite

from config.seal import Seal, SealBroken, fresh_nonce
from config.statement import Statement, insert
from mailserver.accounts.schema import next_number
from mailserver.message import Summary, scan
from mailserver.store import schema
from mailserver.store.model import Ref
from mailserver.store.storage import BlobStorage

_NONCE, _TAG = 12, 16
OVERHEAD = _NONCE + _TAG
"""By so many bytes a sealed blob is longer than its message."""
_WINDOW = 512 * 1024
_GAP = 4096


@dataclass(frozen=True, slots=True)
class Prepared:
    """A message ready to be stored: all work that needs no database is done. ``size`` in bytes."""

    name: bytes
    sealed: bytes | bytearray
    wrapped_key: bytes
    sealed_summary: bytes
    size: int
    summary: Summary
    place: tuple[int, int] | None = None


def prepare(seal: Seal, data: bytes, found: Summary | None = None) -> Prepared:
    """Scan (unless it is ``found`` already), seal and name ``data``: outside any transaction."""
    found = found or scan(data)
    name = seal.blob_name(data)
    cipher, wrapped = seal.new_blob_key()
    nonce = fresh_nonce()
    sealed = bytearray(_NONCE + len(data) + _TAG)
    sealed[:_NONCE] = nonce
    cipher.encrypt_into(nonce, data, name, memoryview(sealed)[_NONCE:])
    return Prepared(name, sealed, wrapped, seal.seal(found.pack(), b"summary" + name), len(data), found)


async def staged(segments: BlobStorage, prepared: Prepared) -> Prepared:
    """``prepared``, its bytes durable already where the storage wants them before the transaction."""
    if not segments.is_remote:
        return prepared
    return replace(prepared, place=await segments.stage(prepared.sealed))


def appended(segments: BlobStorage, prepared: Prepared) -> Prepared:
    """``prepared``, its bytes in a segment already, durable after its `flush`. Writer thread only.

    Raises `StorageUnavailable`.
    """
    if prepared.place is not None:
        return prepared
    return replace(prepared, place=segments.append(prepared.sealed))


_ADD_REFS = Statement(
    sa.update(schema.blob)
    .where(schema.blob.c.name == sa.bindparam("named"))
    .values(refs=schema.blob.c.refs + sa.bindparam("added", type_=sa.BigInteger))
    .returning(schema.blob.c.blob)
)
_ADD_BLOB = insert(schema.blob)
_ADD_SUMMARY = insert(schema.summary)


def put(
    conn: sa.Connection,
    segments: BlobStorage,
    prepared: Prepared,
    refs: int,
    sealed_verdict: bytes | None = None,
) -> int:
    """Store the blob or add ``refs`` references to the one that is there; returns its id.

    ``sealed_verdict``: what the door found out about it, sealed with ``b"verdict"`` and the blob's name.
    """
    known = _ADD_REFS.row(conn, named=prepared.name, added=refs)
    if known is not None:
        return int(known[0])
    number = next_number(conn, 0, "blob")
    if conn.dialect.name == "postgresql":  # who held the counter may have stored the very same bytes
        known = _ADD_REFS.row(conn, named=prepared.name, added=refs)
        if known is not None:
            return int(known[0])
    segment, offset = prepared.place or segments.append(prepared.sealed)
    _ADD_BLOB.run(
        conn,
        blob=number,
        name=prepared.name,
        segment=segment,
        offset=offset,
        length=len(prepared.sealed),
        wrapped_key=prepared.wrapped_key,
        refs=refs,
    )
    _ADD_SUMMARY.run(conn, blob=number, sealed=prepared.sealed_summary, sealed_verdict=sealed_verdict)
    return number


def refer(conn: sa.Connection, blob: int, by: int, *, erased_us: int | None = None) -> None:
    """Add ``by`` references; at none left the key is dropped, which erases the bytes.

    ``erased_us`` notes the name of a blob that goes, so that a restored backup erases it again.
    """
    table = schema.blob
    row = conn.execute(
        sa.update(table)
        .where(table.c.blob == blob)
        .values(refs=table.c.refs + by)
        .returning(table.c.refs, table.c.name)
    ).first()
    if row is not None and row.refs <= 0:
        conn.execute(sa.delete(schema.summary).where(schema.summary.c.blob == blob))
        conn.execute(sa.delete(table).where(table.c.blob == blob))
        if erased_us is not None:
            dialect = postgresql if conn.dialect.name == "postgresql" else sqlite
            note = dialect.insert(schema.erased).values(name=row.name, at_us=erased_us)
            conn.execute(note.on_conflict_do_nothing())


_REFER = Statement(
    sa.update(schema.blob)
    .where(schema.blob.c.blob == sa.bindparam("wanted"))
    .values(refs=schema.blob.c.refs + sa.literal_column("1"))
)


def add_references(conn: sa.Connection, held: list[int]) -> None:
    """One more reference to each of these blobs, in the order of their numbers (the order of locks)."""
    if held:
        _REFER.many(conn, [{"wanted": one} for one in sorted(held)])


_PLACE = Statement(sa.select(schema.blob).where(schema.blob.c.blob == sa.bindparam("wanted")))


def content(conn: sa.Connection, segments: BlobStorage, seal: Seal, blob: int) -> bytes:
    """The bytes of a blob. Raises `LookupError` when it is not there, `SealBroken` when altered."""
    row: Any = _PLACE.first(conn, wanted=blob)
    if row is None:
        raise LookupError(f"no blob {blob}")
    return opened(segments, seal, row)


class Place(NamedTuple):
    """Where a blob lies, and what opens it."""

    blob: int
    segment: int
    offset: int
    length: int
    wrapped_key: bytes
    name: bytes


_COLUMNS = [schema.blob.c[name] for name in Place._fields]


def places(conn: sa.Connection, wanted: Sequence[int]) -> list[Place]:
    """Where several blobs lie, in the order asked for; missing ones are left out."""
    query = sa.select(*_COLUMNS).where(schema.blob.c.blob.in_(set(wanted)))
    found = {row[0]: Place(*row) for row in conn.execute(query)}
    return [found[blob] for blob in dict.fromkeys(wanted) if blob in found]


_OF_MAILBOX = Statement(
    sa.select(*_COLUMNS)
    .join_from(schema.message, schema.blob, schema.blob.c.blob == schema.message.c.blob)
    .where(
        schema.message.c.agency == sa.bindparam("in_agency"),
        schema.message.c.mailbox == sa.bindparam("in_mailbox"),
        schema.message.c.uid.between(sa.bindparam("first"), sa.bindparam("last")),
    )
    .order_by(schema.message.c.uid)
)


def places_in(conn: sa.Connection, ref: Ref, first: int, last: int) -> list[Place]:
    """Where the blobs of the messages with UIDs in a closed range lie, by UID."""
    rows = _OF_MAILBOX.rows(conn, in_agency=ref.agency, in_mailbox=ref.mailbox, first=first, last=last)
    return [Place(*row) for row in rows]


class Reader:
    """Reads blobs that are asked for in the order of ``places``: neighbours in a segment come with one read."""

    def __init__(self, segments: BlobStorage, seal: Seal, places: Sequence[Place]) -> None:
        self._segments = segments
        self._seal = seal
        self._places = {one.blob: one for one in places}
        self._windows = _windows(places)
        self._at = (0, 0, 0)
        self._data = memoryview(b"")

    def read(self, blob: int) -> bytes:
        """The bytes of a blob. Raises `LookupError`, `SealBroken`, `OSError`."""
        place = self._places.get(blob)
        if place is None:
            raise LookupError(f"no blob {blob}")
        window = self._windows[blob]
        if window != self._at:
            self._at = (0, 0, 0)
            self._data = memoryview(self._segments.read(*window))
            self._at = window
        start = place.offset - window[1]
        return _decrypted(self._seal, place, self._data[start : start + place.length])


def _windows(places: Sequence[Place]) -> dict[int, tuple[int, int, int]]:
    """For each blob (segment, offset, length) to read, at most `_WINDOW` octets unless it is a single one."""
    found: dict[int, tuple[int, int, int]] = {}
    run: list[Place] = []
    for one in places:
        if run and not (
            one.segment == run[0].segment
            and 0 <= one.offset - (run[-1].offset + run[-1].length) <= _GAP
            and one.offset + one.length - run[0].offset <= _WINDOW
        ):
            found |= _window(run)
            run = []
        run.append(one)
    return found | _window(run)


def _window(run: list[Place]) -> dict[int, tuple[int, int, int]]:
    if not run:
        return {}
    start = run[0].offset
    one = (run[0].segment, start, run[-1].offset + run[-1].length - start)
    return dict.fromkeys([place.blob for place in run], one)


def opened(segments: BlobStorage, seal: Seal, row: Any) -> bytes:
    """The bytes that lie where a row of the table or a `Place` says. Raises `SealBroken`, `OSError`."""
    return _decrypted(seal, row, memoryview(segments.read(row.segment, row.offset, row.length)))


def _decrypted(seal: Seal, row: Any, sealed: memoryview) -> bytes:
    if len(sealed) != row.length:
        raise SealBroken
    cipher = seal.blob_key(row.wrapped_key)
    try:
        return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], row.name)
    except InvalidTag as problem:
        raise SealBroken from problem


def verdict(conn: sa.Connection, seal: Seal, blob: int) -> bytes | None:
    """What the door found out about a blob, as it was packed; None when nothing was asked. Raises `SealBroken`."""
    row = conn.execute(
        sa.select(schema.summary.c.sealed_verdict, schema.blob.c.name)
        .join(schema.blob, schema.blob.c.blob == schema.summary.c.blob)
        .where(schema.summary.c.blob == blob)
    ).first()
    if row is None or row.sealed_verdict is None:
        return None
    return seal.open(row.sealed_verdict, b"verdict" + row.name)


def summaries(conn: sa.Connection, seal: Seal, wanted: list[int]) -> dict[int, Summary]:
    """The summaries of several blobs, by blob; missing ones are left out."""
    found: dict[int, Summary] = {}
    join = sa.select(schema.summary.c.blob, schema.summary.c.sealed, schema.blob.c.name).join(
        schema.blob, schema.blob.c.blob == schema.summary.c.blob
    )
    for start in range(0, len(wanted), 500):
        part = wanted[start : start + 500]
        for row in conn.execute(join.where(schema.summary.c.blob.in_(part))):
            found[row.blob] = Summary.unpack(seal.open(row.sealed, b"summary" + row.name))
    return found
