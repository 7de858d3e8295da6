# SPDX-License-Identifier: AGPL-3.0-or-later
"""Passkeys that open the web: stored beside the other credentials (`credential`, kind ``passkey``).

The rows hold public keys only. Each account has a user handle of its own that tells nothing about it (S40);
what a browser answered is checked by the pages, here is only kept what they found good.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

import sqlalchemy as sa

from config.refusal import Refused
from mailserver.accounts import schema
from mailserver.accounts.accounts import Accounts
from mailserver.accounts.changes import add_credential
from mailserver.accounts.model import Account, AccountRef
from policy.ledger.entries import record

KIND = "passkey"
_MOST = 10


@dataclass(frozen=True, slots=True)
class Passkey:
    """One passkey of an account. ``key`` is COSE; ``count`` the authenticator's counter when last used."""

    number: int
    credential: bytes
    key: bytes
    count: int
    label: str
    created_us: int


def handle(accounts: Accounts, account: Account) -> bytes:
    """The WebAuthn user handle: 16 bytes, the same for all passkeys of an account, other for every account."""
    return accounts.seal.digest("passkey-handle", f"{account.ref.agency}.{account.ref.account}".encode())


def owner(accounts: Accounts, user_handle: bytes) -> Account | None:
    """Whose handle it is; only active accounts."""
    for one in accounts.all():
        if one.role != "registry" and one.state == "active" and handle(accounts, one) == user_handle:
            return one
    return None


def of(accounts: Accounts, account: Account) -> list[Passkey]:
    """The passkeys of an account, oldest first."""
    table = schema.credential
    query = sa.select(table).where(*_of(account.ref), table.c.kind == KIND).order_by(table.c.credential)
    with accounts.database.reading() as conn:
        rows = conn.execute(query).all()
    found = []
    for row in rows:
        told = json.loads(row.secret)
        label = accounts.seal.open_text(row.sealed_label, b"credential")
        found.append(
            Passkey(row.credential, _in(told["id"]), _in(told["key"]), told["count"], label, row.created_us)
        )
    return found


def add(accounts: Accounts, account: Account, credential: bytes, key: bytes, count: int, label: str) -> None:
    """Keep a new passkey. Raises `Refused` for one that is there, or too many."""
    known = of(accounts, account)
    if len(known) >= _MOST or any(one.credential == credential for one in known):
        raise Refused(
            "passkey-kept",
            f"Khóa truy cập này đã có, hoặc tài khoản đã đủ {_MOST} khóa.",
            f"This passkey is there already, or the account has {_MOST} of them.",
        )

    def job(conn: sa.Connection) -> None:
        add_credential(conn, accounts.seal, account.ref, KIND, _told(credential, key, count), label[:60])
        record(conn, accounts.seal, "account.passkey-added", account.address, {"label": label[:60]})

    accounts.database.write(job)


def used(accounts: Accounts, account: Account, passkey: Passkey, count: int) -> None:
    """Keep the counter of a sign-in."""
    table = schema.credential
    accounts.database.write(
        lambda conn: conn.execute(
            sa.update(table)
            .where(*_of(account.ref), table.c.credential == passkey.number, table.c.kind == KIND)
            .values(secret=_told(passkey.credential, passkey.key, count))
        )
    )


def remove(accounts: Accounts, account: Account, number: int) -> None:
    """Take a passkey away. Raises `Refused` when there is none."""
    table = schema.credential

    def job(conn: sa.Connection) -> None:
        done = conn.execute(
            sa.delete(table).where(*_of(account.ref), table.c.credential == number, table.c.kind == KIND)
        )
        if done.rowcount != 1:
            raise Refused("no-passkey", "Không có khóa truy cập này.", "There is no such passkey.")
        record(conn, accounts.seal, "account.passkey-removed", account.address, {"number": number})

    accounts.database.write(job)


def _of(ref: AccountRef) -> tuple[sa.ColumnElement[bool], ...]:
    return schema.credential.c.agency == ref.agency, schema.credential.c.account == ref.account


def _told(credential: bytes, key: bytes, count: int) -> bytes:
    return json.dumps({"id": _out(credential), "key": _out(key), "count": count}).encode()


def _out(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _in(text: str) -> bytes:
    return base64.b64decode(text)
