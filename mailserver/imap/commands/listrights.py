# SPDX-License-Identifier: AGPL-3.0-or-later
"""LISTRIGHTS (RFC 4314 §3.4): which rights an account always has here, and which it can be given."""

from __future__ import annotations

from mailserver.imap.commands.getacl import administered, identified
from mailserver.imap.grammar import strings
from mailserver.imap.grammar.lexer import Cursor
from mailserver.imap.rights import ALL, standing
from mailserver.imap.session import Session


async def run(session: Session, cursor: Cursor) -> bytes:
    """The rights that go together: each by itself."""
    cursor.space()
    name = cursor.mailbox()
    cursor.space()
    identifier = cursor.astring()
    cursor.end()
    place, _ = administered(session, name)
    _, account = identified(session, identifier)
    always = standing(account, place.owner) if account is not None else ""
    words = [
        strings.mailbox(name, utf8=session.utf8_names),
        strings.astring(identifier),
        strings.astring(always.encode()) if always else b'""',
        *[one.encode() for one in ALL if one not in always],
    ]
    session.untagged(b"LISTRIGHTS " + b" ".join(words))
    return b"Done"
