# SPDX-License-Identifier: AGPL-3.0-or-later
"""CAPABILITY (RFC 9051 §6.1.1), less what the officer masked for the account (`congvan account capabilities`)."""

from __future__ import annotations

from mailserver.imap.grammar.lexer import Cursor
from mailserver.imap.session import Session

_ALWAYS = [
    "IMAP4rev1",
    "IMAP4rev2",
    "SASL-IR",
    "LITERAL+",
    "ID",
    "ENABLE",
    "IDLE",
    "NAMESPACE",
    "CHILDREN",
    "UIDPLUS",
    "UNSELECT",
    "MOVE",
    "SPECIAL-USE",
    "CREATE-SPECIAL-USE",
    "LIST-EXTENDED",
    "LIST-STATUS",
    "LIST-MYRIGHTS",
    "STATUS=SIZE",
    "ESEARCH",
    "SEARCHRES",
    "PARTIAL",
    "WITHIN",
    "SEARCH=FUZZY",
    "SORT",
    "SORT=DISPLAY",
    "ESORT",
    "THREAD=ORDEREDSUBJECT",
    "THREAD=REFERENCES",
    "CONDSTORE",
    "QRESYNC",
    "PREVIEW",
    "MULTIAPPEND",
    "BINARY",
    "ACL",
    "QUOTA",
    "QUOTA=RES-STORAGE",
    "RIGHTS=kxte",
    "OBJECTID",
    "SAVEDATE",
    "COMPRESS=DEFLATE",
    "UTF8=ACCEPT",
    "XLIST",
]

MASKABLE = frozenset(one.upper() for one in _ALWAYS) - {"IMAP4REV1"}
"""What an officer may take from an account; what is masked can't be enabled either."""


def capabilities(session: Session) -> bytes:
    """What this connection can do now; only what is complete is named."""
    words = [one for one in _ALWAYS if offered(session, one)]
    if "LITERAL+" not in words:
        words.append("LITERAL-")
    words.append(f"APPENDLIMIT={session.services.append_limit}")
    if session.account is None:
        if session.can_tls and not session.tls:
            words.append("STARTTLS")
        words += ["AUTH=PLAIN", "AUTH=SCRAM-SHA-256"] if session.may_sign_in else ["LOGINDISABLED"]
        if session.certificate is not None:
            words.append("AUTH=EXTERNAL")
    return " ".join(words).encode()


def offered(session: Session, word: str) -> bool:
    """Whether an extension is offered to the account; nothing is masked before signing in."""
    if word.upper() == "COMPRESS=DEFLATE" and session.deflating:
        return False
    return session.account is None or word.upper() not in session.account.masked


async def run(session: Session, cursor: Cursor) -> bytes:
    """The list of capabilities."""
    cursor.end()
    session.untagged(b"CAPABILITY " + capabilities(session))
    return b"Done"
