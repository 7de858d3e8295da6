# SPDX-License-Identifier: AGPL-3.0-or-later
"""What else must agree: counters of ids are ahead of all that were given, sizes are those of the bytes (quotas and
counters are sums of them), ranges of flags belong to a mailbox and say something."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from mailserver.accounts.schema import account, agency, counter
from mailserver.store import schema
from mailserver.store.blobs import OVERHEAD
from mailserver.store.verify.findings import Findings, Fix

_GIVEN: list[tuple[str, sa.Column[int], sa.Column[int] | None]] = [
    ("agency", agency.c.agency, None),
    ("blob", schema.blob.c.blob, None),
    ("spread", schema.spread.c.spread, None),
    ("lesson", schema.lesson.c.lesson, None),
    ("account", account.c.account, account.c.agency),
    ("mailbox", schema.mailbox.c.mailbox, schema.mailbox.c.agency),
    ("outbound", schema.outbound.c.row, schema.outbound.c.agency),
    ("submission", schema.submission.c.submission, schema.submission.c.agency),
]
"""Kind of counter, the ids it gave, and whose counter it is (None: the installation's, 0)."""


def check_numbers(conn: sa.Connection, found: Findings) -> None:
    """``conn`` is one snapshot."""
    _counters(conn, found)
    _sizes(conn, found)
    _ranges(conn, found)


def _counters(conn: sa.Connection, found: Findings) -> None:
    known = {(row.agency, row.kind): row.next for row in conn.execute(sa.select(counter))}
    for kind, column, whose in _GIVEN:
        query = sa.select(sa.literal(0) if whose is None else whose, sa.func.max(column))
        for number, top in conn.execute(query if whose is None else query.group_by(whose)):
            given = known.get((number, kind), 1)
            if top is not None and given <= top:
                detail = f"the next {kind} would be {given}, there is one with {top}"
                found.add("next-number", f"agency {number}", detail, _raise_to(number, kind, int(top) + 1))


def _raise_to(number: int, kind: str, least: int) -> Fix:
    def fix(conn: sa.Connection) -> None:
        dialect = postgresql if conn.dialect.name == "postgresql" else sqlite
        begin = dialect.insert(counter).values(agency=number, kind=kind, next=least)
        further: Any = begin.on_conflict_do_update(
            index_elements=[counter.c.agency, counter.c.kind],
            set_={"next": least},
            where=counter.c.next < least,
        )
        conn.execute(further)

    return fix


def _sizes(conn: sa.Connection, found: Findings) -> None:
    for table in (schema.message, schema.vault):
        query = (
            sa.select(table.c.agency, table.c.mailbox, table.c.uid, table.c.size, schema.blob.c.length)
            .join(schema.blob, schema.blob.c.blob == table.c.blob)
            .where(table.c.size != schema.blob.c.length - OVERHEAD)
        )
        for row in conn.execution_options(yield_per=1000).execute(query):
            right = row.length - OVERHEAD
            place = f"{table.name} {row.agency}.{row.mailbox}.{row.uid}"
            found.add("size", place, f"size is {row.size}, its bytes are {right}", _resize(table, row, right))


def _resize(table: sa.Table, row: Any, right: int) -> Fix:
    def fix(conn: sa.Connection) -> None:
        here = sa.and_(
            table.c.agency == row.agency,
            table.c.mailbox == row.mailbox,
            table.c.uid == row.uid,
            table.c.size == row.size,
        )
        changed = conn.execute(sa.update(table).where(here).values(size=right)).rowcount
        if changed and table is schema.message:
            box = schema.mailbox
            conn.execute(
                sa.update(box)
                .where(box.c.agency == row.agency, box.c.mailbox == row.mailbox)
                .values(size=box.c.size + (right - row.size))
            )

    return fix


def _ranges(conn: sa.Connection, found: Findings) -> None:
    table, box = schema.flag_range, schema.mailbox
    lost = ~sa.exists().where(box.c.agency == table.c.agency, box.c.mailbox == table.c.mailbox)
    odd = sa.or_(table.c.how.not_in(["add", "remove", "replace"]), table.c.last_uid < table.c.first_uid)
    for row in conn.execute(sa.select(table, lost.label("lost")).where(sa.or_(lost, odd))):
        here = sa.and_(*(one == row._mapping[one.name] for one in table.primary_key))
        if row.lost or row.last_uid < row.first_uid:
            what = "of no message"
            mended: sa.Delete | sa.Update = sa.delete(table).where(here)
        else:  # whoever reads it takes it for that
            what, mended = "without an act", sa.update(table).where(here).values(how="replace")
        told = f"{row.how} {row.mask} of {row.first_uid}:{row.last_uid} at {row.modseq}"
        place = f"mailbox {row.agency}.{row.mailbox}"
        found.add("flag-range", place, f"a range of flags {what}: {told}", _does(mended))


def _does(statement: sa.Executable) -> Fix:
    return lambda conn: conn.execute(statement)
