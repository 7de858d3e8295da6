# SPDX-License-Identifier: AGPL-3.0-or-later
"""NOOP (RFC 9051 §6.1.2): the client asks for news."""

from __future__ import annotations

from mailserver.imap.grammar.lexer import Cursor
from mailserver.imap.session import Session


async def run(session: Session, cursor: Cursor) -> bytes:
    """Nothing but what every command does: news first."""
    cursor.end()
    return b"Done"
