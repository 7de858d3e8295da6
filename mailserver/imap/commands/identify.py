# SPDX-License-Identifier: AGPL-3.0-or-later
"""ID (RFC 2971 §3.1): who the server is. What the client says of itself changes nothing (Q24)."""

from __future__ import annotations

from mailserver.imap.grammar.lexer import Cursor, Syntax
from mailserver.imap.session import Session

_MOST_FIELDS = 30


async def run(session: Session, cursor: Cursor) -> bytes:
    """Take the client's fields, give ours."""
    cursor.space()
    if cursor.try_byte(b"("):
        count = 0
        cursor.try_space()
        while not cursor.try_byte(b")"):
            cursor.string()
            cursor.space()
            cursor.nstring()
            count += 1
            if count > _MOST_FIELDS:
                raise Syntax("Too many fields")
            if not cursor.try_space() and not cursor.at(b")"):
                raise Syntax("The list is not closed")
    elif cursor.word() != "NIL":
        raise Syntax("A list of fields or NIL is missing")
    cursor.end()
    session.untagged(b'ID ("name" "congvan")')
    return b"Done"
