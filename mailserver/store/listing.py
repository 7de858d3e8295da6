# SPDX-License-Identifier: AGPL-3.0-or-later
"""Reading many messages at once, as lists and FETCH need them: plain tuples from the driver, one statement."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import sqlalchemy as sa

from config.seal import Seal
from config.statement import Statement
from mailserver.message import Summary
from mailserver.store import schema
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


_SPAN = Statement(
    sa.select(
        _TABLE.c.uid,
        _TABLE.c.flags,
        _TABLE.c.modseq,
        _TABLE.c.blob,
        _TABLE.c.size,
        _TABLE.c.internaldate_us,
    )
    .where(_HERE)
    .order_by(_TABLE.c.uid)
)


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


def spanned(conn: sa.Connection, ref: Ref, first: int, last: int) -> list[Row]:
    """The rows with UIDs in a closed range, by UID."""
    found = _SPAN.rows(conn, in_agency=ref.agency, in_mailbox=ref.mailbox, first=first, last=last)
    return [Row(*row) for row in found]


def marks(conn: sa.Connection, ref: Ref, first: int, last: int) -> list[tuple[int, int, int]]:
    """(UID, flags, modseq) of the messages in a closed range, by UID."""
    return _MARKS.rows(conn, in_agency=ref.agency, in_mailbox=ref.mailbox, first=first, last=last)
