# SPDX-License-Identifier: AGPL-3.0-or-later
"""SUBSCRIBE (RFC 9051 §6.3.7)."""

from __future__ import annotations

from mailserver.imap.grammar.lexer import Cursor
from mailserver.imap.session import Session


async def run(session: Session, cursor: Cursor) -> bytes:
    """Have LSUB show a mailbox."""
    cursor.space()
    name = cursor.mailbox()
    cursor.end()
    await session.services.store.subscribe(session.names.ref(name, "l"), True)
    return b"Done"
