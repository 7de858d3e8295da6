# SPDX-License-Identifier: AGPL-3.0-or-later
"""One search at work: positions of a mailbox in, matching positions out, in order (RFC 9051 §6.4.4).

Keys are tried cheapest first, each on what the ones before it left: arrays, columns, header fields, and the bytes of
messages only where nothing else decides. Text is folded: ``cong van`` finds ``Công văn`` in any encoding.
"""

from __future__ import annotations

import time
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from config.clock import now_us
from config.refusal import Refused
from mailserver.message import finder, fold_line, header_text
from mailserver.search.bodies import Bodies
from mailserver.search.columns import Column, Threads, field_values
from mailserver.search.facts import Facts
from mailserver.search.keys import Key, cost
from mailserver.store import Ref, Store
from mailserver.store.identifiers import email_id, thread_id

_SECONDS = 60.0
_CHECK = 256
_DAY_US = 86_400_000_000
_ZONE_US = 7 * 3_600_000_000
_COLUMNS = {"SUBJECT": "subject", "FROM": "from", "TO": "to", "CC": "cc", "BCC": "bcc"}
_BARE = frozenset({"subject", "from", "to", "cc", "bcc"})


KEPT = frozenset({"SAVEDBEFORE", "SAVEDON", "SAVEDSINCE", "EMAILID", "THREADID"})
_KEPT_RUN = 1000


def _on_day(us: int, kind: str, day: int) -> bool:
    """Whether a moment is ``BEFORE``, ``ON`` or ``SINCE`` a day (counted from 1970 in Vietnam's zone)."""
    local = (us + _ZONE_US) // _DAY_US
    return local < day if kind == "BEFORE" else local >= day if kind == "SINCE" else local == day


class Searched(Protocol):
    """The mailbox that is searched."""

    ref: Ref

    @property
    def uids(self) -> array[int]:
        """UIDs by position."""

    def all_flags(self) -> array[int]:
        """Flag bits by position."""

    def modseqs(self, position: int) -> int:
        """The modseq at a position."""

    def keyword_bit(self, name: str) -> int | None:
        """The bit of a keyword."""


