# SPDX-License-Identifier: AGPL-3.0-or-later
"""THREAD (RFC 5256 §3): ORDEREDSUBJECT and REFERENCES."""

from __future__ import annotations

from mailserver.imap.commands.search import parsed, present, worked
from mailserver.imap.grammar.lexer import Cursor
from mailserver.imap.grammar.searching import parse_thread
from mailserver.imap.session import Session
from mailserver.search.searching import Searcher
from mailserver.search.threads import ordered_subject, references, write

_COLUMNS = {"base", "date", "thread"}


async def run(session: Session, cursor: Cursor, uid: bool = False) -> bytes:
    """Search the selected mailbox and give the matches as threads."""
    cursor.space()
    algorithm, key = parsed(session, lambda: parse_thread(cursor))
    view = await session.loaded()

    job = Searcher(session.services.searches, view)

    def work() -> bytes:
        found = present(view, job.match(key, range(len(view.uids))))
        base, dates = job.texts("base"), job.values("date")
        if algorithm == "REFERENCES":
            facts, index = job.threads()
            threads = references(found, facts, index, base, dates)
        else:
            threads = ordered_subject(found, base, dates)
        numbers = view.uids if uid else range(1, len(view.uids) + 1)
        return b"* THREAD %b\r\n" % write(threads, numbers) if threads.roots else b"* THREAD\r\n"

    question = ("THREAD", uid, algorithm, key)
    session.write(await worked(session, job, question, key, work, columns=_COLUMNS))
    return b"Done"
