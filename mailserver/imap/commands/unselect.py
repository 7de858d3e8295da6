# SPDX-License-Identifier: AGPL-3.0-or-later
"""UNSELECT (RFC 9051 §6.4.2): leave the mailbox, expunge nothing."""

from __future__ import annotations

from mailserver.imap.grammar.lexer import Cursor
from mailserver.imap.session import Session


async def run(session: Session, cursor: Cursor) -> bytes:
    """Leave the mailbox."""
    cursor.end()
    session.select(None)
    return b"Left"
