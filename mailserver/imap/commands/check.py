# SPDX-License-Identifier: AGPL-3.0-or-later
"""CHECK (RFC 3501 §6.4.1): everything is durable already, so it is NOOP in a selected mailbox."""

from __future__ import annotations

from mailserver.imap.grammar.lexer import Cursor
from mailserver.imap.session import Session


async def run(session: Session, cursor: Cursor) -> bytes:
    """News, and done."""
    cursor.end()
    return b"Done"
