# SPDX-License-Identifier: AGPL-3.0-or-later
"""EXAMINE (RFC 9051 §6.3.3): SELECT for reading only."""

from __future__ import annotations

from mailserver.imap.commands.select import open_mailbox
from mailserver.imap.grammar.lexer import Cursor
from mailserver.imap.session import Session


async def run(session: Session, cursor: Cursor) -> bytes:
    """Open a mailbox for reading."""
    return await open_mailbox(session, cursor, readonly=True)
