# SPDX-License-Identifier: AGPL-3.0-or-later
"""LOGOUT (RFC 9051 §6.1.3)."""

from __future__ import annotations

from mailserver.imap.grammar.lexer import Cursor
from mailserver.imap.session import Session


async def run(session: Session, cursor: Cursor) -> bytes:
    """End the session."""
    cursor.end()
    session.select(None)
    session.untagged(b"BYE Goodbye")
    session.closing = True
    return b"Done"
