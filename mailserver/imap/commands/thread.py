# SPDX-License-Identifier: AGPL-3.0-or-later
"""THREAD (RFC 5256 §3): ORDEREDSUBJECT and REFERENCES."""

from __future__ import annotations

from mailserver.imap.commands.search import parsed, present, worked
from mailserver.imap.grammar.lexer import Cursor
from mailserver.imap.grammar.searching import parse_thread
from mailserver.imap.session import Session
from mailserver.search.keys import Key
from mailserver.search.searching import Searcher
from mailserver.search.threads import ordered_subject, references, write

_THREADING = Key("SUBJECT")


async def run(session: Session, cursor: Cursor, uid: bool = False) -> bytes:
    """Search the selected mailbox and give the matches as threads."""
    cursor.space()
    algorithm, key = parsed(session, lambda: parse_thread(cursor))
    view = await session.loaded()

    def work() -> bytes:
        job = Searcher(session.services.searches, view)
        found = present(view, job.match(key, range(len(view.uids))))
        base, dates = job.texts("base"), job.values("date")
        if algorithm == "REFERENCES":
            facts, index = job.threads()
            roots = references(found, facts, index, base, dates)
        else:
            roots = ordered_subject(found, base, dates)
        numbers = view.uids if uid else range(1, len(view.uids) + 1)
        return b"* THREAD %b\r\n" % write(roots, numbers) if roots else b"* THREAD\r\n"

    session.write(await worked(session, view, Key("AND", (key, _THREADING)), work, save=False))
    return b"Done"
