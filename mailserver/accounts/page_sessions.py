# SPDX-License-Identifier: AGPL-3.0-or-later
"""Sessions of the pages: a random token in a cookie, its digest here.

Functions of `Accounts`, for who holds an open session is looked up in its directory: a locked account has none.
"""

from __future__ import annotations

import hashlib
import secrets

import sqlalchemy as sa

from config.clock import now_us
from mailserver.accounts.accounts import Accounts
from mailserver.accounts.model import Account, AccountRef
from mailserver.accounts.schema import web_session as table
from policy.ledger.entries import record

_HOUR_US = 3_600_000_000


def begin(accounts: Accounts, account: Account, hours: int) -> str:
    """A new session; the token goes into the cookie."""
    token = secrets.token_urlsafe(32)
    now = now_us()

    def job(conn: sa.Connection) -> None:
        conn.execute(sa.delete(table).where(table.c.until_us < now))
        conn.execute(
            sa.insert(table).values(
                token_digest=_digest(token),
                agency=account.ref.agency,
                account=account.ref.account,
                created_us=now,
                until_us=now + hours * _HOUR_US,
            )
        )
        record(conn, accounts.seal, "account.sign-in", account.address, {"protocol": "web"})

    accounts.database.write(job)
    return token


def holder(accounts: Accounts, token: str) -> Account | None:
    """The account of an open session, None when it ended or the account is locked."""
    with accounts.database.reading() as conn:
        row = conn.execute(sa.select(table).where(table.c.token_digest == _digest(token))).first()
    if row is None or row.until_us < now_us():
        return None
    found = accounts.by_ref(AccountRef(row.agency, row.account))
    return found if found is not None and found.state == "active" else None


def end(accounts: Accounts, token: str) -> None:
    """End a session."""
    accounts.database.write(
        lambda conn: conn.execute(sa.delete(table).where(table.c.token_digest == _digest(token)))
    )


def end_all(accounts: Accounts, account: Account) -> int:
    """End all sessions of an account; returns how many there were."""
    mine = (table.c.agency == account.ref.agency, table.c.account == account.ref.account)
    return accounts.database.write(lambda conn: conn.execute(sa.delete(table).where(*mine)).rowcount)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
