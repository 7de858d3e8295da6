# SPDX-License-Identifier: AGPL-3.0-or-later
"""Outbound rows: one for each recipient elsewhere, with leases; the queue carries them (DESIGN 4.7).

A row is ``waiting`` until it is delivered (then it goes) or given up; ``held`` rows wait for an operator;
``expiring`` ones an operator gave up: the courier tells their senders and takes them away.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import sqlalchemy as sa

from config.clock import now_us
from config.leases import OWNER
from config.seal import Seal
from mailserver.accounts.model import domain_of
from mailserver.accounts.schema import next_number
from mailserver.store import schema
from mailserver.store.blobs import refer

_LIVE = ("waiting", "expiring")
"""States in which the courier takes a row."""


@dataclass(frozen=True, slots=True)
class Outbound:
    """A leased or listed row. ``sender`` is the envelope sender ("" for a bounce); times µs UTC."""

    agency: int
    row: int
    blob: int
    sender: str
    recipient: str
    notify: str
    original_recipient: str
    envelope_id: str
    state: str
    created_us: int
    next_us: int
    attempts: int
    last_answer: str
    ret: str = ""
    redirected_by: str = ""


@dataclass(frozen=True, slots=True)
class NewOutbound:
    """What `add` needs. ``notify`` and ``ret`` are the DSN parameters (RFC 3461 §4), "" when not given.

    ``redirected_by`` is the account of ours whose script sends the message on: it goes out with that mark, so that
    a loop is seen.
    """

    agency: int
    blob: int
    sender: str
    recipient: str
    notify: str = ""
    original_recipient: str = ""
    envelope_id: str = ""
    ret: str = ""
    redirected_by: str = ""


def add(conn: sa.Connection, seal: Seal, new: NewOutbound, *, not_before_us: int | None = None) -> int:
    """Queue a message whose blob reference is already counted; returns the row's number."""
    row = next_number(conn, new.agency, "outbound")
    now = now_us()
    told = {
        "sender": new.sender,
        "recipient": new.recipient,
        "notify": new.notify,
        "orcpt": new.original_recipient,
        "envid": new.envelope_id,
        "ret": new.ret,
        "by": new.redirected_by,
        "answer": "",
    }
    conn.execute(
        sa.insert(schema.outbound).values(
            agency=new.agency,
            row=row,
            blob=new.blob,
            domain_digest=seal.digest("domain", domain_of(new.recipient).encode()),
            sealed=_sealed(seal, new.agency, row, told),
            state="waiting",
            created_us=now,
            next_us=not_before_us or now,
            attempts=0,
        )
    )
    return row


