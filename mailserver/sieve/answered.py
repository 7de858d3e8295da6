# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who was answered by a program, so that one sender gets one answer in a time (RFC 5230 §4.2, RFC 3834 §2)."""

from __future__ import annotations

import sqlalchemy as sa

from config.clock import now_us
from config.seal import Seal
from mailserver.accounts.model import AccountRef
from mailserver.sieve.schema import answered


def key(seal: Seal, kind: str, sender: str) -> bytes:
    """What stands for (kind of answer, sender)."""
    return seal.digest("answered", f"{kind}|{sender.lower()}".encode())


def known(conn: sa.Connection, who: AccountRef, whom: bytes) -> bool:
    """Whether an answer was given and its time still runs."""
    table = answered
    here = sa.and_(table.c.agency == who.agency, table.c.account == who.account, table.c.whom == whom)
    until = conn.execute(sa.select(table.c.until_us).where(here)).scalar()
    return until is not None and until > now_us()


def claim(conn: sa.Connection, who: AccountRef, whom: bytes, seconds: float) -> bool:
    """Take the one answer of the next ``seconds``; False when it was given already."""
    if known(conn, who, whom):
        return False
    table, now = answered, now_us()
    conn.execute(sa.delete(table).where(table.c.until_us <= now))
    try:
        with conn.begin_nested():
            conn.execute(
                sa.insert(table).values(
                    agency=who.agency, account=who.account, whom=whom, until_us=now + int(seconds * 1_000_000)
                )
            )
    except sa.exc.IntegrityError:
        return False
    return True


def recent(conn: sa.Connection, who: AccountRef) -> int:
    """How many senders have an answer of ``who`` whose time still runs."""
    table = answered
    here = sa.and_(table.c.agency == who.agency, table.c.account == who.account, table.c.until_us > now_us())
    return int(conn.execute(sa.select(sa.func.count()).select_from(table).where(here)).scalar() or 0)
