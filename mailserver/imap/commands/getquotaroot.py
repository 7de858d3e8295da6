# SPDX-License-Identifier: AGPL-3.0-or-later
"""GETQUOTAROOT (RFC 9208 §4.3): whose quota a mailbox counts for; an empty list where there is none (Q29)."""

from __future__ import annotations

from mailserver.imap.commands.getquota import write_quota
from mailserver.imap.grammar import strings
from mailserver.imap.grammar.lexer import Cursor
from mailserver.imap.session import Session


async def run(session: Session, cursor: Cursor) -> bytes:
    """The root of a mailbox and its quota."""
    cursor.space()
    name = cursor.mailbox()
    cursor.end()
    session.names.ref(name)
    owner = session.names.place(name).owner
    limited = session.services.store.quota(owner.ref).limit is not None
    root = b" " + strings.astring(owner.address.encode()) if limited else b""
    session.untagged(b"QUOTAROOT " + strings.mailbox(name, utf8=session.utf8_names) + root)
    if limited:
        write_quota(session, owner)
    return b"Done"
