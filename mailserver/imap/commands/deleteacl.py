# SPDX-License-Identifier: AGPL-3.0-or-later
"""DELETEACL (RFC 4314 §3.2): take back everything that was granted to an account or to anyone."""

from __future__ import annotations

from mailserver.imap.commands.getacl import administered, identified
from mailserver.imap.grammar.lexer import Cursor
from mailserver.imap.session import Session


async def run(session: Session, cursor: Cursor) -> bytes:
    """Remove grants; what an office gives stays."""
    cursor.space()
    name = cursor.mailbox()
    cursor.space()
    identifier = cursor.astring()
    cursor.end()
    place, mailbox = administered(session, name)
    who, _ = identified(session, identifier)
    store = session.services.store
    if who in store.grants(mailbox.ref):
        await store.grant(mailbox, who, "", session.person.address, place.owner.address)
    return b"Done"
