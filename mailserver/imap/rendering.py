# SPDX-License-Identifier: AGPL-3.0-or-later
"""FETCH answers out of arrays, rendered pages, summaries and bytes (RFC 9051 §7.5.2).

Number, UID, flags and modseq come from the session's arrays; ENVELOPE, BODYSTRUCTURE and the like are
rendered once and kept in `Pages`; bodies are read when they are asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby, islice
from typing import Any

from config.refusal import Refused
from mailserver.imap.flags import flag_lines
from mailserver.imap.grammar import strings
from mailserver.imap.grammar.fetching import Item, Section
from mailserver.imap.leaves import Leaves, written
from mailserver.imap.pages import BLOCK, Pages
from mailserver.imap.replies import No
from mailserver.imap.sections import UnknownEncoding, decoded, extract, is_kept, of_kept_fields
from mailserver.imap.view import View
from mailserver.message import Summary, scan
from mailserver.search.facts import Facts
from mailserver.store.identifiers import email_id, thread_id
from mailserver.store.listing import Listed

log = logging.getLogger("congvan.imap")

_RUN = BLOCK
KEPT = 32_000
"""More messages than this are written page by page, and nothing is kept: they would drive everything else out."""
_MARK = {"UID": b"UID %d", "FLAGS": b"FLAGS %b", "MODSEQ": b"MODSEQ (%d)"}
_READ = 250  # messages whose bytes are looked up together
_PIECE = 128 * 1024
OF_ARRAYS = frozenset({"UID", "FLAGS", "MODSEQ"})
_OF_SUMMARY = frozenset({"ENVELOPE", "BODY", "BODYSTRUCTURE", "PREVIEW", "THREADID"})
_LABELS = {
    "RFC822": Section("", ""),
    "RFC822.HEADER": Section("", "HEADER"),
    "RFC822.TEXT": Section("", "TEXT"),
}


def _reads(item: Item) -> bool:
    """Whether an item needs the bytes of the message."""
    if item.section is not None:
        return item.name != "BODY[]" or not is_kept(item.section)
    return item.name in _LABELS


class Rendering:
    """One FETCH at work. ``seen``: UIDs whose flags go into the answer unasked."""

    def __init__(self, view: View, pages: Pages, facts: Facts, items: list[Item], seen: set[int]) -> None:
        self._view = view
        self._pages = pages
        self._seen = seen
        self._gone = self._broken = 0
        self._unknown = False
        self._marks = [one.name for one in items if one.name in OF_ARRAYS]
        self._fixed = [one for one in items if one.name not in OF_ARRAYS and not _reads(one)]
        self._bodies = [one for one in items if _reads(one)]
        self._leaves = Leaves(facts, view.ref, self._fixed)
        self._key = b" ".join([_label(one) for one in self._fixed])
        self._needs_summary = any(one.name in _OF_SUMMARY or one.section is not None for one in self._fixed)
        self._needs_parts = any(one.section is not None and one.section.path for one in self._bodies)

    @property
    def reads(self) -> bool:
        """Whether bytes of messages are read."""
        return bool(self._bodies)

    def result(self, *, uid: bool) -> bytes:
        """The words of the tagged OK. Raises `No` when messages could not be read."""
        if self._broken:
            raise No(
                "SERVERBUG",
                f"{self._broken} thư không đọc được; người quản trị cần kiểm tra dữ liệu.",
                f"{self._broken} messages can't be read; the administrator must check the data.",
            )
        if self._unknown:
            raise UnknownEncoding
        if self._gone and not uid:
            raise No("EXPUNGEISSUED", "Một số thư không còn nữa.", "Some of the messages are gone.")
        return b"Done"

    def ready(self, spans: list[range]) -> bool:
        """Whether everything asked is in memory already."""
        if self._bodies:
            return False
        if not self._fixed:
            return True
        uids = self._view.uids
        for run in _runs(spans):
            for number, some in groupby(run, lambda at: _block(uids[at])):
                page = self._pages.page(self._view.ref, self._key, number)
                if any(uids[at] not in page for at in some):
                    return False
        return True

    def pieces(self, spans: list[range]) -> Iterator[bytes]:
        """The answers in pieces of about `_PIECE` octets."""
        if self._bodies:
            yield from _gathered(line for run in _runs(spans) for line in self._bodies_of(run))
        elif self._fixed and sum(map(len, spans)) > KEPT:
            for span in spans:
                yield from self._pages_of(span)
        else:
            yield from _gathered(map(self._lines, _chunks(spans)))

    def _pages_of(self, span: range) -> Iterator[bytes]:
        """The answers of very many messages, whole pages where there are some."""
        at = span.start
        while at < span.stop:
            try:
                found = self._page_lines(at, span.stop)
            except Refused:  # the summaries are the truth
                log.exception("a page of mailbox %s can't be read", self._view.ref)
                found = None
            if found is None:
                end = min(at + _RUN, span.stop)
                found = end, self._lines(range(at, end))
            at, lines = found
            yield lines

    def _lines(self, run: Sequence[int]) -> bytes:
        """Answers without bodies."""
        view = self._view
        if not self._fixed:
            if self._marks == ["UID", "FLAGS"]:
                return flag_lines(view.words, view.uids, view.all_flags(), run)
            return self._written(run, b"", [])
        fixed = self._rendered(run)
        there: Sequence[int] = run
        if None in fixed:
            there = [at for at, one in zip(run, fixed, strict=True) if one is not None]
            fixed = [one for one in fixed if one is not None]
        return self._written(there, b"%b", [fixed])

    def _written(self, there: Sequence[int], template: bytes, columns: Sequence[Sequence[Any]]) -> bytes:
        """The lines of these positions; ``template`` and ``columns``: what comes behind the marks."""
        view = self._view
        words, uids, flags = view.words, view.uids, view.all_flags()
        marks: list[Iterable[Any]] = []
        for name in self._marks:
            if name == "UID":
                marks.append([uids[at] for at in there])
            elif name == "FLAGS":
                marks.append([words[flags[at]] for at in there])
            else:
                marks.append([view.modseqs(at) for at in there])
        inner = b" ".join([*[_MARK[name] for name in self._marks], *([template] if template else [])])
        numbers = [at + 1 for at in there]
        return written(b"* %d FETCH (" + inner + b")\r\n", [numbers, *marks, *columns], len(numbers))

    def _page_lines(self, at: int, stop: int) -> tuple[int, bytes] | None:
        """The answers of a whole page whose first message is at a position, and the position behind it.

        Nothing is kept of it. None when no page begins there or the mailbox lacks some of its messages.
        """
        view = self._view
        uids = view.uids
        leaf = self._leaves.leaf(uids[at])
        if leaf is None or not leaf.uids:
            return None
        end = at + len(leaf.uids)
        if end > stop or uids[at:end] != leaf.uids or not view.gone.isdisjoint(leaf.uids):
            return None
        return end, self._written(range(at, end), self._leaves.template, leaf.values)

    def _marked(self, at: int) -> bytes:
        view = self._view
        out = []
        for name in self._marks:
            if name == "UID":
                out.append(b"UID %d" % view.uids[at])
            elif name == "FLAGS":
                out.append(b"FLAGS " + view.words[view.flags(at)])
            else:
                out.append(b"MODSEQ (%d)" % view.modseqs(at))
        return b" ".join(out)

    def _rendered(self, run: Sequence[int]) -> list[bytes | None]:
        """The fixed part of each message of a run, None of those that are gone or broken."""
        uids, gone = self._view.uids, self._view.gone
        found: list[bytes | None] = []
        for number, grouped in groupby([uids[at] for at in run], _block):
            some = list(grouped)
            page = self._pages.page(self._view.ref, self._key, number)
            missing = [uid for uid in some if uid not in page and uid not in gone]
            if missing:
                page = self._pages.add(self._view.ref, self._key, number, self._render(number, missing))
            found += [None if uid in gone else page.get(uid) for uid in some]
        lacking = sum(1 for one in found if one is None)
        if lacking:
            self._gone += lacking
        return found

    def _render(self, number: int, uids: list[int]) -> dict[int, bytes]:
        """The fixed part of messages of a block (rising UIDs): from sealed pages, of those in none from summaries."""
        made: dict[int, bytes] = {}
        rest = uids
        try:
            while rest and (found := self._leaves.page(rest[0])):
                if not made and _block(next(iter(found))) == _block(next(reversed(found))) == number:
                    made = found  # as it is: the block is a page
                else:
                    made = {**made, **{uid: one for uid, one in found.items() if _block(uid) == number}}
                if rest[0] not in made:
                    break
                rest = [uid for uid in rest if uid not in made]
        except Refused:  # the summaries are the truth
            log.exception("a page of mailbox %s can't be read", self._view.ref)
        rest = [uid for uid in rest if uid not in made]
        try:
            return {**made, **self._render_each(rest)} if rest else made
        except (Refused, OSError):
            log.exception("messages of mailbox %s can't be read", self._view.ref)
            self._broken += len(rest)
        return made

    def _render_each(self, uids: list[int]) -> dict[int, bytes]:
        wanted, fixed = set(uids), self._fixed
        rows = self._view.store.listed(self._view.ref, uids[0], uids[-1], summaries=self._needs_summary)
        return {
            row.uid: b" ".join([self._fixed_item(one, row) for one in fixed])
            for row in rows
            if row.uid in wanted
        }

    def _fixed_item(self, item: Item, row: Listed) -> bytes:
        name = item.name
        if name == "INTERNALDATE":
            return b"INTERNALDATE " + strings.internaldate(row.internaldate_us)
        if name == "RFC822.SIZE":
            return b"RFC822.SIZE %d" % row.size
        if name == "EMAILID":
            return b"EMAILID (" + email_id(row.blob) + b")"
        if name == "SAVEDATE":
            saved = row.savedate_us
            return b"SAVEDATE " + (b"NIL" if saved is None else strings.internaldate(saved))
        summary = row.summary or scan(self._view.store.content(row.blob))
        if name == "ENVELOPE":
            return b"ENVELOPE " + summary.envelope
        if name == "BODYSTRUCTURE":
            return b"BODYSTRUCTURE " + summary.bodystructure
        if name == "BODY":
            return b"BODY " + summary.body
        if name == "THREADID":
            thread = thread_id(self._view.store.seal, summary)
            return b"THREADID " + (b"NIL" if thread is None else b"(" + thread + b")")
        if item.section is not None:
            found = of_kept_fields(summary, item.section)
            if found is None:
                found = extract(self._view.store.content(row.blob), summary, item.section)
            return _part(item, b"BODY[" + item.section.wire() + b"]", found)
        return b"PREVIEW " + strings.literal(summary.preview.encode())

    # --- with bodies

    def _bodies_of(self, run: range) -> Iterator[bytes]:
        view = self._view
        uids = view.uids
        for start in range(0, len(run), _READ):
            some = run[start : start + _READ]
            fixed = self._rendered(some) if self._fixed else [b""] * len(some)
            rows = {
                row.uid: row
                for row in view.store.listed(
                    view.ref, uids[some[0]], uids[some[-1]], summaries=self._needs_parts
                )
            }
            contents = view.store.contents_in(view.ref, uids[some[0]], uids[some[-1]])
            for at, known in zip(some, fixed, strict=True):
                row = rows.get(uids[at])
                if row is None or known is None or uids[at] in view.gone:
                    self._gone += row is None
                    continue
                try:
                    data = contents(row.blob)
                    yield self._whole(at, row, known, data)
                except LookupError:
                    self._gone += 1
                except (Refused, OSError):
                    log.exception("message %d of mailbox %s can't be read", row.uid, view.ref)
                    self._broken += 1

    def _whole(self, at: int, row: Listed, known: bytes, data: bytes) -> bytes:
        summary = row.summary or (scan(data) if self._needs_parts else None)
        out = [self._marked(at)] if self._marks else []
        if known:
            out.append(known)
        for one in self._bodies:
            try:
                out.append(_body(one, summary, data))
            except UnknownEncoding:
                self._unknown = True
        if row.uid in self._seen and "FLAGS" not in self._marks:
            out.append(b"FLAGS " + self._view.words[self._view.flags(at)])
        return b"* %d FETCH (%b)\r\n" % (at + 1, b" ".join(out)) if out else b""


def _block(uid: int) -> int:
    return (uid - 1) // BLOCK


def _runs(spans: list[range]) -> Iterator[range]:
    for span in spans:
        for start in range(span.start, span.stop, _RUN):
            yield range(start, min(start + _RUN, span.stop))


def _gathered(lines: Iterable[bytes]) -> Iterator[bytes]:
    out: list[bytes] = []
    size = 0
    for one in lines:
        out.append(one)
        size += len(one)
        if size >= _PIECE:
            yield b"".join(out)
            out, size = [], 0
    if out:
        yield b"".join(out)


def _chunks(spans: list[range]) -> Iterator[Sequence[int]]:
    """The positions of ``spans``, up to `_RUN` together, neighbours as ranges."""
    if len(spans) == 1:
        yield from _runs(spans)
        return
    every = chain.from_iterable(spans)
    while some := list(islice(every, _RUN)):
        yield some


def _label(item: Item) -> bytes:
    head = item.name.encode()
    if item.section is not None:
        head += item.section.wire()
    return head + (b"<%d.%d>" % (item.first, item.length) if item.first is not None else b"")


def _body(item: Item, summary: Summary | None, data: bytes) -> bytes:
    section = item.section
    if section is None:
        return item.name.encode() + b" " + strings.literal(extract(data, None, _LABELS[item.name]) or b"")
    if item.name == "BINARY.SIZE[]":
        found = decoded(data, summary, section.path)
        return b"BINARY.SIZE[%b] %d" % (section.wire(), len(found or b""))
    if item.name == "BINARY[]":
        return _part(item, b"BINARY[" + section.wire() + b"]", decoded(data, summary, section.path))
    return _part(item, b"BODY[" + section.wire() + b"]", extract(data, summary, section))


def _part(item: Item, label: bytes, found: bytes | None) -> bytes:
    if item.first is not None:
        label += b"<%d>" % item.first
        if found is not None:
            found = found[item.first : item.first + item.length]
    if found is None:
        return label + b" NIL"
    return label + b" " + (strings.literal8 if item.name == "BINARY[]" else strings.literal)(found)
