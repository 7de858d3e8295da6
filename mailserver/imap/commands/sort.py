# SPDX-License-Identifier: AGPL-3.0-or-later
"""SORT (RFC 5256 §3; DISPLAYFROM and DISPLAYTO: RFC 5957; RETURN: RFC 5267 §3; RELEVANCY: RFC 6203 §5)."""

from __future__ import annotations

from mailserver.imap.commands.search import parsed, present, reply, worked
from mailserver.imap.grammar.lexer import Cursor
from mailserver.imap.grammar.searching import parse_sort
from mailserver.imap.session import Session
from mailserver.search.keys import Key, fuzzy_texts, has
from mailserver.search.order import sort
from mailserver.search.searching import Searcher

_SORTING = Key("SUBJECT")  # as dear as a search through a column


async def run(session: Session, cursor: Cursor, uid: bool = False) -> bytes:
    """Search the selected mailbox and give the matches in order."""
    cursor.space()
    asked = parsed(session, lambda: parse_sort(cursor))
    search = asked.search
    view = await session.loaded()
    session.condstore = session.condstore or has(search.key, "MODSEQ")
    save = search.returns is not None and "SAVE" in search.returns.options

    def work() -> bytes:
        job = Searcher(session.services.searches, view)
        found = present(view, job.match(search.key, range(len(view.uids))))
        keys = fuzzy_texts(search.key)
        ordered = sort(found, asked.criteria, job.values, job.texts, lambda at: job.relevancy(keys, at))
        return reply(session.tag, view, search, ordered, job, uid=uid, ordered=True)

    session.write(await worked(session, view, Key("AND", (search.key, _SORTING)), work, save=save))
    return b"Done"