class Searches:
    """What searches of one process share."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.facts = Facts(store)
        self.bodies = Bodies(store)


class TooMuchWork(Refused):
    """The search took more time of the processor than one search may."""

    def __init__(self) -> None:
        super().__init__(
            "search-too-long",
            "Tìm kiếm quá rộng. Hãy thêm người gửi, tiêu đề hoặc khoảng ngày rồi tìm lại.",
            "This search is too wide. Please add a sender, a subject or dates and search again.",
        )


class Searcher:
    """One SEARCH, SORT or THREAD. Belongs into a thread when `keys.cost` is over 0."""

    def __init__(self, searches: Searches, mailbox: Searched) -> None:
        self._shared = searches
        self._box = mailbox
        self._uids = mailbox.uids
        self._now_us = now_us()
        self._until: float | None = None

    def match(self, key: Key, among: Sequence[int]) -> Sequence[int]:
        """The positions of ``among`` (rising) that match. Raises `TooMuchWork`."""
        if key.name == "AND":
            left = among
            for one in sorted(key.keys, key=cost):
                left = self.match(one, left) if left else left
            return left
        if key.name in ("OR", "NOT"):
            hits: set[int] = set()
            for one in sorted(key.keys, key=cost):
                hits.update(self.match(one, [at for at in among if at not in hits] if hits else among))
            return [at for at in among if (at in hits) is (key.name == "OR")]
        if key.name in KEPT:
            return self._of_kept(key, among)
        level = cost(key)
        if level == 0:
            return self._of_arrays(key, among)
        if level == 1 or key.name.startswith("SENT") or key.name == "FILES":
            return self._of_numbers(key, among)
        if level == 4:
            return self._of_bodies(key, among)
        if key.fuzzy and len(words := key.text.split()) > 1:
            parts = tuple(Key(key.name, text=one, header=key.header) for one in words[:50])
            return self.match(Key("AND", parts), among)
        name = _COLUMNS.get(key.name, key.header.lower())
        if key.name in _COLUMNS and not fold_line(key.text):
            return among  # RFC 9051: an empty string matches; only HEADER asks for the field
        if name in _BARE and fold_line(key.text):
            return self._of_texts(name, fold_line(key.text), among)
        return self._of_header(name, key.text, among)

    def ready(self, kinds: set[str]) -> bool:
        """Whether these columns are in memory."""
        return self._shared.facts.ready(self._box.ref, kinds, self._upto)

    def relevancy(self, keys: list[Key], position: int) -> int:
        """1 to 100, how well a match fits what was typed (RFC 6203 §4): with its marks, without, as loose words."""
        return self._shared.bodies.relevancy(self._box.ref, self._uids[position], keys)

    # --- arrays

    def _of_arrays(self, key: Key, among: Sequence[int]) -> Sequence[int]:
        box = self._box
        if key.name == "ALL":
            return among
        if key.name == "NONE":
            return []
        if key.set is not None:
            spans = key.set.positions(self._uids, uid=key.name == "UID")
            if isinstance(among, range) and len(among) == len(self._uids):
                return [at for span in spans for at in span]
            inside = {at for span in spans for at in span}
            return [at for at in among if at in inside]
        if key.name == "MODSEQ":
            return [at for at in among if box.modseqs(at) >= key.number]
        mask = key.number
        if key.name == "KEYWORD":
            bit = box.keyword_bit(key.text)
            mask = 1 << bit if bit is not None else 0
        flags, wanted = box.all_flags(), key.wanted
        return [at for at in among if bool(flags[at] & mask) is wanted]

    def _of_kept(self, key: Key, among: Sequence[int]) -> list[int]:
        """When a message was saved (RFC 8514 §4.3), which bytes and which thread it is (RFC 8474 §6)."""
        if not among:
            return []
        store, uids, wanted = self._shared.store, self._uids, key.text.encode()
        by_thread = key.name == "THREADID"
        found: set[int] = set()
        for start in range(0, len(among), _KEPT_RUN):
            part = among[start : start + _KEPT_RUN]
            for row in store.listed(self._box.ref, uids[part[0]], uids[part[-1]], summaries=by_thread):
                if by_thread:
                    hit = row.summary is not None and thread_id(store.seal, row.summary) == wanted
                elif key.name == "EMAILID":
                    hit = email_id(row.blob) == wanted
                else:
                    hit = row.savedate_us is not None and _on_day(row.savedate_us, key.name[5:], key.number)
                if hit:
                    found.add(row.uid)
        return [at for at in among if uids[at] in found]

    # --- columns

    def _of_numbers(self, key: Key, among: Sequence[int]) -> Sequence[int]:
        name, asked = key.name, key.number
        if name in ("LARGER", "SMALLER"):
            sizes = self.values("size")
            return [at for at in among if (sizes[at] > asked if name == "LARGER" else sizes[at] < asked)]
        if name == "FILES":
            files = self.values("files")
            return [at for at in among if files[at]]
        times = self.values("date" if name.startswith("SENT") else "arrival")
        if name in ("YOUNGER", "OLDER"):  # RFC 5032
            edge = self._now_us - asked * 1_000_000
            return [at for at in among if (times[at] >= edge if name == "YOUNGER" else times[at] <= edge)]
        day = asked * _DAY_US - _ZONE_US
        kind = name.removeprefix("SENT")
        if kind == "BEFORE":
            return [at for at in among if times[at] < day]
        if kind == "SINCE":
            return [at for at in among if times[at] >= day]
        return [at for at in among if day <= times[at] < day + _DAY_US]

    def values(self, kind: str) -> Sequence[int]:
        """A column of numbers by position."""
        column = self._shared.facts.numbers(self._box.ref, kind, self._upto)
        if _same(column.uids, self._uids):
            return column.values
        return [column.values[at] if at >= 0 else 0 for at in self._indexes(column)]

    def texts(self, kind: str) -> list[bytes]:
        """A column of texts by position, in UTF-8."""
        column = self._shared.facts.texts(self._box.ref, kind, self._upto)
        values = column.values()
        if _same(column.uids, self._uids):
            return values
        return [values[at] if at >= 0 else b"" for at in self._indexes(column)]

    def threads(self) -> tuple[Threads, list[int] | None]:
        """The thread facts, and for each position its index in them (None: the same, -1: none)."""
        column = self._shared.facts.threads(self._box.ref, self._upto)
        return column, None if _same(column.uids, self._uids) else self._indexes(column)

    @property
    def _upto(self) -> int:
        return self._uids[-1] if self._uids else 0

    def _indexes(self, column: Column) -> list[int]:
        """For each position the index in ``column``, -1 for a message that is not in it."""
        where = {uid: at for at, uid in enumerate(column.uids)}
        return [where.get(uid, -1) for uid in self._uids]

    def _of_texts(self, kind: str, wanted: str, among: Sequence[int]) -> Sequence[int]:
        column = self._shared.facts.texts(self._box.ref, kind, self._upto)
        hits: Iterable[int] = column.find(wanted.encode("utf-8", "replace"))
        if not _same(column.uids, self._uids):
            uids, found = self._uids, []
            for hit in hits:
                at = bisect_left(uids, column.uids[hit])
                if at < len(uids) and uids[at] == column.uids[hit]:
                    found.append(at)
            hits = found
        if isinstance(among, range) and len(among) == len(self._uids):
            return list(hits)
        inside = set(hits)
        return [at for at in among if at in inside]

    # --- what lies with the messages

    def _of_header(self, name: str, text: str, among: Sequence[int]) -> Sequence[int]:
        found = finder(text)
        blobs = self.values("blob")

        def test(blob: int) -> bool:
            values = self._shared.bodies.header_values(blob, name, field_values)
            return any(found(header_text(one)) for one in values)

        return self._tested(test, among, blobs)

    def _of_bodies(self, key: Key, among: Sequence[int]) -> Sequence[int]:
        blobs = self.values("blob")
        bodies = self._shared.bodies
        wanted = fold_line(key.text)
        every = isinstance(among, range) and len(among) == len(blobs)
        possible = bodies.candidates(blobs if every else [blobs[at] for at in among], wanted, fuzzy=key.fuzzy)
        left: Sequence[int] = among
        if possible is not None:
            each = enumerate(blobs) if every else ((at, blobs[at]) for at in among)
            left = [at for at, blob in each if blob in possible]
        found = bodies.holding(
            [blobs[at] for at in left], wanted, whole=key.name == "TEXT", fuzzy=key.fuzzy, check=self._check
        )
        return [at for at in left if blobs[at] in found]

    def _check(self) -> None:
        now = time.thread_time()
        if self._until is None:  # begun in the thread that does the work
            self._until = now + _SECONDS
        elif now > self._until:
            raise TooMuchWork

    def _tested(
        self, test: Callable[[int], bool], among: Sequence[int], blobs: Sequence[int]
    ) -> Sequence[int]:
        found = []
        for count, at in enumerate(among):
            if test(blobs[at]):
                found.append(at)
            if count % _CHECK == 0:
                self._check()
        return found


def _same(one: array[int], other: array[int]) -> bool:
    return len(one) == len(other) and one.tobytes() == other.tobytes()  # ten times cheaper than ==
