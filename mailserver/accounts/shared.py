# SPDX-License-Identifier: AGPL-3.0-or-later
"""Addresses that stand for several accounts: aliases, groups, and lists by rule computed when mail comes.

A list's members are looked up in the directory as it is at that moment ("the leaders of all level-2 agencies"), so
nobody has to keep it. Members are accounts of this installation, or other shared addresses.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import sqlalchemy as sa

from config.refusal import Refused
from config.seal import Seal
from mailserver.accounts import schema
from mailserver.accounts.model import ROLES, Account, AccountRef, Agency, canonical
from mailserver.accounts.schema import next_number
from policy.ledger.entries import record

if TYPE_CHECKING:
    from mailserver.accounts.accounts import Accounts

Kind: TypeAlias = Literal["alias", "group", "list"]
Writers: TypeAlias = Literal["anyone", "inside", "agency", "members", "named"]
_MOST_DEEP = 5
_MOST_MEMBERS = 10_000


@dataclass(frozen=True, slots=True)
class Rule:
    """Which accounts a list has: all given conditions hold; an empty one holds for all."""

    agencies: tuple[str, ...] = ()
    levels: tuple[int, ...] = ()
    roles: tuple[str, ...] = ()
    title: str = ""

    def takes(self, one: Account, home: Agency | None) -> bool:
        """Whether an account is a member now; ``title`` is looked for in any case of letters."""
        return (
            one.state != "left"
            and home is not None
            and home.closed_us is None
            and (not self.agencies or home.code in self.agencies)
            and (not self.levels or home.level in self.levels)
            and (one.role in self.roles if self.roles else one.role not in ("registry", "system"))
            and (not self.title or _even(self.title) in _even(one.title))
        )


@dataclass(frozen=True, slots=True)
class SharedAddress:
    """``writers``: who may write to it (``named``: those in ``named``); ``send_as``: who may write in its name.

    ``agency`` is the number of the agency whose domain it has.
    """

    address: str
    name: str
    kind: Kind
    agency: int
    members: tuple[str, ...] = ()
    rule: Rule = field(default_factory=Rule)
    writers: Writers = "anyone"
    named: tuple[str, ...] = ()
    send_as: tuple[str, ...] = ()


def load(conn: sa.Connection, seal: Seal) -> list[SharedAddress]:
    """All of them."""
    found = []
    for row in conn.execute(sa.select(schema.shared_address)):
        told: dict[str, Any] = json.loads(seal.open(row.sealed, row.address_digest))
        rule: dict[str, Any] = {
            key: tuple(one) if isinstance(one, list) else one for key, one in told.pop("rule").items()
        }
        lists: dict[str, Any] = {key: tuple(told.pop(key)) for key in ("members", "named", "send_as")}
        found.append(SharedAddress(**told, **lists, rule=Rule(**rule), agency=row.agency))
    return found


def put(conn: sa.Connection, seal: Seal, accounts: Accounts, new: SharedAddress, by: str) -> None:
    """Make a shared address, or change it. Raises `Refused` for an address of somebody, or bad members."""
    address = canonical(new.address)
    home = accounts.home_of_domain(address.rpartition("@")[2])
    if home is None:
        raise _bad(f"{address} không thuộc miền của cơ quan nào", f"{address} is in no agency's domain")
    if accounts.by_address(address) is not None:
        raise _bad(f"{address} là hộp thư của một tài khoản", f"{address} is the mailbox of an account")
    if new.kind not in get_args(Kind) or new.writers not in get_args(Writers):
        raise _bad("sai loại hoặc sai quyền gửi", "unknown kind or unknown writers")
    if len(new.members) > _MOST_MEMBERS or (new.kind == "alias" and len(new.members) != 1):
        raise _bad("sai số thành viên", "wrong number of members")
    if new.kind == "list" and (new.members or any(one not in ROLES for one in new.rule.roles)):
        raise _bad("danh sách theo quy tắc chỉ có quy tắc", "a list by rule has a rule with known roles only")
    for one in new.members:
        if accounts.by_address(one) is None and accounts.shared(one) is None:
            raise _bad(f"không có địa chỉ {one} trong danh bạ", f"{one} is not in the directory")
    digest = seal.digest("address", address.encode())
    told = asdict(new)
    told.pop("agency")
    told["address"] = address
    conn.execute(sa.delete(schema.shared_address).where(schema.shared_address.c.address_digest == digest))
    conn.execute(
        sa.insert(schema.shared_address).values(
            address_digest=digest,
            agency=home.number,
            sealed=seal.seal(json.dumps(told, ensure_ascii=False).encode(), digest),
        )
    )
    next_number(conn, 0, "directory")
    record(conn, seal, "address.shared", address, {"kind": new.kind, "writers": new.writers, "by": by})


def remove(conn: sa.Connection, seal: Seal, address: str, by: str) -> bool:
    """Take a shared address away; False when there is none."""
    digest = seal.digest("address", canonical(address).encode())
    table = schema.shared_address
    gone = conn.execute(sa.delete(table).where(table.c.address_digest == digest))
    next_number(conn, 0, "directory")
    if gone.rowcount:
        record(conn, seal, "address.removed", canonical(address), {"by": by})
    return bool(gone.rowcount)


def members(accounts: Accounts, of: SharedAddress) -> list[Account]:
    """The accounts it stands for now, each once; shared addresses among the members are followed."""
    found: dict[AccountRef, Account] = {}
    _collect(accounts, of, found, {of.address}, 0)
    return list(found.values())


def _collect(
    accounts: Accounts, of: SharedAddress, found: dict[AccountRef, Account], seen: set[str], depth: int
) -> None:
    if of.kind == "list":
        for one in accounts.all():
            if of.rule.takes(one, accounts.agency(one.agency_code)):
                found.setdefault(one.ref, one)
        return
    for address in of.members:
        account = accounts.by_address(address)
        if account is not None:
            if account.state != "left":
                found.setdefault(account.ref, account)
            continue
        inner = accounts.shared(address)
        if inner is not None and inner.address not in seen and depth < _MOST_DEEP:
            seen.add(inner.address)
            _collect(accounts, inner, found, seen, depth + 1)


def may_write(accounts: Accounts, to: SharedAddress, writer: Account | None) -> bool:
    """Whether somebody may write to it; ``writer`` is None for mail from outside."""
    if to.writers == "anyone":
        return True
    if writer is None:
        return False
    if writer.address in to.named or to.writers == "inside":
        return True
    if to.writers == "agency":
        return writer.agency == to.agency
    return to.writers == "members" and _has(accounts, to, writer, {to.address}, 0)


def _has(accounts: Accounts, of: SharedAddress, who: Account, seen: set[str], depth: int) -> bool:
    """Whether ``who`` is one of `members`, without asking for all of them."""
    if of.kind == "list":
        return of.rule.takes(who, accounts.agency(who.agency_code))
    if who.address in of.members:
        return who.state != "left"
    for address in of.members:
        inner = accounts.shared(address)
        if inner is not None and inner.address not in seen and depth < _MOST_DEEP:
            seen.add(inner.address)
            if _has(accounts, inner, who, seen, depth + 1):
                return True
    return False


def senders(all_shared: Iterable[SharedAddress]) -> dict[str, list[str]]:
    """For each account's address the shared addresses it may write in the name of."""
    found: dict[str, list[str]] = {}
    for one in all_shared:
        for address in one.send_as:
            found.setdefault(address, []).append(one.address)
    return found


def _even(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def _bad(vi: str, en: str) -> Refused:
    return Refused("bad-shared-address", f"{vi}.".capitalize(), f"{en}.")
