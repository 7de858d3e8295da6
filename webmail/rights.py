# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who may see which mailbox: `policy.rights` says it, this room only names the things."""

from __future__ import annotations

from mailserver.accounts import Account, AccountRef, Accounts, delegations
from policy.rights import may, relation


def owners(accounts: Accounts, account: Account) -> list[AccountRef]:
    """Whose mailboxes ``account`` may open: its own, the registry's for a clerk, those delegated to it now."""
    found = [account.ref]
    registry = registry_of(accounts, account)
    if registry is not None:
        found.append(registry)
    found += [one.ref for one in delegations.read_by(accounts, account)]
    return list(dict.fromkeys(found))


def registry_of(accounts: Accounts, account: Account) -> AccountRef | None:
    """The registry account that ``account`` may read, None for who has no right to it."""
    home = accounts.agency(account.agency_code)
    if home is None or not may(account.role, "registry.read", relation(account.agency_code, home.code)):
        return None
    return home.registry
