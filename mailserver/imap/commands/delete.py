# SPDX-License-Identifier: AGPL-3.0-or-later
"""DELETE (RFC 9051 §6.3.5). Mailboxes below it stay; the name is then one that only has children."""

from __future__ import annotations

from mailserver.imap.grammar.lexer import Cursor
from mailserver.imap.naming import INBOX
from mailserver.imap.replies import No
from mailserver.imap.session import Session


async def run(session: Session, cursor: Cursor) -> bytes:
    """Remove a mailbox and what is in it."""
    cursor.space()
    name = cursor.mailbox()
    cursor.end()
    place = session.names.place(name)
    if place.name == INBOX:
        raise No("CANNOT", "Không thể xóa hộp thư đến.", "The inbox can't be deleted.")
    ref = session.names.ref(name, "x")
    if session.view is not None and session.view.ref == ref:
        session.select(None)
        session.untagged(b"OK [CLOSED] The mailbox is closed")
    await session.services.store.delete(ref)
    return b"Deleted"
