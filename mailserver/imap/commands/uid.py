# SPDX-License-Identifier: AGPL-3.0-or-later
"""UID COPY, EXPUNGE, FETCH, MOVE, SEARCH, SORT, STORE, THREAD (RFC 9051 §6.4.9, RFC 5256 §3): the same commands, UIDs for numbers."""

from __future__ import annotations

from mailserver.imap.commands import copy, expunge, fetch, move, search, sort, store, thread
from mailserver.imap.grammar.lexer import Cursor, Syntax
from mailserver.imap.session import Session

_COMMANDS = {
    "COPY": copy.run,
    "EXPUNGE": expunge.run,
    "FETCH": fetch.run,
    "MOVE": move.run,
    "SEARCH": search.run,
    "SORT": sort.run,
    "STORE": store.run,
    "THREAD": thread.run,
}


async def run(session: Session, cursor: Cursor) -> bytes:
    """Run a command with UIDs."""
    cursor.space()
    verb = cursor.word()
    command = _COMMANDS.get(verb)
    if command is None:
        raise Syntax(f"UID {verb[:40]} is not a command")
    return await command(session, cursor, uid=True)
