# SPDX-License-Identifier: AGPL-3.0-or-later
"""CAPABILITY (RFC 9051 §6.1.1)."""

from __future__ import annotations

from mailserver.imap.grammar.lexer import Cursor
from mailserver.imap.session import Session

_ALWAYS = (
    b"IMAP4rev1 SASL-IR LITERAL+ ID ENABLE IDLE NAMESPACE CHILDREN UIDPLUS UNSELECT MOVE SPECIAL-USE"
    b" CREATE-SPECIAL-USE LIST-EXTENDED LIST-STATUS STATUS=SIZE CONDSTORE QRESYNC PREVIEW"
    b" ESEARCH SEARCHRES WITHIN SEARCH=FUZZY SORT SORT=DISPLAY ESORT THREAD=ORDEREDSUBJECT THREAD=REFERENCES"
)


def capabilities(session: Session) -> bytes:
    """What this connection can do now; only what is complete is named."""
    words = [_ALWAYS, b"APPENDLIMIT=%d" % session.services.append_limit]
    if session.account is None:
        if session.can_tls and not session.tls:
            words.append(b"STARTTLS")
        words.append(b"AUTH=PLAIN" if session.may_sign_in else b"LOGINDISABLED")
    return b" ".join(words)


async def run(session: Session, cursor: Cursor) -> bytes:
    """The list of capabilities."""
    cursor.end()
    session.untagged(b"CAPABILITY " + capabilities(session))
    return b"Done"
