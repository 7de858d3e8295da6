# SPDX-License-Identifier: AGPL-3.0-or-later
"""UIDs, flags and modseqs of a large mailbox as they were at one modseq, in one row.

Who opens a mailbox of 100,000 reads this and follows the change log from there (`kept_columns`): 3 ms, where the rows take
35. The worker writes them, anew when the log since then has grown long. They are derived: `verify-data` compares them.
Packed, little-endian and compressed: ``u32`` UIDs · ``i64`` flags · ``i64`` modseqs. Functions of a connection.
"""

from __future__ import annotations

import sys
import zlib
from array import array

import sqlalchemy as sa

from config.statement import Statement
from mailserver.store import schema
from mailserver.store.listing import Columns
from mailserver.store.mailboxes import NOBODY, NoSuchMailbox, lock
from mailserver.store.model import Ref

SMALL = 1000
"""Mailboxes with fewer messages have none: their rows are read in half a millisecond."""
_LONG = 100
"""So many entries of the change log are followed before a new one is written."""
_ITEMS = "Iqq"
_EACH = sum(array(one).itemsize for one in _ITEMS)

_TABLE = schema.snapshot
_READ = Statement(
    sa.select(_TABLE.c.modseq, _TABLE.c.packed).where(
        _TABLE.c.agency == sa.bindparam("in_agency"), _TABLE.c.mailbox == sa.bindparam("in_mailbox")
    )
)


def read(conn: sa.Connection, ref: Ref) -> tuple[int, Columns] | None:
    """(modseq, the columns as they were then); None when there are none. Raises `ValueError` when they are damaged."""
    row = _READ.row(conn, in_agency=ref.agency, in_mailbox=ref.mailbox)
    if row is None:
        return None
    try:
        data = memoryview(zlib.decompress(row[1]))
    except zlib.error as problem:
        raise ValueError("a damaged snapshot") from problem
    count, at, found = len(data) // _EACH, 0, []
    for code in _ITEMS:
        one = array(code)
        end = at + count * one.itemsize
        one.frombytes(data[at:end])
        if sys.byteorder == "big":
            one.byteswap()
        found.append(one)
        at = end
    return row[0], Columns(*found)


def write(conn: sa.Connection, ref: Ref, modseq: int, columns: Columns) -> None:
    """Keep the columns of a mailbox as they are at ``modseq``."""
    try:
        lock(conn, ref)
    except NoSuchMailbox:
        return
    if sys.byteorder == "big":
        columns = Columns(*(one[:] for one in columns))
        for one in columns:
            one.byteswap()
    packed = zlib.compress(b"".join([one.tobytes() for one in columns]), 1)
    forget(conn, ref)
    conn.execute(
        sa.insert(_TABLE).values(agency=ref.agency, mailbox=ref.mailbox, modseq=modseq, packed=packed)
    )


def forget(conn: sa.Connection, ref: Ref | None = None) -> None:
    """Throw away that of a mailbox, or all."""
    query = sa.delete(_TABLE)
    if ref is not None:
        query = query.where(_TABLE.c.agency == ref.agency, _TABLE.c.mailbox == ref.mailbox)
    conn.execute(query)


def wanting(conn: sa.Connection) -> list[Ref]:
    """The large mailboxes that have none, or a log that has grown long since."""
    box, change = schema.mailbox, schema.change
    since = sa.func.coalesce(_TABLE.c.modseq, 0)
    changed = (
        sa.select(box.c.agency, box.c.mailbox, since)
        .outerjoin(_TABLE, sa.and_(_TABLE.c.agency == box.c.agency, _TABLE.c.mailbox == box.c.mailbox))
        .where(box.c.owner != NOBODY, box.c.exists >= SMALL, box.c.highestmodseq > since)
    )
    found = []
    for agency, mailbox, modseq in conn.execute(changed).all():
        here = (change.c.agency == agency, change.c.mailbox == mailbox, change.c.modseq > modseq)
        some = sa.select(change.c.modseq).where(*here).limit(_LONG + 1).subquery()
        if not modseq or (conn.execute(sa.select(sa.func.count()).select_from(some)).scalar() or 0) > _LONG:
            found.append(Ref(agency, mailbox))
    return found
