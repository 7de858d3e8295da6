# SPDX-License-Identifier: AGPL-3.0-or-later
"""What one session believes of its selected mailbox, and what it has still to be told.

Sequence numbers are positions in ``uids``; they change only when `expunge` takes the gone ones out, which
the session does only where RFC 9051 §7.5.1 lets EXPUNGE be sent. The arrays are read on first use: SELECT
and IDLE of a mailbox nobody looks into cost counters only. No store is written here.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from mailserver.imap.flags import FlagWords
from mailserver.imap.grammar.sequences import SequenceSet
from mailserver.store import SEEN, Change, Mailbox, Ref, Row, Store
from mailserver.store.flag_ranges import change
from mailserver.store.flagging import Flagged, Foreseen
from mailserver.store.listing import Columns
from mailserver.store.model import flagged

_SPLIT = 64
_FEW_KINDS = 16
FEW = 200
"""So many rows are read without a thread (about 0.5 ms)."""


class View:
    """The selected mailbox of one session. ``exists`` counts what the client was told of or will be next."""

    def __init__(self, store: Store, mailbox: Mailbox, name: str, rights: str, *, readonly: bool) -> None:
        self.store = store
        self.ref: Ref = mailbox.ref
        self.name = name
        self.owner = mailbox.owner
        self.rights = rights
        self.readonly = readonly
        self.uidvalidity = mailbox.uidvalidity
        self.modseq = mailbox.highestmodseq
        self.words = FlagWords(mailbox.keywords)
        self.exists = mailbox.exists
        self.told = mailbox.exists
        self._uidnext = mailbox.uidnext
        self._loaded = False
        self._uids: array[int] = array("I")
        self._flags: array[int] = array("q")
        self._modseqs: array[int] = array("q")
        self.gone: set[int] = set()
        self.changed: set[int] = set()  # UIDs whose flags the client has to be told
        self.new_words = False
        self.saved = SequenceSet((), saved=True)
        """The result that SEARCH RETURN (SAVE) kept last, as UIDs (RFC 5182)."""

    @property
    def is_heavy(self) -> bool:
        """Whether the next look may read many rows: then it belongs into a thread."""
        return not self._loaded and self.exists > FEW

    # --- what is there

    @property
    def uids(self) -> array[int]:
        """UIDs by position, gone ones included until `expunge`."""
        self.load()
        return self._uids

    def flags(self, position: int) -> int:
        """The flag bits at a position."""
        return self._flags[position]

    def modseqs(self, position: int) -> int:
        """The modseq at a position."""
        return self._modseqs[position]

    def all_flags(self) -> array[int]:
        """Flag bits by position."""
        self.load()
        return self._flags

    def keyword_bit(self, name: str) -> int | None:
        """The bit of a keyword in any case, None when the mailbox does not have it."""
        return self.words.bit(name)

    def position(self, uid: int) -> int | None:
        """The position of a UID."""
        at = bisect_left(self._uids, uid)
        return at if at < len(self._uids) and self._uids[at] == uid else None

    def rows(self, positions: range) -> list[Row]:
        """The rows there still are at a run of positions."""
        if not positions:
            return []
        uids = self._uids
        found = self.store.rows(self.ref, uids[positions[0]], uids[positions[-1]])
        if len(found) == len(positions) and not self.gone:
            return found
        return [row for row in found if self.position(row.uid) is not None]

    # --- following the store

    def load(self) -> None:
        """Read the arrays as they were when the mailbox was selected; changes since then become news."""
        if self._loaded:
            return
        opened = self.store.opened(self.ref)
        changes = self.store.changes(self.ref, self.modseq)
        columns = opened[1] if opened else Columns(array("I"), array("q"), array("q"))
        if changes:
            found = {row[0]: row for row in zip(*columns, strict=True) if row[0] < self._uidnext}
            for one in changes:
                if one.kind == "expunged":
                    for uid in range(one.first_uid, min(one.last_uid + 1, self._uidnext)):
                        found.setdefault(uid, (uid, 0, 0))
            # What changed since counts as unknown, so that taking in the changes tells of it.
            known = ((row[0], row[1], row[2] if row[2] <= self.modseq else 0) for row in found.values())
            rows = sorted(known)
            columns = Columns(*(array(kind, [row[at] for row in rows]) for at, kind in enumerate("Iqq")))
        self._uids, self._flags, self._modseqs = columns
        self.exists = len(self._uids)
        self._loaded = True
        if opened is not None:
            self._know(opened[0].keywords)
        if changes:
            self._take(changes)
            self.modseq = changes[-1].modseq

    def pending(self) -> list[Change]:
        """What happened since, not yet taken in."""
        return self.store.changes(self.ref, self.modseq)

    def weight(self, changes: list[Change]) -> int:
        """How many rows taking these in may read."""
        if not self._loaded and any(one.kind != "new" for one in changes):
            return self.exists
        return sum(one.last_uid - one.first_uid + 1 for one in changes) if self._loaded else 0

    def take(self, changes: list[Change]) -> None:
        """Take in what `pending` gave."""
        if not self._loaded:
            if any(one.kind != "new" for one in changes):
                self.load()
                return
            self.exists += sum(one.last_uid - one.first_uid + 1 for one in changes)
            self._uidnext = max(one.last_uid for one in changes) + 1
        else:
            self._take(changes)
        self.modseq = max(self.modseq, changes[-1].modseq)

    def _take(self, changes: list[Change]) -> None:
        known = self._uids[-1] if self._uids else 0
        new = [one.first_uid for one in changes if one.kind == "new" and one.last_uid > known]
        if new:
            for uid, flags, modseq in self.store.marks(self.ref, max(min(new), known + 1)):
                self._uids.append(uid)
                self._flags.append(flags)
                self._modseqs.append(modseq)
                self._check_words(flags)
        for first, last in _joined(one for one in changes if one.kind == "flags"):
            self._update(self.store.marks(self.ref, first, last))
        for one in changes:
            if one.kind == "expunged":
                low, high = bisect_left(self._uids, one.first_uid), bisect_right(self._uids, one.last_uid)
                self.gone.update(self._uids[low:high])
        self.exists = len(self._uids)

    def _update(self, rows: list[tuple[int, int, int]]) -> None:
        uids, known, modseqs, changed = self._uids, self._flags, self._modseqs, self.changed
        at = bisect_left(uids, rows[0][0]) if rows else 0
        seen = 0
        for uid, flags, modseq in rows:  # both rise, so one walk finds every position
            while at < len(uids) and uids[at] < uid:
                at += 1
            if at == len(uids):
                break
            if uids[at] == uid and (modseqs[at] != modseq or known[at] != flags):
                known[at], modseqs[at] = flags, modseq
                changed.add(uid)
                seen |= flags
        self._check_words(seen)

    def _check_words(self, mask: int) -> None:
        if not self.words.knows(mask):
            mailbox = self.store.mailbox(self.ref)
            if mailbox is not None:
                self._know(mailbox.keywords)

    def _know(self, keywords: dict[int, str]) -> None:
        if keywords != self.words.keywords:
            self.words = FlagWords(keywords)
            self.new_words = True

    def learn_keyword(self, bit: int, name: str) -> None:
        """A keyword this session has just made."""
        self._know({**self.words.keywords, bit: name})

    def foresee(self, positions: Sequence[int], how: str, mask: int) -> tuple[Sequence[int], Foreseen]:
        """What a change of flags at rising positions does: (positions that change, the same for the store)."""
        flags, uids = self._flags, self._uids
        run = neighbours(positions)
        if run is not None and len(kinds := set(flags[run.start : run.stop])) <= _FEW_KINDS:
            new = {one: flagged(one, how, mask) for one in kinds}
            if all(
                new[one] != one for one in kinds
            ):  # as mostly when thousands are named: all of them change
                here, unseen = flags[run.start : run.stop], 0
                for one in kinds:
                    if one & SEEN != new[one] & SEEN:
                        unseen += here.count(one) * (1 if one & SEEN else -1)
                return run, Foreseen(self.modseq, uids[run.start : run.stop], unseen)
        changing: list[int]
        if how == "add":
            changing = [at for at in positions if flags[at] & mask != mask]
        elif how == "remove":
            changing = [at for at in positions if flags[at] & mask]
        else:
            changing = [at for at in positions if flags[at] != mask]
        unseen = 0
        if mask & SEEN or how == "replace":
            before = sum(1 for at in changing if not flags[at] & SEEN)
            after = sum(1 for at in changing if not flagged(flags[at], how, mask) & SEEN)
            unseen = after - before
        return changing, Foreseen(self.modseq, [uids[at] for at in changing], unseen)

    def flagged(self, changed: Sequence[int], how: str, mask: int, done: Flagged) -> bool:
        """Take in a change that was foreseen at these positions; False when others were faster: then `pending` tells."""
        if not done.foreseen:
            return False
        flags, modseqs = self._flags, self._modseqs
        if isinstance(changed, range):
            here = slice(changed.start, changed.stop)
            change(flags, modseqs, here, how, mask, done.modseq)
            self.modseq = done.modseq
            return True
        for at in changed:
            flags[at] = flagged(flags[at], how, mask)
            modseqs[at] = done.modseq
        if changed:
            self.modseq = done.modseq
        return True

    def expunge(self) -> tuple[list[int], list[int]]:
        """Take the gone messages out; returns (sequence numbers as EXPUNGE names them in turn, their UIDs)."""
        uids = sorted(self.gone)
        positions = [at for uid in uids if (at := self.position(uid)) is not None]
        self.changed -= self.gone
        self.gone = set()
        if len(positions) <= _SPLIT:
            for at in reversed(positions):
                del self._uids[at], self._flags[at], self._modseqs[at]
        else:
            out = set(positions)
            keep = [at for at in range(len(self._uids)) if at not in out]
            self._uids = array("I", [self._uids[at] for at in keep])
            self._flags = array("q", [self._flags[at] for at in keep])
            self._modseqs = array("q", [self._modseqs[at] for at in keep])
        self.exists = len(self._uids)
        return [at + 1 for at in reversed(positions)], uids


def neighbours(positions: Sequence[int]) -> range | None:
    """Rising positions as one range, when they are neighbours."""
    if positions and positions[-1] - positions[0] == len(positions) - 1:
        return range(positions[0], positions[-1] + 1)
    return None


def positions_of(view: View, wanted: SequenceSet, *, uid: bool) -> Sequence[int]:
    """The positions of the messages that a set names, gone ones included; neighbours as a range."""
    spans = wanted.positions(view.uids, uid=uid)
    return spans[0] if len(spans) == 1 else [at for span in spans for at in span]


def uids_of(view: View, wanted: SequenceSet, *, uid: bool) -> list[int]:
    """The UIDs of the messages that a set names, gone ones included."""
    uids = view.uids
    return [one for span in wanted.positions(uids, uid=uid) for one in uids[span.start : span.stop]]


def _joined(changes: Iterable[Change]) -> list[tuple[int, int]]:
    """UID ranges, sorted, overlapping and neighbouring ones joined."""
    found: list[tuple[int, int]] = []
    for first, last in sorted((one.first_uid, one.last_uid) for one in changes):
        if found and first <= found[-1][1] + _SPLIT:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found