def lease_due(conn: sa.Connection, seal: Seal, limit: int, seconds: float) -> list[Outbound]:
    """Take up to ``limit`` due rows for ``seconds``; rows whose lease ran out are due again."""
    table, now = schema.outbound, now_us()
    query = (
        sa.select(table)
        .where(
            table.c.state.in_(_LIVE),
            table.c.next_us <= now,
            sa.or_(table.c.lease_until_us.is_(None), table.c.lease_until_us < now),
        )
        .order_by(table.c.next_us)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    taken = conn.execute(query).all()
    if taken:
        conn.execute(
            sa.update(table)
            .where(table.c.agency == sa.bindparam("a"), table.c.row == sa.bindparam("r"))
            .values(lease_owner=OWNER, lease_until_us=now + int(seconds * 1_000_000)),
            [{"a": row.agency, "r": row.row} for row in taken],
        )
    return [_read(seal, row) for row in taken]


def next_due_us(conn: sa.Connection) -> int | None:
    """When the next row is due (µs UTC), None when nothing waits."""
    table = schema.outbound
    free = sa.func.coalesce(table.c.lease_until_us, 0)
    due = sa.case((free > table.c.next_us, free), else_=table.c.next_us)
    found = conn.execute(sa.select(sa.func.min(due)).where(table.c.state.in_(_LIVE))).scalar()
    return None if found is None else int(found)


def finish(conn: sa.Connection, one: Outbound) -> None:
    """The row is done with (delivered, or given up with a DSN in the same transaction)."""
    table = schema.outbound
    gone = conn.execute(sa.delete(table).where(table.c.agency == one.agency, table.c.row == one.row))
    if gone.rowcount:
        refer(conn, one.blob, -1)


def postpone(conn: sa.Connection, seal: Seal, one: Outbound, next_us: int, answer: str) -> None:
    """Try again at ``next_us``; ``answer`` is what the other side or the network said."""
    _set(conn, seal, one, {"state": "waiting", "next_us": next_us, "attempts": one.attempts + 1}, answer)


def hold(conn: sa.Connection, seal: Seal, one: Outbound, answer: str) -> None:
    """Keep the row until an operator retries it."""
    _set(conn, seal, one, {"state": "held", "attempts": one.attempts + 1}, answer)


def retry(conn: sa.Connection, agency: int | None = None, row: int | None = None) -> int:
    """Make held and waiting rows due now (one, or all); returns how many."""
    table = schema.outbound
    query = sa.update(table).values(state="waiting", next_us=now_us(), lease_until_us=None)
    if agency is not None and row is not None:
        query = query.where(table.c.agency == agency, table.c.row == row)
    return int(conn.execute(query).rowcount)


def release(conn: sa.Connection, agency: int, row: int) -> int:
    """Make a held row due now; how many (0 or 1)."""
    table = schema.outbound
    here = sa.and_(table.c.agency == agency, table.c.row == row, table.c.state == "held")
    now = {"state": "waiting", "next_us": now_us(), "lease_until_us": None}
    return int(conn.execute(sa.update(table).where(here).values(**now)).rowcount)


def stop(conn: sa.Connection, agency: int, row: int) -> int:
    """Hold a waiting row by hand; how many (0 or 1)."""
    table = schema.outbound
    query = sa.update(table).where(table.c.agency == agency, table.c.row == row).values(state="held")
    return int(conn.execute(query).rowcount)


def expire(conn: sa.Connection, agency: int, row: int) -> int:
    """Give a row up: the courier tells its sender, then takes it away; how many (0 or 1)."""
    table = schema.outbound
    query = sa.update(table).where(table.c.agency == agency, table.c.row == row)
    return int(conn.execute(query.values(state="expiring", next_us=now_us())).rowcount)


def listed(conn: sa.Connection, seal: Seal, limit: int = 500, state: str | None = None) -> list[Outbound]:
    """The rows of the queue (of one state), oldest first."""
    table = schema.outbound
    query = sa.select(table).order_by(table.c.created_us).limit(limit)
    rows = conn.execute(query if state is None else query.where(table.c.state == state))
    return [_read(seal, row) for row in rows]


def one_row(conn: sa.Connection, seal: Seal, agency: int, row: int) -> Outbound | None:
    """One row; None when it is not there."""
    table = schema.outbound
    found = conn.execute(sa.select(table).where(table.c.agency == agency, table.c.row == row)).first()
    return None if found is None else _read(seal, found)


def counts(conn: sa.Connection) -> dict[str, int]:
    """How many rows are in each state."""
    state = schema.outbound.c.state
    return {
        row.state: row.n for row in conn.execute(sa.select(state, sa.func.count().label("n")).group_by(state))
    }


def _set(conn: sa.Connection, seal: Seal, one: Outbound, values: dict[str, object], answer: str) -> None:
    table = schema.outbound
    told = {
        "sender": one.sender,
        "recipient": one.recipient,
        "notify": one.notify,
        "orcpt": one.original_recipient,
        "envid": one.envelope_id,
        "ret": one.ret,
        "by": one.redirected_by,
        "answer": answer[:500],
    }
    conn.execute(
        sa.update(table)
        .where(table.c.agency == one.agency, table.c.row == one.row)
        .values(lease_until_us=None, sealed=_sealed(seal, one.agency, one.row, told), **values)
    )


def _sealed(seal: Seal, agency: int, row: int, told: dict[str, str]) -> bytes:
    return seal.seal(json.dumps(told, ensure_ascii=False).encode(), f"outbound {agency}.{row}".encode())


def _read(seal: Seal, row: sa.Row[tuple[object, ...]]) -> Outbound:
    told = json.loads(seal.open(row.sealed, f"outbound {row.agency}.{row.row}".encode()))
    return Outbound(
        row.agency,
        row.row,
        row.blob,
        told["sender"],
        told["recipient"],
        told["notify"],
        told["orcpt"],
        told["envid"],
        row.state,
        row.created_us,
        row.next_us,
        row.attempts,
        told["answer"],
        told.get("ret", ""),
        told.get("by", ""),
    )
