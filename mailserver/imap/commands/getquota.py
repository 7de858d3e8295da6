# SPDX-License-Identifier: AGPL-3.0-or-later
"""GETQUOTA (RFC 9208 §4.2): how much of the mail storage is used. Nothing is said where there is no limit (Q29)."""

from __future__ import annotations

from mailserver.accounts import Account
from mailserver.imap.grammar import strings
from mailserver.imap.grammar.lexer import Cursor
from mailserver.imap.replies import No
from mailserver.imap.session import Session


async def run(session: Session, cursor: Cursor) -> bytes:
    """The quota of a root: one's own address, or a registry's one may use."""
    cursor.space()
    root = cursor.astring().decode("utf-8", "replace")
    cursor.end()
    owner = session.services.accounts.by_address(root) if root else session.person
    known = owner is not None and (
        owner.ref == session.person.ref or owner in session.services.shared(session.person)
    )
    if owner is None or not known:
        raise No("NONEXISTENT", "Không có hạn mức này.", "There is no such quota root.")
    write_quota(session, owner)
    return b"Done"


def write_quota(session: Session, owner: Account) -> bool:
    """Write the QUOTA response of an account (in units of 1,024 octets); False when it has no limit."""
    found = session.services.store.quota(owner.ref)
    if found.limit is None:
        return False
    name = strings.astring(owner.address.encode())
    session.untagged(b"QUOTA %b (STORAGE %d %d)" % (name, -(-found.used // 1024), found.limit // 1024))
    return True
