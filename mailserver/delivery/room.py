# SPDX-License-Identifier: AGPL-3.0-or-later
"""Full mailboxes: refused in the transaction, then for a while at RCPT.

A message to ten people of whom one is full is refused once as a whole; when it comes again only the full
mailbox is refused, so it never keeps mail from the others. Ordinary mail pays nothing for this.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import sqlalchemy as sa

from mailserver.accounts import AccountRef, Accounts
from mailserver.delivery.incoming import Incoming
from mailserver.store import Store, quota

_REMEMBER_S = 30.0
_MOST = 10_000
_LITTLE = 128 * 1024
"""A mailbox with more room than that is not full: what did not fit was large, others may fit, and large ones `look`
before they cost disk."""
_OWN_DOORS = ("exchange", "bounce")
"""What the installation writes itself is kept whatever the quota says: it must end in a mailbox."""


def require(conn: sa.Connection, store: Store, incoming: Incoming, local: Sequence[AccountRef]) -> None:
    """Raises `quota.OverQuota` when a mailbox of ``local``, or the sender's own, has no room."""
    if incoming.door in _OWN_DOORS:
        return
    owners = list(local)
    if incoming.sent_copy is not None and incoming.account is not None:
        owners.append(incoming.account.ref)
    if owners:
        quota.require(conn, owners, len(incoming.data), store.limits)


def look(store: Store, incoming: Incoming, local: Sequence[AccountRef]) -> None:
    """`require` ahead of the transaction: the bytes of what is refused for long never reach a segment.

    Raises `quota.OverQuota`, `Unavailable`. Blocking.
    """
    with store.database.reading() as conn:
        require(conn, store, incoming, local)


class Full:
    """The mailboxes found full a moment ago."""

    def __init__(self) -> None:
        self._known: dict[AccountRef, tuple[float, quota.OverQuota]] = {}

    def note(self, accounts: Accounts, problem: quota.OverQuota) -> quota.OverQuota:
        """Remember a full mailbox; returns the refusal that names it."""
        whose = accounts.by_ref(problem.owner)
        named = problem.naming(whose.address if whose is not None else "?")
        if problem.code != "over-quota" or problem.left >= _LITTLE:
            return named  # this message is too large for the mailbox, others may not be
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[problem.owner] = (time.monotonic() + _REMEMBER_S, named)
        return named

    def refuse(self, accounts: Accounts, address: str) -> None:
        """Raises what was noted of the mailbox of ``address``, while it is fresh."""
        found = accounts.by_address(address) if self._known else None
        if found is None:
            return
        until, problem = self._known.get(found.ref, (0.0, None))
        if problem is not None and until > time.monotonic():
            raise problem
        self._known.pop(found.ref, None)
