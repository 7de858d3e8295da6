# SPDX-License-Identifier: AGPL-3.0-or-later
"""CLOSE (RFC 9051 §6.4.1): expunge without a word, then no mailbox is selected."""

from __future__ import annotations

from mailserver.imap.grammar.lexer import Cursor
from mailserver.imap.session import Session


async def run(session: Session, cursor: Cursor) -> bytes:
    """Expunge and leave the mailbox."""
    cursor.end()
    view = session.selected
    if not view.readonly and "e" in view.rights:
        await session.services.store.expunge(view.ref)
    session.select(None)
    return b"Closed"
