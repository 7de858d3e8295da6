# SPDX-License-Identifier: AGPL-3.0-or-later
"""SORT (RFC 5256 §3; DISPLAYFROM and DISPLAYTO: RFC 5957; RETURN: RFC 5267 §3; RELEVANCY: RFC 6203 §5)."""

from __future__ import annotations

from mailserver.imap.commands.search import parsed, present, read_for, reply, tagged, worked
from mailserver.imap.grammar.lexer import Cursor
from mailserver.imap.grammar.searching import parse_sort
from mailserver.imap.session import Session
from mailserver.search import order
from mailserver.search.keys import fuzzy_texts, has
from mailserver.search.searching import Searcher


async def run(session: Session, cursor: Cursor, uid: bool = False) -> bytes:
    """Search the selected mailbox and give the matches in order."""
    cursor.space()
    asked = parsed(session, lambda: parse_sort(cursor))
    search = asked.search
    view = await session.loaded()
    session.condstore = session.condstore or has(search.key, "MODSEQ")
    save = search.returns is not None and "SAVE" in search.returns.options

    job = Searcher(session.services.searches, view)

    def work() -> bytes:
        found = present(view, job.match(search.key, range(len(view.uids))))
        keys = fuzzy_texts(search.key)
        ordered = order.sort(found, asked.criteria, job.values, job.texts, lambda at: job.relevancy(keys, at))
        return reply(view, search, ordered, job, uid=uid, ordered=True)

    columns = order.kinds(asked.criteria) | read_for(search)
    made = await worked(session, job, ("SORT", uid, asked), search.key, work, columns=columns, save=save)
    session.write(tagged(session.tag, made))
    return b"Done"
