# SPDX-License-Identifier: AGPL-3.0-or-later
"""MYRIGHTS (RFC 4314 §3.5): what the session may do in a mailbox."""

from __future__ import annotations

from mailserver.imap.grammar import strings
from mailserver.imap.grammar.lexer import Cursor
from mailserver.imap.rights import shown
from mailserver.imap.session import Session
from mailserver.store.mailboxes import NoSuchMailbox


async def run(session: Session, cursor: Cursor) -> bytes:
    """The session's own rights."""
    cursor.space()
    name = cursor.mailbox()
    cursor.end()
    place = session.names.place(name)
    if place.ref is None:
        raise NoSuchMailbox
    session.write(line(session, name, place.rights))
    return b"Done"


def line(session: Session, name: str, rights: str) -> bytes:
    """The untagged MYRIGHTS response (LIST RETURN (MYRIGHTS) gives it too, RFC 8440 §3)."""
    return b"* MYRIGHTS %b %b\r\n" % (
        strings.mailbox(name, utf8=session.utf8_names),
        strings.astring(shown(rights).encode()) if rights else b'""',
    )
