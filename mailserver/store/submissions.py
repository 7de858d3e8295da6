# SPDX-License-Identifier: AGPL-3.0-or-later
"""Held submissions: accepted, durable, not yet delivered to anybody; undo-send and send-later are both this.

A row is released at its time (the message is delivered and the row goes in one transaction) or taken back by its
sender (it becomes a draft again, in one transaction too). So it is sent once or not at all, whatever dies meanwhile.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import sqlalchemy as sa

from config.clock import now_us
from config.seal import Seal
from mailserver.accounts.model import AccountRef
from mailserver.accounts.schema import next_number
from mailserver.store import schema
from mailserver.store.blobs import refer
from mailserver.store.model import Ref


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is needed to deliver later. ``recipients``: (address, NOTIFY, ORCPT); ``sent``: where the copy goes."""

    sender: str
    recipients: tuple[tuple[str, str, str], ...]
    subject: str
    door: str
    envelope_id: str = ""
    ret: str = ""
    sent: Ref | None = None


@dataclass(frozen=True, slots=True)
class Submission:
    """A held submission. Times are µs UTC."""

    agency: int
    number: int
    account: AccountRef
    blob: int
    created_us: int
    release_us: int
    envelope: Envelope


def add(
    conn: sa.Connection, seal: Seal, account: AccountRef, blob: int, envelope: Envelope, release_us: int
) -> int:
    """Hold a message whose blob reference is already counted; returns its number in the agency."""
    number = next_number(conn, account.agency, "submission")
    conn.execute(
        sa.insert(schema.submission).values(
            agency=account.agency,
            submission=number,
            account=account.account,
            blob=blob,
            sealed=_seal(seal, account.agency, number, envelope),
            created_us=now_us(),
            release_us=release_us,
        )
    )
    return number


def due(conn: sa.Connection, seal: Seal, limit: int) -> list[Submission]:
    """The submissions whose time has come, oldest first."""
    table = schema.submission
    query = sa.select(table).where(table.c.release_us <= now_us()).order_by(table.c.release_us).limit(limit)
    return [_read(seal, row) for row in conn.execute(query)]


def next_release_us(conn: sa.Connection) -> int | None:
    """When the next one is to be released (µs UTC), None when none is held."""
    found = conn.execute(sa.select(sa.func.min(schema.submission.c.release_us))).scalar()
    return None if found is None else int(found)


def count(conn: sa.Connection) -> int:
    """How many are held."""
    return int(conn.execute(sa.select(sa.func.count()).select_from(schema.submission)).scalar() or 0)


def of_account(conn: sa.Connection, seal: Seal, account: AccountRef) -> list[Submission]:
    """What an account has held, soonest first."""
    table = schema.submission
    query = sa.select(table).where(table.c.agency == account.agency, table.c.account == account.account)
    return [_read(seal, row) for row in conn.execute(query.order_by(table.c.release_us))]


def take(conn: sa.Connection, one: Submission) -> bool:
    """Take the row away; False when somebody else did. The blob's reference is now the caller's."""
    table = schema.submission
    gone = conn.execute(
        sa.delete(table).where(table.c.agency == one.agency, table.c.submission == one.number)
    )
    return bool(gone.rowcount)


def drop(conn: sa.Connection, one: Submission) -> bool:
    """`take`, and the reference goes too."""
    if not take(conn, one):
        return False
    refer(conn, one.blob, -1)
    return True


def move(conn: sa.Connection, one: Submission, release_us: int) -> bool:
    """Release at another time; False when it is gone."""
    table = schema.submission
    here = sa.and_(table.c.agency == one.agency, table.c.submission == one.number)
    return bool(conn.execute(sa.update(table).where(here).values(release_us=release_us)).rowcount)


def _seal(seal: Seal, agency: int, number: int, envelope: Envelope) -> bytes:
    told = {
        "sender": envelope.sender,
        "recipients": envelope.recipients,
        "subject": envelope.subject,
        "door": envelope.door,
        "envid": envelope.envelope_id,
        "ret": envelope.ret,
        "sent": envelope.sent,
    }
    return seal.seal(json.dumps(told, ensure_ascii=False).encode(), _aad(agency, number))


def _read(seal: Seal, row: sa.Row[tuple[object, ...]]) -> Submission:
    told = json.loads(seal.open(row.sealed, _aad(row.agency, row.submission)))
    recipients = tuple((address, notify, original) for address, notify, original in told["recipients"])
    sent = Ref(*told["sent"]) if told["sent"] else None
    envelope = Envelope(
        told["sender"], recipients, told["subject"], told["door"], told["envid"], told["ret"], sent
    )
    account = AccountRef(row.agency, row.account)
    return Submission(row.agency, row.submission, account, row.blob, row.created_us, row.release_us, envelope)


def _aad(agency: int, number: int) -> bytes:
    return f"submission {agency}.{number}".encode()
