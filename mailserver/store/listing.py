# SPDX-License-Identifier: AGPL-3.0-or-later
"""Reading many messages at once, as lists and FETCH need them: plain tuples from the driver, one statement."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator
from typing import NamedTuple

import sqlalchemy as sa

from config.seal import Seal
from config.statement import Statement
from mailserver.message import Summary
from mailserver.store import flag_ranges, schema
from mailserver.store.model import Ref, Row

_TABLE = schema.message
_HERE = sa.and_(
    _TABLE.c.agency == sa.bindparam("in_agency"),
    _TABLE.c.mailbox == sa.bindparam("in_mailbox"),
    _TABLE.c.uid.between(sa.bindparam("first"), sa.bindparam("last")),
)
_ROWS = Statement(
    sa.select(_TABLE.c.uid, _TABLE.c.blob, _TABLE.c.size, _TABLE.c.internaldate_us, _TABLE.c.savedate_us)
    .where(_HERE)
    .order_by(_TABLE.c.uid)
)
_SUMMARIES = Statement(
    sa.select(
        _TABLE.c.uid,
        _TABLE.c.blob,
        _TABLE.c.size,
        _TABLE.c.internaldate_us,
        _TABLE.c.savedate_us,
        schema.summary.c.sealed,
        schema.blob.c.name,
    )
    .select_from(_TABLE)
    .outerjoin(schema.summary, schema.summary.c.blob == _TABLE.c.blob)
    .outerjoin(schema.blob, schema.blob.c.blob == _TABLE.c.blob)
    .where(_HERE)
    .order_by(_TABLE.c.uid)
)
_MARKS = Statement(
    sa.select(_TABLE.c.uid, _TABLE.c.flags, _TABLE.c.modseq).where(_HERE).order_by(_TABLE.c.uid)
)
_WHOLE = sa.select(
    _TABLE.c.uid, _TABLE.c.flags, _TABLE.c.modseq, _TABLE.c.blob, _TABLE.c.size, _TABLE.c.internaldate_us
).where(_HERE)
_RISING = Statement(_WHOLE.order_by(_TABLE.c.uid).limit(sa.bindparam("most")).offset(sa.literal_column("0")))
_NEWEST = Statement(
    _WHOLE.order_by(_TABLE.c.uid.desc()).limit(sa.bindparam("most")).offset(sa.literal_column("0"))
)
LAST_UID = 2**32 - 1
_ALL = 2**62


_INSIDE = (
    sa.select(_TABLE.c.uid, _TABLE.c.flags, _TABLE.c.modseq).where(_HERE).order_by(_TABLE.c.uid).subquery()
)
_TOGETHER = Statement(
    sa.select(
        sa.func.json_group_array(_INSIDE.c.uid),
        sa.func.json_group_array(_INSIDE.c.flags),
        sa.func.json_group_array(_INSIDE.c.modseq),
    )
)


class Columns(NamedTuple):
    """UIDs that rise, and the flags and modseq of each."""

    uids: array[int]
    flags: array[int]
    modseqs: array[int]


class Listed(NamedTuple):
    """One message; times µs UTC, ``size`` in bytes; ``summary`` only where it was asked for and is there."""

    uid: int
    blob: int
    size: int
    internaldate_us: int
    savedate_us: int | None
    summary: Summary | None = None


def listed(
    conn: sa.Connection, seal: Seal, ref: Ref, first: int, last: int, *, summaries: bool
) -> Iterator[Listed]:
    """The messages with UIDs in a closed range, by UID. Raises `SealBroken` for an altered summary."""
    values = {"in_agency": ref.agency, "in_mailbox": ref.mailbox, "first": first, "last": last}
    if not summaries:
        for row in _ROWS.rows(conn, **values):
            yield Listed(*row)
        return
    open_ = seal.open
    for uid, blob, size, internaldate, savedate, sealed, name in _SUMMARIES.rows(conn, **values):
        summary = None if sealed is None else Summary.unpack(open_(sealed, b"summary" + name))
        yield Listed(uid, blob, size, internaldate, savedate, summary)


def rows(
    conn: sa.Connection, ref: Ref, first: int = 1, last: int | None = None, limit: int | None = None
) -> list[Row]:
    """The rows of a mailbox with UIDs in a closed range, by UID."""
    late = flag_ranges.of(conn, ref)
    found = _RISING.rows(
        conn,
        in_agency=ref.agency,
        in_mailbox=ref.mailbox,
        first=first,
        last=LAST_UID if last is None else last,
        most=_ALL if limit is None else limit,
    )
    return flag_ranges.over(late, list(map(Row._make, found)), Row._make)


def newest(conn: sa.Connection, ref: Ref, count: int, before: int | None = None) -> list[Row]:
    """The last ``count`` rows of a mailbox (below UID ``before``), newest first."""
    late = flag_ranges.of(conn, ref)
    last = LAST_UID if before is None else before - 1
    found = _NEWEST.rows(conn, in_agency=ref.agency, in_mailbox=ref.mailbox, first=1, last=last, most=count)
    return flag_ranges.over(late, list(map(Row._make, reversed(found))), Row._make)[::-1]


def marks(conn: sa.Connection, ref: Ref, first: int, last: int) -> list[tuple[int, int, int]]:
    """(UID, flags, modseq) of the messages in a closed range, by UID."""
    late = flag_ranges.of(conn, ref)
    found = _MARKS.rows(conn, in_agency=ref.agency, in_mailbox=ref.mailbox, first=first, last=last)
    return flag_ranges.over(late, found, tuple)


def columns(conn: sa.Connection, ref: Ref) -> Columns:
    """`marks` of a whole mailbox as arrays.

    SQLite makes one text of each column and gives it away at once, which is half the work of 100,000 rows.
    """
    late = flag_ranges.of(conn, ref)
    values = {"in_agency": ref.agency, "in_mailbox": ref.mailbox, "first": 1, "last": LAST_UID}
    if conn.dialect.name == "sqlite":
        row = _TOGETHER.row(conn, **values)
        assert row is not None
        found = Columns(*(array(kind, json.loads(one)) for kind, one in zip("Iqq", row, strict=True)))
    else:
        rows = _MARKS.rows(conn, **values)
        found = Columns(*(array(kind, [row[at] for row in rows]) for at, kind in enumerate("Iqq")))
    flag_ranges.over_columns(late, *found)
    return found


def count_flagged(conn: sa.Connection, ref: Ref, mask: int) -> int:
    """How many messages have a flag of ``mask``."""
    if flag_ranges.of(conn, ref):
        return sum(1 for _, flags, _ in marks(conn, ref, 1, LAST_UID) if flags & mask)
    query = sa.select(sa.func.count()).where(
        _TABLE.c.agency == ref.agency, _TABLE.c.mailbox == ref.mailbox, _TABLE.c.flags.bitwise_and(mask) != 0
    )
    return int(conn.execute(query).scalar() or 0)
