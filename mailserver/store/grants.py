# SPDX-License-Identifier: AGPL-3.0-or-later
"""Grants: who, besides its owner, may use a mailbox, and how (RFC 4314 §2). All functions of a connection."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

from config.refusal import Refused
from mailserver.accounts.model import AccountRef
from mailserver.store import schema
from mailserver.store.model import Mailbox, Ref

ANYONE = AccountRef(0, 0)
"""Every account of the installation (RFC 4314 §3 ``anyone``)."""
_MOST = 500


class Grant(NamedTuple):
    """``rights``: letters of RFC 4314 §2.1 in the order of `mailserver.imap.rights.ALL`."""

    ref: Ref
    owner: AccountRef
    to: AccountRef
    rights: str


def of(conn: sa.Connection, ref: Ref) -> dict[AccountRef, str]:
    """The rights of each account that has any by grant."""
    table = schema.grant
    rows = conn.execute(
        sa.select(table.c.to_agency, table.c.to_account, table.c.rights)
        .where(table.c.agency == ref.agency, table.c.mailbox == ref.mailbox)
        .order_by(table.c.to_agency, table.c.to_account)
    )
    return {AccountRef(row.to_agency, row.to_account): row.rights for row in rows}


def to(conn: sa.Connection, who: AccountRef) -> list[Grant]:
    """Everything granted to an account, and to anyone, in mailboxes of others."""
    table, box = schema.grant, schema.mailbox
    rows = conn.execute(
        sa.select(
            table.c.agency,
            table.c.mailbox,
            box.c.owner,
            table.c.to_agency,
            table.c.to_account,
            table.c.rights,
        )
        .join(box, sa.and_(box.c.agency == table.c.agency, box.c.mailbox == table.c.mailbox))
        .where(
            sa.or_(
                sa.and_(table.c.to_agency == who.agency, table.c.to_account == who.account),
                sa.and_(table.c.to_agency == ANYONE.agency, table.c.to_account == ANYONE.account),
            )
        )
        .order_by(table.c.agency, table.c.mailbox)
    )
    return [
        Grant(Ref(row[0], row[1]), AccountRef(row[0], row[2]), AccountRef(row[3], row[4]), row[5])
        for row in rows
        if (row[0], row[2]) != tuple(who)
    ]


def put(conn: sa.Connection, ref: Ref, to: AccountRef, rights: str) -> None:
    """Give exactly these rights; "" takes them all. Raises `Refused` when a mailbox has too many grants."""
    table = schema.grant
    here = sa.and_(table.c.agency == ref.agency, table.c.mailbox == ref.mailbox)
    conn.execute(
        sa.delete(table).where(here, table.c.to_agency == to.agency, table.c.to_account == to.account)
    )
    if not rights:
        return
    held = conn.execute(sa.select(sa.func.count()).select_from(table).where(here)).scalar()
    if int(held or 0) >= _MOST:
        raise Refused(
            "too-many-grants",
            "Hộp thư đã cấp quyền cho quá nhiều người. Hãy thu hồi bớt.",
            "This mailbox is shared with too many people already. Please take some rights back.",
        )
    conn.execute(
        sa.insert(table).values(
            agency=ref.agency, mailbox=ref.mailbox, to_agency=to.agency, to_account=to.account, rights=rights
        )
    )


def inherit(conn: sa.Connection, parent: Mailbox, child: Ref) -> None:
    """Give a new mailbox the grants of the one above it."""
    for to, rights in of(conn, parent.ref).items():
        put(conn, child, to, rights)
