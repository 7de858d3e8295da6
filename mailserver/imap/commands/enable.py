# SPDX-License-Identifier: AGPL-3.0-or-later
"""ENABLE (RFC 9051 §6.3.1, RFC 5161 §3.1): IMAP4rev2, CONDSTORE, QRESYNC (RFC 7162 §3.2.3, Q15), UTF8=ACCEPT.

What is enabled stays so for the session; UTF8=ACCEPT and IMAP4rev2 let mailbox names travel as UTF-8
(RFC 6855 §3).
"""

from __future__ import annotations

from mailserver.imap.commands.capability import offered
from mailserver.imap.grammar.lexer import Cursor
from mailserver.imap.session import Session

_KNOWN = ("CONDSTORE", "IMAP4REV2", "QRESYNC", "UTF8=ACCEPT")
_WRITTEN = {"IMAP4REV2": b"IMAP4rev2"}


async def run(session: Session, cursor: Cursor) -> bytes:
    """Turn extensions on; unknown ones, and those the account does not get, are passed over."""
    cursor.space()
    asked = {cursor.word()}
    while cursor.try_space() and not cursor.at_end():
        asked.add(cursor.word())
    cursor.end()
    wanted = [one for one in _KNOWN if one in asked and offered(session, one)]
    if "QRESYNC" in wanted:
        session.qresync = session.condstore = True
        wanted = sorted({*wanted, "CONDSTORE"})
    session.condstore = session.condstore or "CONDSTORE" in wanted
    session.rev2 = session.rev2 or "IMAP4REV2" in wanted
    session.utf8 = session.utf8 or "UTF8=ACCEPT" in wanted
    session.untagged(b" ".join([b"ENABLED", *[_WRITTEN.get(one, one.encode()) for one in wanted]]))
    return b"Done"
