# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where a message goes: which of its recipients live here, which are carried."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from config.refusal import Refused
from mailserver.accounts import Account, AccountRef, Accounts, shared
from mailserver.accounts.model import canonical
from mailserver.accounts.shared import SharedAddress, Writers
from mailserver.delivery.incoming import Incoming, Recipient

Whose: TypeAlias = Literal["local", "remote", "unknown"]
_WRITERS: dict[Writers, tuple[str, str]] = {
    "anyone": ("mọi người", "anyone"),
    "inside": ("tài khoản của tỉnh đã đăng nhập", "accounts of this server who have signed in"),
    "agency": ("người trong cơ quan đã đăng nhập", "people of its agency who have signed in"),
    "members": ("thành viên đã đăng nhập", "its members who have signed in"),
    "named": ("những người được chỉ định", "the people named for it"),
}


@dataclass(slots=True)
class Plan:
    """Accounts that get the message, and recipients it is queued for.

    ``aimed`` gives for an account the address the message was sent to, as a script's envelope test sees it.
    """

    local: list[AccountRef] = field(default_factory=list)
    remote: list[Recipient] = field(default_factory=list)
    aimed: dict[AccountRef, str] = field(default_factory=dict)

    def to(self, account: Account, address: str) -> None:
        """One more account, once."""
        if account.ref not in self.aimed:
            self.local.append(account.ref)
            self.aimed[account.ref] = address


def whose(accounts: Accounts, address: str) -> Whose:
    """What an address is to us; a shared address (alias, group, list) is local."""
    if not accounts.is_ours(address):
        return "remote"
    found = accounts.by_address(address)
    if found is not None:
        return "local" if found.state != "left" else "unknown"
    return "local" if accounts.shared(address) is not None else "unknown"


def require_writer(accounts: Accounts, address: str, writer: Account | None) -> None:
    """Raises `Refused` (``may-not-write``) when ``address`` is shared and does not take mail from ``writer``.

    ``writer`` is None for mail from outside.
    """
    group = accounts.shared(address)
    if group is None or accounts.by_address(address) is not None or shared.may_write(accounts, group, writer):
        return
    raise Refused(
        "may-not-write",
        f"Địa chỉ {group.address} chỉ nhận thư của {_WRITERS[group.writers][0]}. Liên hệ cán bộ CNTT của cơ quan.",
        f"The address {group.address} takes mail only from {_WRITERS[group.writers][1]}. Ask the agency's IT officer.",
    )


def require_members(accounts: Accounts, address: str) -> None:
    """Raises `Refused` (``list-empty``) when ``address`` is shared and stands for nobody now."""
    group = accounts.shared(address)
    if group is not None and accounts.by_address(address) is None and accounts.is_empty(group):
        raise _empty(group)


def plan(accounts: Accounts, incoming: Incoming) -> Plan:
    """Each account and each address elsewhere once.

    Raises `Refused`: ``no-such-recipient``, ``relay-denied``, ``no-recipient``, ``may-not-write`` (a list that does
    not take mail from this sender), ``list-empty``.
    """
    found = Plan()
    seen: set[str] = set()
    for one in incoming.recipients:
        address = canonical(one.address)
        if address in seen:
            continue
        seen.add(address)
        kind = whose(accounts, address)
        if kind == "unknown":
            raise no_such_recipient(address)
        if kind == "remote" and incoming.door == "mx":
            raise Refused(
                "relay-denied",
                "Máy chủ này không chuyển tiếp thư cho người ngoài. Hãy đăng nhập để gửi.",
                "This server does not relay mail. Sign in to send.",
            )
        here = kind == "local"
        account = accounts.by_address(address) if here else None
        group = accounts.shared(address) if here else None
        if group is not None and account is None:
            for member in _members(accounts, group, incoming):
                found.to(member, address)
        elif account is None or incoming.carry_all:
            found.remote.append(Recipient(address, one.notify, one.original))
        else:
            found.to(account, address)
    if not found.local and not found.remote:
        raise Refused("no-recipient", "Thư chưa có người nhận.", "The message has no recipient.")
    return found


def no_such_recipient(address: str) -> Refused:
    """Nobody here has this address."""
    return Refused(
        "no-such-recipient",
        f"Không có hộp thư {address}. Kiểm tra lại địa chỉ trong danh bạ.",
        f"There is no mailbox {address}. Please check the address in the directory.",
    )


def _members(accounts: Accounts, group: SharedAddress, incoming: Incoming) -> list[Account]:
    ours = incoming.door in ("exchange", "bounce")
    if not ours:
        require_writer(accounts, group.address, incoming.account)
    found = shared.members(accounts, group)
    if not found:
        raise _empty(group)
    return found


def _empty(group: SharedAddress) -> Refused:
    return Refused(
        "list-empty",
        f"Địa chỉ {group.address} hiện không có ai nhận. Gửi cho từng người, hoặc báo cán bộ CNTT của cơ quan.",
        f"The address {group.address} stands for nobody now. Write to people by name, or tell the agency's IT officer.",
    )


def quarantine(accounts: Accounts) -> Plan:
    """A held message goes to the system officers."""
    return Plan(local=[one.ref for one in accounts.all() if one.role == "system-officer"])
