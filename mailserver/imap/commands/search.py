# SPDX-License-Identifier: AGPL-3.0-or-later
"""SEARCH (RFC 9051 §6.4.4, RFC 4731): all keys, folded text, so ``cong van`` finds ``Công văn`` in any encoding.

Keys are tried cheapest first, each on what the ones before it left: flags and numbers, rows, summaries,
and the bytes of messages only where nothing else decides. Everything beyond flags runs in a thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from config.clock import now_us
from config.refusal import Refused
from mailserver.imap.grammar.lexer import Cursor
from mailserver.imap.grammar.searching import Key, Search, parse_search
from mailserver.imap.grammar.sequences import write_set
from mailserver.imap.grammar.strings import local_day
from mailserver.imap.sections import only
from mailserver.imap.session import Session
from mailserver.imap.view import View
from mailserver.message import Summary, finder, header_text, plain_text, scan
from mailserver.message.structure import header_end, is_trace
from mailserver.store import Row

log = logging.getLogger("congvan.imap")

_LOOK = 256 * 1024
_Finder = Callable[[str], bool]
_RUN = 500
_INLINE = 5000  # so many messages are searched by flags and numbers without a thread
_COST = {"SEQ": 0, "UID": 0, "FLAG": 0, "KEYWORD": 0, "ALL": 0, "NONE": 0, "MODSEQ": 0}
_COST |= dict.fromkeys(("BEFORE", "ON", "SINCE", "LARGER", "SMALLER", "YOUNGER", "OLDER"), 1)
_COST |= dict.fromkeys(("SUBJECT", "FROM", "TO", "CC", "BCC", "SENTBEFORE", "SENTON", "SENTSINCE"), 2)
_COST |= {"HEADER": 3, "BODY": 4, "TEXT": 4}
_DAYS: dict[str, Callable[[int, int], bool]] = {
    "BEFORE": lambda day, asked: day < asked,
    "ON": lambda day, asked: day == asked,
    "SINCE": lambda day, asked: day >= asked,
}


async def run(session: Session, cursor: Cursor, uid: bool = False) -> bytes:
    """Search the selected mailbox."""
    cursor.space()
    search = parse_search(cursor)
    view = await session.loaded()
    job = _Searcher(view)
    if _cost(search.key) == 0 and len(view.uids) <= _INLINE:
        found = job.match(search.key, range(len(view.uids)))
    else:
        async with session.services.searches:
            found = await asyncio.to_thread(job.match, search.key, range(len(view.uids)))
    found = [at for at in found if view.uids[at] not in view.gone]
    modseq = None
    if _has(search.key, "MODSEQ"):
        session.condstore = True
        modseq = max((view.modseqs(at) for at in found), default=None)
    numbers = [view.uids[at] for at in found] if uid else [at + 1 for at in found]
    session.write(_reply(session.tag, search, numbers, modseq, uid=uid))
    return b"Done"


def _reply(tag: bytes, search: Search, numbers: list[int], modseq: int | None, *, uid: bool) -> bytes:
    if search.returns is None:
        tail = b" (MODSEQ %d)" % modseq if modseq is not None else b""
        return b"* SEARCH" + b"".join([b" %d" % one for one in numbers]) + tail + b"\r\n"
    out = [b'* ESEARCH (TAG "%b")' % tag]
    if uid:
        out.append(b"UID")
    if numbers:
        if "MIN" in search.returns:
            out.append(b"MIN %d" % numbers[0])
        if "MAX" in search.returns:
            out.append(b"MAX %d" % numbers[-1])
        if "ALL" in search.returns:
            out.append(b"ALL " + write_set(numbers))
    if "COUNT" in search.returns:
        out.append(b"COUNT %d" % len(numbers))
    if modseq is not None:
        out.append(b"MODSEQ %d" % modseq)
    return b" ".join(out) + b"\r\n"


def _cost(key: Key) -> int:
    if key.keys:
        return max(_cost(one) for one in key.keys)
    return _COST[key.name]


def _has(key: Key, name: str) -> bool:
    return key.name == name or any(_has(one, name) for one in key.keys)


class _Searcher:
    """One SEARCH at work: positions in, matching positions out, in order."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._uids = view.uids
        self._now_us = now_us()

    def match(self, key: Key, among: Iterable[int]) -> list[int]:
        """The positions of ``among`` (rising) that match."""
        if key.name == "AND":
            left = list(among)
            for one in sorted(key.keys, key=_cost):
                left = self.match(one, left) if left else left
            return left
        if key.name == "OR":
            every = list(among)
            first, second = sorted(key.keys, key=_cost)
            hits = set(self.match(first, every))
            hits.update(self.match(second, [at for at in every if at not in hits]))
            return [at for at in every if at in hits]
        if key.name == "NOT":
            every = list(among)
            hits = set(self.match(key.keys[0], every))
            return [at for at in every if at not in hits]
        cost = _COST[key.name]
        if cost == 0:
            return self._of_arrays(key, among)
        return self._of_rows(key, list(among), cost)

    def _of_arrays(self, key: Key, among: Iterable[int]) -> list[int]:
        view = self._view
        if key.name == "ALL":
            return list(among)
        if key.name == "NONE":
            return []
        if key.set is not None:
            inside = {at for span in key.set.positions(self._uids, uid=key.name == "UID") for at in span}
            return [at for at in among if at in inside]
        if key.name == "MODSEQ":
            return [at for at in among if view.modseqs(at) >= key.number]
        mask = key.number
        if key.name == "KEYWORD":
            bit = view.words.bit(key.text)
            mask = 1 << bit if bit is not None else 0
        flags, wanted = view.all_flags(), key.wanted
        return [at for at in among if bool(flags[at] & mask) is wanted]

    def _of_rows(self, key: Key, among: list[int], cost: int) -> list[int]:
        test = self._test(key)
        store = self._view.store
        found: list[int] = []
        for start in range(0, len(among), _RUN):
            run = among[start : start + _RUN]
            rows = self._rows(run)
            summaries = store.summaries([row.blob for row in rows.values()]) if cost >= 2 else {}
            for at in run:
                row = rows.get(at)
                if row is not None and test(row, summaries.get(row.blob)):
                    found.append(at)
        return found

    def _rows(self, run: list[int]) -> dict[int, Row]:
        wanted = set(run)
        rows = self._view.store.rows(self._view.ref, self._uids[run[0]], self._uids[run[-1]])
        placed = ((self._view.position(row.uid), row) for row in rows)
        return {at: row for at, row in placed if at is not None and at in wanted}

    def _test(self, key: Key) -> Callable[[Row, Summary | None], bool]:
        name, number = key.name, key.number
        if name in _DAYS:
            compare = _DAYS[name]
            return lambda row, _: compare(local_day(row.internaldate_us), number)
        if name.startswith("SENT"):
            compare = _DAYS[name[4:]]
            return lambda row, one: compare(
                local_day(
                    one.date_us if one is not None and one.date_us is not None else row.internaldate_us
                ),
                number,
            )
        if name == "LARGER":
            return lambda row, _: row.size > number
        if name == "SMALLER":
            return lambda row, _: row.size < number
        if name == "YOUNGER":
            return lambda row, _: row.internaldate_us >= self._now_us - number * 1_000_000
        if name == "OLDER":
            return lambda row, _: row.internaldate_us <= self._now_us - number * 1_000_000
        return self._text_test(key)

    def _text_test(self, key: Key) -> Callable[[Row, Summary | None], bool]:
        found = finder(key.text)
        if key.name in ("TEXT", "BODY"):
            whole = key.name == "TEXT"
            return lambda row, one: self._content(row, one, found, whole=whole)
        name = (key.header if key.name == "HEADER" else key.name).encode()
        field, trace = only((name,)), is_trace(name)
        if (
            key.name != "HEADER" and not key.text
        ):  # everything is TO "", only what has a To field HEADER TO ""
            return lambda row, one: True

        def test(row: Row, one: Summary | None) -> bool:
            head = one.fields if one is not None and not trace else None
            if head is None:
                data = self._bytes(row)
                head = b"" if data is None else data[: header_end(data, 0, len(data))]
            lines = field.findall(head)
            return bool(lines) and any(found(header_text(line.partition(b":")[2])) for line in lines)

        return test

    def _bytes(self, row: Row) -> bytes | None:
        try:
            return self._view.store.content(row.blob)
        except (LookupError, Refused, OSError):
            log.warning("message %d of mailbox %s can't be searched", row.uid, self._view.ref)
            return None

    def _content(self, row: Row, summary: Summary | None, found: _Finder, *, whole: bool) -> bool:
        data = self._bytes(row)
        if data is None:
            return False
        if whole:
            head = data[: min(header_end(data, 0, len(data)), _LOOK)]
            if found(header_text(head)):
                return True
        return found(plain_text(data, summary or scan(data)))
