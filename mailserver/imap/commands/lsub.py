# SPDX-License-Identifier: AGPL-3.0-or-later
"""LSUB (RFC 3501 §6.3.9), with the special uses, which Outlook 2013 asks here (Q17)."""

from __future__ import annotations

from mailserver.imap.commands.list import Options, lines
from mailserver.imap.grammar.lexer import Cursor
from mailserver.imap.grammar.names import decode_name
from mailserver.imap.session import Session


async def run(session: Session, cursor: Cursor) -> bytes:
    """List subscribed names by pattern."""
    cursor.space()
    reference = decode_name(cursor.astring(), utf8=session.utf8_names)
    cursor.space()
    pattern = cursor.list_mailbox()
    cursor.end()
    chosen = Options(selection=frozenset({"SUBSCRIBED"}))
    for line in lines(session, reference, [pattern], chosen, b"LSUB"):
        session.write(line.replace(b"(\\Subscribed ", b"(", 1))
    return b"Done"
