# SPDX-License-Identifier: AGPL-3.0-or-later
"""FETCH (RFC 9051 §6.4.5), with CHANGEDSINCE and VANISHED (RFC 7162 §3.1.4, §3.2.6) and PREVIEW (RFC 8970).

Flags come from the session's arrays, ENVELOPE and BODYSTRUCTURE as stored slices; nothing is parsed again.
Output leaves in big pieces, and the next piece is made only when the client has read enough.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

from config.refusal import Refused
from mailserver.imap.commands.select import vanished_since
from mailserver.imap.grammar import strings
from mailserver.imap.grammar.fetching import Item, Section, parse_items
from mailserver.imap.grammar.lexer import Cursor, Syntax
from mailserver.imap.replies import No
from mailserver.imap.sections import extract, is_kept, of_kept_fields
from mailserver.imap.session import Session
from mailserver.imap.view import View
from mailserver.message import Summary, scan
from mailserver.store import SEEN, Row

log = logging.getLogger("congvan.imap")

_FLAG_RUN = 1000  # messages of one piece when only flags are asked
_RUN = 200
_INLINE = 20  # so many messages are answered without a thread
_PIECE = 128 * 1024
_OF_ARRAYS = frozenset({"UID", "FLAGS", "MODSEQ"})
_OF_SUMMARY = frozenset({"ENVELOPE", "BODY", "BODYSTRUCTURE", "PREVIEW"})
_LABELS = {
    "RFC822": Section("", ""),
    "RFC822.HEADER": Section("", "HEADER"),
    "RFC822.TEXT": Section("", "TEXT"),
}


async def run(session: Session, cursor: Cursor, uid: bool = False) -> bytes:
    """Fetch items of messages."""
    cursor.space()
    wanted = cursor.sequence_set()
    cursor.space()
    items = parse_items(cursor)
    since, vanished = _modifiers(session, cursor, uid=uid)
    cursor.end()
    view = await session.loaded()
    if not uid and wanted.beyond(len(view.uids)):
        raise Syntax("There are not so many messages")
    names = {one.name for one in items}
    if uid and "UID" not in names:
        items.insert(0, Item("UID"))
    if since is not None or "MODSEQ" in names:
        session.condstore = True
        if since is not None and "MODSEQ" not in names:
            items.append(Item("MODSEQ"))
    if vanished and since is not None:
        gone = vanished_since(view, since, wanted)
        if gone:
            session.untagged(b"VANISHED (EARLIER) " + gone)
    spans = wanted.positions(view.uids, uid=uid)
    if since:  # CHANGEDSINCE 0 is no filter (Q14)
        spans = _joined(at for span in spans for at in span if view.modseqs(at) > since)
    seen = await _see(session, view, items, spans)
    job = _Fetch(view, items, seen)
    if all(one.name in _OF_ARRAYS for one in items):
        for piece in job.from_arrays(spans):
            session.write(piece)
            await session.breathe()
    else:
        pieces = job.pieces(spans)
        inline = sum(map(len, spans)) <= (_INLINE if not job.needs_content else 1)
        while True:
            made = next(pieces, None) if inline else await asyncio.to_thread(next, pieces, None)
            if made is None:
                break
            session.write(made)
            await session.breathe()
    await session.tell(expunge=False)
    return job.result(uid=uid)


def _modifiers(session: Session, cursor: Cursor, *, uid: bool) -> tuple[int | None, bool]:
    since, vanished = None, False
    if not cursor.try_space() or cursor.at_end():
        return since, vanished
    cursor.byte(b"(")
    while not cursor.try_byte(b")"):
        word = cursor.word()
        if word == "CHANGEDSINCE":
            cursor.space()
            since = cursor.number()
        elif word == "VANISHED" and uid and session.qresync:
            vanished = True
        else:
            raise Syntax(f"{word[:40]} is not a modifier of FETCH")
        cursor.try_space()
    if vanished and since is None:
        raise Syntax("VANISHED needs CHANGEDSINCE")
    return since, vanished


def _joined(positions: Iterator[int]) -> list[range]:
    spans: list[range] = []
    for at in positions:
        if spans and spans[-1].stop == at:
            spans[-1] = range(spans[-1].start, at + 1)
        else:
            spans.append(range(at, at + 1))
    return spans


async def _see(session: Session, view: View, items: list[Item], spans: list[range]) -> set[int]:
    """Set \\Seen where the items ask for it; returns the UIDs whose new flags go into the answer."""
    if view.readonly or not any(one.sees for one in items):
        return set()
    uids = view.uids
    unseen = [uids[at] for span in spans for at in span if not view.flags(at) & SEEN]
    if not unseen:
        return set()
    changed, _ = await session.services.store.set_flags(view.ref, unseen, "add", SEEN)
    await session.absorb()
    session.tell_new_only()
    told = set(changed)
    view.changed -= told
    return told


class _Fetch:
    """One FETCH at work."""

    def __init__(self, view: View, items: list[Item], seen: set[int]) -> None:
        self._view = view
        self._items = items
        self._seen = seen
        self._gone = self._broken = 0
        self._flags_asked = any(one.name == "FLAGS" for one in items)
        self._needs_summary = any(
            one.name in _OF_SUMMARY
            or (one.section is not None and (one.section.path or is_kept(one.section)))
            for one in items
        )
        self.needs_content = any(
            (one.section is not None and not is_kept(one.section)) or one.name in _LABELS for one in items
        )

    def result(self, *, uid: bool) -> bytes:
        """The words of the tagged OK. Raises `No` when messages could not be read."""
        if self._broken:
            raise No(
                "SERVERBUG",
                f"{self._broken} thư không đọc được; người quản trị cần kiểm tra dữ liệu.",
                f"{self._broken} messages can't be read; the administrator must check the data.",
            )
        if self._gone and not uid:
            raise No("EXPUNGEISSUED", "Một số thư không còn nữa.", "Some of the messages are gone.")
        return b"Done"

    def from_arrays(self, spans: list[range]) -> Iterator[bytes]:
        """Answers that the session's arrays hold."""
        view = self._view
        words, uids, flags = view.words, view.uids, view.all_flags()
        names = [one.name for one in self._items]
        for span in spans:
            for start in range(span.start, span.stop, _FLAG_RUN):
                run = range(start, min(start + _FLAG_RUN, span.stop))
                if names == ["UID", "FLAGS"]:
                    yield b"".join(
                        [
                            b"* %d FETCH (UID %d FLAGS %b)\r\n" % (at + 1, uids[at], words(flags[at]))
                            for at in run
                        ]
                    )
                elif names == ["UID"]:
                    yield b"".join([b"* %d FETCH (UID %d)\r\n" % (at + 1, uids[at]) for at in run])
                else:
                    yield b"".join([self._from_arrays(names, at) for at in run])

    def _from_arrays(self, names: list[str], at: int) -> bytes:
        return b"* %d FETCH (%b)\r\n" % (at + 1, b" ".join([self._of_position(name, at) for name in names]))

    def _of_position(self, name: str, at: int) -> bytes:
        view = self._view
        if name == "UID":
            return b"UID %d" % view.uids[at]
        if name == "FLAGS":
            return b"FLAGS " + view.words(view.flags(at))
        return b"MODSEQ (%d)" % view.modseqs(at)

    def pieces(self, spans: list[range]) -> Iterator[bytes]:
        """Answers that need rows, summaries or bytes, in pieces of about `_PIECE` octets."""
        out: list[bytes] = []
        size = 0
        store = self._view.store
        for span in spans:
            for start in range(span.start, span.stop, _RUN):
                run = range(start, min(start + _RUN, span.stop))
                rows = self._view.rows(run)
                self._gone += len(run) - len(rows)
                summaries = store.summaries([row.blob for row in rows]) if self._needs_summary else {}
                for row in rows:
                    line = self._message(row, summaries)
                    out.append(line)
                    size += len(line)
                    if size >= _PIECE:
                        yield b"".join(out)
                        out, size = [], 0
        if out:
            yield b"".join(out)

    def _message(self, row: Row, summaries: dict[int, Summary]) -> bytes:
        try:
            return self._whole(row, summaries)
        except LookupError:
            self._gone += 1
            return b""
        except (Refused, OSError):
            log.exception("message %d of mailbox %s can't be read", row.uid, self._view.ref)
            self._broken += 1
            return b""

    def _whole(self, row: Row, summaries: dict[int, Summary]) -> bytes:
        at = self._view.position(row.uid)
        if at is None:
            return b""
        data = self._view.store.content(row.blob) if self.needs_content else b""
        summary = summaries.get(row.blob)
        if summary is None and self._needs_summary:
            summary = scan(data or self._view.store.content(row.blob))
        out = [self._item(one, at, row, summary, data) for one in self._items]
        if row.uid in self._seen and not self._flags_asked:
            out.append(self._of_position("FLAGS", at))
        return b"* %d FETCH (%b)\r\n" % (at + 1, b" ".join(out))

    def _item(self, item: Item, at: int, row: Row, summary: Summary | None, data: bytes) -> bytes:
        name = item.name
        if name in _OF_ARRAYS:
            return self._of_position(name, at)
        if name == "INTERNALDATE":
            return b"INTERNALDATE " + strings.internaldate(row.internaldate_us)
        if name == "RFC822.SIZE":
            return b"RFC822.SIZE %d" % row.size
        if item.section is not None:
            return self._section(item, item.section, summary, data, row.blob)
        if name in _LABELS:
            return name.encode() + b" " + strings.literal(extract(data, None, _LABELS[name]) or b"")
        return self._of_summary(name, summary)

    def _of_summary(self, name: str, summary: Summary | None) -> bytes:
        if summary is None:
            return name.encode() + b" NIL"
        if name == "ENVELOPE":
            return b"ENVELOPE " + summary.envelope
        if name == "BODYSTRUCTURE":
            return b"BODYSTRUCTURE " + summary.bodystructure
        if name == "BODY":
            return b"BODY " + summary.body
        return b"PREVIEW " + strings.literal(summary.preview.encode())

    def _section(
        self, item: Item, section: Section, summary: Summary | None, data: bytes, blob: int
    ) -> bytes:
        found = of_kept_fields(summary, section) if summary is not None and not data else None
        if found is None:
            found = extract(data or self._view.store.content(blob), summary, section)
        label = b"BODY[" + section.wire() + b"]"
        if item.first is not None:
            label += b"<%d>" % item.first
            if found is not None:
                found = found[item.first : item.first + item.length]
        return label + b" NIL" if found is None else label + b" " + strings.literal(found)
