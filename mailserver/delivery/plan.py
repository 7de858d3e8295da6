# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where a message goes: which of its recipients live here, which are carried."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from config.refusal import Refused
from mailserver.accounts import AccountRef, Accounts
from mailserver.accounts.model import canonical
from mailserver.delivery.incoming import Incoming, Recipient

Whose: TypeAlias = Literal["local", "remote", "unknown"]


@dataclass(slots=True)
class Plan:
    """Accounts that get the message, and recipients it is queued for."""

    local: list[AccountRef] = field(default_factory=list)
    remote: list[Recipient] = field(default_factory=list)


def whose(accounts: Accounts, address: str) -> Whose:
    """What an address is to us."""
    if not accounts.is_ours(address):
        return "remote"
    found = accounts.by_address(address)
    return "local" if found is not None and found.state != "left" else "unknown"


def plan(accounts: Accounts, incoming: Incoming) -> Plan:
    """Each recipient once. Raises `Refused`: ``no-such-recipient``, ``relay-denied``, ``no-recipient``."""
    found = Plan()
    seen: set[str] = set()
    for one in incoming.recipients:
        address = canonical(one.address)
        if address in seen:
            continue
        seen.add(address)
        kind = whose(accounts, address)
        if kind == "unknown":
            raise Refused(
                "no-such-recipient",
                f"Không có hộp thư {address}. Kiểm tra lại địa chỉ trong danh bạ.",
                f"There is no mailbox {address}. Please check the address in the directory.",
            )
        if kind == "remote" and incoming.door == "mx":
            raise Refused(
                "relay-denied",
                "Máy chủ này không chuyển tiếp thư cho người ngoài. Hãy đăng nhập để gửi.",
                "This server does not relay mail. Sign in to send.",
            )
        account = accounts.by_address(address)
        if account is None or incoming.carry_all:
            found.remote.append(Recipient(address, one.notify, one.original))
        else:
            found.local.append(account.ref)
    if not found.local and not found.remote:
        raise Refused("no-recipient", "Thư chưa có người nhận.", "The message has no recipient.")
    return found


def quarantine(accounts: Accounts) -> Plan:
    """A held message goes to the system officers."""
    return Plan(local=[one.ref for one in accounts.all() if one.role == "system-officer"])
