# SPDX-License-Identifier: AGPL-3.0-or-later
"""SEARCH (RFC 9051 §6.4.4, RFC 4731, RFC 5032, RFC 5182, RFC 6203, RFC 7162 §3.1.5, RFC 9394 §3.1).

What a match is, `mailserver.search.searching` knows; here are the options, the saved result and the reply.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import TypeVar

from mailserver.imap.grammar.lexer import Cursor, Syntax
from mailserver.imap.grammar.searching import BadCharset, Returns, Search, parse_search
from mailserver.imap.grammar.sequences import SequenceSet, write_set
from mailserver.imap.grammar.windows import window
from mailserver.imap.session import Session
from mailserver.imap.view import View
from mailserver.search.keys import Key, Lasting, fuzzy_texts, has, kinds, lasting
from mailserver.search.searching import Searcher

T = TypeVar("T")
_INLINE = 2000  # so many messages are searched without a thread by what is in memory (2 ms)
_INLINE_READ = 128  # and so many whose header facts have to be read
_TAG = b'(TAG "")'


async def run(session: Session, cursor: Cursor, uid: bool = False) -> bytes:
    """Search the selected mailbox."""
    cursor.space()
    search = parsed(session, lambda: parse_search(cursor))
    if session.rev2 and search.returns is None:  # RFC 9051 §6.4.4: there ESEARCH is the only answer
        search = replace(search, returns=Returns())
    view = await session.loaded()
    session.condstore = session.condstore or has(search.key, "MODSEQ")
    save = search.returns is not None and "SAVE" in search.returns.options

    job = Searcher(session.services.searches, view)

    def work() -> bytes:
        found = present(view, job.match(search.key, range(len(view.uids))))
        return reply(view, search, found, job, uid=uid, ordered=False)

    made = await worked(
        session, job, ("SEARCH", uid, search), search.key, work, columns=read_for(search), save=save
    )
    session.write(tagged(session.tag, made))
    return b"Done"


def read_for(search: Search) -> set[str]:
    """The columns that the reply looks at beside the keys: RELEVANCY reads the messages (see `keys.kinds`)."""
    return {""} if search.returns is not None and "RELEVANCY" in search.returns.options else set()


def parsed(session: Session, parse: Callable[[], T]) -> T:
    """What ``parse`` reads; a charset that is not known empties the saved result like any NO (RFC 5182 §2.1)."""
    try:
        return parse()
    except BadCharset:
        if session.view is not None:
            session.view.saved = SequenceSet((), saved=True)
        raise


async def worked(
    session: Session,
    job: Searcher,
    question: Hashable,
    key: Key,
    work: Callable[[], bytes],
    *,
    columns: set[str] | None = None,
    save: bool = False,
) -> bytes:
    """The reply that ``work`` makes: one that is known, at once where that is cheap, else in a thread, two at a time.

    ``question`` is all that the reply depends on beside the mailbox, ``columns`` what is looked at beside ``key``.
    """
    view, services = session.selected, session.services
    stays = Lasting.NOT if save else lasting(key)
    known = services.answers.get(view, question, stays)
    if known is not None:
        return known
    needed = kinds(key) | (columns or set())
    try:
        if len(view.uids) <= (_INLINE if job.ready(needed) else _INLINE_READ if "" not in needed else 0):
            made = work()
        else:
            async with services.searching:
                made = await asyncio.to_thread(work)
    except Syntax:
        raise
    except Exception:
        if save:
            view.saved = SequenceSet((), saved=True)
        raise
    services.answers.keep(view, question, stays, made)
    return made


def tagged(tag: bytes, made: bytes) -> bytes:
    """A reply of `reply` with the tag of its command (RFC 4466 §2.6.2)."""
    return made.replace(_TAG, b'(TAG "%b")' % tag, 1) if made.startswith(b"* ESEARCH") else made


def present(view: View, found: Sequence[int]) -> Sequence[int]:
    """Without the messages whose EXPUNGE the client has still to be told."""
    if not view.gone:
        return found
    uids, gone = view.uids, view.gone
    return [at for at in found if uids[at] not in gone]


def reply(
    view: View, search: Search, found: Sequence[int], job: Searcher, *, uid: bool, ordered: bool
) -> bytes:
    """The SEARCH, SORT (``ordered``) or ESEARCH response for these positions, without its tag; keeps what SAVE asks for."""
    numbers = _numbers(view, found, uid=uid)
    returns, verb = search.returns, b"SORT" if ordered else b"SEARCH"
    with_modseq = has(search.key, "MODSEQ")
    if returns is None:
        tail = b""
        if with_modseq and found:
            tail = b" (MODSEQ %d)" % max(map(view.modseqs, found))
        return b"* %b%b%b\r\n" % (verb, (b" %d" * len(numbers)) % tuple(numbers), tail)
    options = returns.options
    if "SAVE" in options:
        _save(view, found, returns)
        if options <= {"SAVE"}:
            return b""
    out = [b"* ESEARCH " + _TAG]
    if uid:
        out.append(b"UID")
    if numbers:
        if "MIN" in options:
            out.append(b"MIN %d" % numbers[0])
        if "MAX" in options:
            out.append(b"MAX %d" % numbers[-1])
        if "ALL" in options:
            out.append(b"ALL " + _listed(numbers, ordered=ordered))
    if "COUNT" in options:
        out.append(b"COUNT %d" % len(numbers))
    shown = found
    if returns.partial is not None:
        part = window(returns.partial, len(numbers))
        shown = found[part]
        some = numbers[part]
        listed = _listed(some, ordered=ordered) if some else b"NIL"
        out.append(b"PARTIAL (%d:%d %b)" % (*returns.partial, listed))
    if "RELEVANCY" in options and shown:
        keys = fuzzy_texts(search.key)
        scores = [job.relevancy(keys, at) for at in shown] if keys else [100] * len(shown)
        out.append(b"RELEVANCY (%b)" % b" ".join([b"%d" % one for one in scores]))
    if with_modseq and found:
        out.append(b"MODSEQ %d" % max(map(view.modseqs, _told(found, returns))))
    return b" ".join(out) + b"\r\n"


def _numbers(view: View, found: Sequence[int], *, uid: bool) -> Sequence[int]:
    if not uid:
        return [at + 1 for at in found]
    if isinstance(found, range) and len(found) == len(view.uids):
        return view.uids
    uids = view.uids
    return [uids[at] for at in found]


def _listed(numbers: Sequence[int], *, ordered: bool) -> bytes:
    return ((b",%d" * len(numbers)) % tuple(numbers))[1:] if ordered else write_set(numbers)


def _told(found: Sequence[int], returns: Returns) -> Sequence[int]:
    """Whose highest MODSEQ is told: with MIN or MAX alone that of those messages (RFC 7162 §3.1.10)."""
    if returns.options - {"MIN", "MAX", "SAVE"}:
        return found
    return [found[0]] * ("MIN" in returns.options) + [found[-1]] * ("MAX" in returns.options)


def _save(view: View, found: Sequence[int], returns: Returns) -> None:
    """Keep the result for ``$`` (RFC 5182 §2.4, RFC 9394 §3.2)."""
    options = returns.options
    kept = list(found)
    if not options & {"ALL", "COUNT"} and options & {"MIN", "MAX", "PARTIAL"}:
        some = [*found[:1]] * ("MIN" in options) + [*found[-1:]] * ("MAX" in options)
        if returns.partial is not None:
            some += found[window(returns.partial, len(found))]
        kept = some
    ranges: list[tuple[int, int]] = []
    for one in sorted({view.uids[at] for at in kept}):
        if ranges and ranges[-1][1] == one - 1:
            ranges[-1] = (ranges[-1][0], one)
        else:
            ranges.append((one, one))
    view.saved = SequenceSet(tuple(ranges), saved=True)
