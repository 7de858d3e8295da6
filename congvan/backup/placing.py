# SPDX-License-Identifier: AGPL-3.0-or-later
"""The message bytes of a backup: into segment files, or into the objects of a bucket.

Files come back under their old numbers. Into a bucket only the blobs that the restored rows name go up, in objects
of `Objects.group_bytes`; the rows follow each object. Whatever was interrupted may be begun again: bytes of a
file are written to where they belong, and what lies in the bucket already is no longer named by an old place.
"""

from __future__ import annotations

import os
from array import array
from pathlib import Path
from typing import Any, BinaryIO

import sqlalchemy as sa

from config.database import Database
from config.durable import sync_folder
from congvan.backup.envelope import damaged, exactly, opening
from mailserver.store import schema
from mailserver.store.moves import Moves
from mailserver.store.objects import Objects
from mailserver.store.segments import Segments

_FETCHED = 2000


def into_files(
    folder: Path, found: list[dict[str, Any]], place: Path, chosen: dict[str, Any], identity: Any
) -> None:
    """The bytes of every segment that the ``chosen`` generation names, from all generations up to it.

    ``found`` are all generations, also later ones: no segment begun later has a number that one of them knows, or
    the next generation in this folder would take it for one that is there already.
    """
    place.mkdir(parents=True, exist_ok=True)
    until = [one for one in found if one["name"] <= chosen["name"]]
    for one in until:
        path = folder / one["name"] / "segments.age"
        with opening(path, identity) as records:
            for head, stream in records:
                if str(head["segment"]) in chosen["segments"]:
                    _write_at(path, place / f"{head['segment']:08d}.segment", head, stream)
                else:
                    _skip(path, stream, head["size"])
    for number, end in chosen["segments"].items():
        file = place / f"{int(number):08d}.segment"
        if not file.is_file() or file.stat().st_size < end:
            raise _not_whole(folder, chosen, number)
    sync_folder(place)
    Segments(place).go_on_after(max((int(number) for one in found for number in one["segments"]), default=0))


def _write_at(path: Path, file: Path, head: dict[str, Any], stream: BinaryIO) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        offset = head["offset"]
        for part in exactly(path, stream, head["size"]):
            view = memoryview(part)
            while view:
                written = os.pwrite(handle, view, offset)
                view, offset = view[written:], offset + written
        os.fsync(handle)
    finally:
        os.close(handle)


def into_bucket(
    folder: Path,
    until: list[dict[str, Any]],
    database: Database,
    objects: Objects,
    chosen: dict[str, Any],
    identity: Any,
) -> None:
    """Every blob that the rows in ``database`` still name at its old place. Raises `StorageUnavailable`.

    Memory: the places of one segment's blobs (24 bytes each), one object, one blob.
    """
    moves = Moves(database, objects)
    for one in until:
        path = folder / one["name"] / "segments.age"
        with opening(path, identity) as records:
            for head, stream in records:
                _put_up(path, head, stream, database, moves)
    moves.commit()
    with database.reading() as conn:
        named = {str(row[0]) for row in conn.execute(sa.select(schema.blob.c.segment).distinct())}
    for number in named & set(chosen["segments"]):
        raise _not_whole(folder, chosen, number)


def _put_up(path: Path, head: dict[str, Any], stream: BinaryIO, database: Database, moves: Moves) -> None:
    number, at = head["segment"], head["offset"]
    end = at + head["size"]
    blobs, offsets, lengths = _waiting(database, number, at, end)
    for blob, offset, length in zip(blobs, offsets, lengths, strict=True):
        if offset < at:
            raise damaged(path, f"blobs of segment {number} overlap")
        _skip(path, stream, offset - at)
        moves.add(blob, number, offset, b"".join(exactly(path, stream, length)))
        at = offset + length
        if moves.is_full:
            moves.commit()
    _skip(path, stream, end - at)


def _waiting(
    database: Database, number: int, start: int, end: int
) -> tuple[array[int], array[int], array[int]]:
    """Number, offset and length of the blobs that lie wholly in a range of a segment, by offset."""
    table = schema.blob
    query = (
        sa.select(table.c.blob, table.c.offset, table.c.length)
        .where(table.c.segment == number, table.c.offset >= start, table.c.offset + table.c.length <= end)
        .order_by(table.c.offset)
    )
    blobs, offsets, lengths = array("q"), array("q"), array("q")
    with database.reading() as conn:
        for blob, offset, length in conn.execution_options(yield_per=_FETCHED).execute(query):
            blobs.append(blob)
            offsets.append(offset)
            lengths.append(length)
    return blobs, offsets, lengths


def _skip(path: Path, stream: BinaryIO, size: int) -> None:
    for _ in exactly(path, stream, size):
        pass


def _not_whole(folder: Path, chosen: dict[str, Any], number: str) -> Exception:
    return damaged(folder / chosen["name"], f"segment {number} is not whole in these generations")
