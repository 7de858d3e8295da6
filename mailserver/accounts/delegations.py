# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who acts for whom and until when: a deputy during an absence, who may send as or on behalf of an account.

A delegation gives reading (the mailbox appears among the deputy's shared ones), or sending ``as`` (nobody sees who
wrote, the ledger does) or ``behalf`` (the message names the real sender in Sender), or both. Outside its dates it
gives nothing; `policy.rights` decides what a deputy may do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from config.clock import iso_local, now_us
from config.refusal import Refused
from config.seal import Seal
from mailserver.accounts import schema
from mailserver.accounts.model import Account, AccountRef
from mailserver.accounts.schema import next_number
from policy.ledger.entries import record
from policy.ledger.leaf import JSON
from policy.rights import may

if TYPE_CHECKING:
    from mailserver.accounts.accounts import Accounts

SENDS = ("", "as", "behalf")


@dataclass(frozen=True, slots=True)
class Delegation:
    """``deputy`` acts for ``owner`` from ``from_us`` until ``until_us`` (µs UTC; None: until it is taken back)."""

    owner: AccountRef
    number: int
    deputy: AccountRef
    reads: bool
    sends: str
    from_us: int
    until_us: int | None

    def holds(self, now: int) -> bool:
        """Whether it is in force."""
        return self.from_us <= now and (self.until_us is None or now < self.until_us)


def load(conn: sa.Connection) -> list[Delegation]:
    """All of them."""
    return [
        Delegation(
            AccountRef(row.agency, row.account),
            row.delegation,
            AccountRef(row.deputy_agency, row.deputy_account),
            row.reads,
            row.sends,
            row.from_us,
            row.until_us,
        )
        for row in conn.execute(sa.select(schema.delegation))
    ]


def add(
    conn: sa.Connection,
    seal: Seal,
    owner: Account,
    deputy: Account,
    by: str,
    *,
    reads: bool,
    sends: str,
    from_us: int,
    until_us: int | None,
) -> int:
    """Let ``deputy`` act for ``owner``; returns its number. Raises `Refused` for what can't be.

    Reading somebody's mail needs an end; only the registry mailbox and sending go without.
    """
    if owner.ref == deputy.ref or deputy.role in ("registry", "system") or deputy.state != "active":
        raise Refused("bad-deputy", "Chọn một người khác đang làm việc.", "Choose another active person.")
    if not reads and not sends:
        raise Refused("bad-delegation", "Chưa chọn quyền nào.", "No right was chosen.")
    if sends not in SENDS or (until_us is not None and until_us <= max(from_us, now_us())):
        raise Refused(
            "bad-delegation", "Ngày hoặc quyền không hợp lệ.", "The dates or the right can't be used."
        )
    if reads and until_us is None and owner.role != "registry":
        raise Refused(
            "end-needed",
            "Ủy quyền đọc thư phải có ngày kết thúc.",
            "Letting somebody read one's mail needs an end date.",
        )
    number = next_number(conn, owner.ref.agency, "delegation")
    conn.execute(
        sa.insert(schema.delegation).values(
            agency=owner.ref.agency,
            account=owner.ref.account,
            delegation=number,
            deputy_agency=deputy.ref.agency,
            deputy_account=deputy.ref.account,
            reads=reads,
            sends=sends,
            from_us=from_us,
            until_us=until_us,
        )
    )
    next_number(conn, 0, "directory")
    told: dict[str, JSON] = {
        "deputy": deputy.address,
        "reads": reads,
        "sends": sends,
        "by": by,
        "from": iso_local(from_us),
    }
    told["until"] = iso_local(until_us) if until_us is not None else ""
    record(conn, seal, "account.delegated", owner.address, told)
    return number


def remove(conn: sa.Connection, seal: Seal, owner: Account, number: int, by: str) -> bool:
    """Take a delegation back; False when there is none."""
    table = schema.delegation
    gone = conn.execute(
        sa.delete(table).where(
            table.c.agency == owner.ref.agency,
            table.c.account == owner.ref.account,
            table.c.delegation == number,
        )
    )
    next_number(conn, 0, "directory")
    if gone.rowcount:
        record(conn, seal, "account.delegation-ended", owner.address, {"number": number, "by": by})
    return bool(gone.rowcount)


def read_by(accounts: Accounts, deputy: Account) -> list[Account]:
    """Whose mailboxes ``deputy`` may open now by delegation."""
    now = now_us()
    found = []
    for one in accounts.delegated_to(deputy.ref):
        if one.reads and one.holds(now):
            owner = accounts.by_ref(one.owner)
            if owner is not None and may(deputy.role, "mail.read.own", "deputy"):
                found.append(owner)
    return list(dict.fromkeys(found))


def sent_by(accounts: Accounts, deputy: Account) -> dict[str, str]:
    """The addresses ``deputy`` may send from now, each with ``as`` or ``behalf``."""
    now = now_us()
    found: dict[str, str] = {}
    for one in accounts.delegated_to(deputy.ref):
        if one.sends and one.holds(now):
            owner = accounts.by_ref(one.owner)
            if owner is not None and may(deputy.role, "mail.send", "deputy"):
                found[owner.address] = "as" if "as" in (one.sends, found.get(owner.address)) else "behalf"
    return found
