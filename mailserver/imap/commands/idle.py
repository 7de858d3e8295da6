# SPDX-License-Identifier: AGPL-3.0-or-later
"""IDLE (RFC 9051 §6.3.13): news at once until DONE; anything else ends it too, and is then run (Q1, Q2)."""

from __future__ import annotations

from mailserver.imap.grammar.lexer import Cursor, Syntax
from mailserver.imap.session import Awaiting, Session


async def run(session: Session, cursor: Cursor) -> None:
    """Begin to idle; the connection pushes changes while ``session.idling``."""
    cursor.end()

    async def take(line: bytes) -> bytes:
        session.idling = False
        if line.strip().upper() != b"DONE":
            raise Syntax("DONE was expected; IDLE is over")
        return b"Done"

    await session.tell(expunge=True)
    session.idling = True
    session.awaiting = Awaiting(session.tag, "IDLE", take)
    session.write(b"+ idling\r\n")
