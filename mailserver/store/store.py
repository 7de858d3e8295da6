# SPDX-License-Identifier: AGPL-3.0-or-later
"""The store as IMAP and the pages use it: reads at once, writes awaited, wake-ups after the commit."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import sqlalchemy as sa

from config.database import Database, after_commit, after_commit_together
from config.seal import Seal, SealBroken
from config.wake import Wake
from mailserver.accounts.model import AccountRef
from mailserver.message import Summary
from mailserver.store import (
    blobs,
    changelog,
    flag_ranges,
    flagging,
    grants,
    lessons,
    listing,
    mailboxes,
    messages,
    moving,
    quota,
)
from mailserver.store.flagging import Flagged, Foreseen
from mailserver.store.grants import Grant
from mailserver.store.kept_columns import KeptColumns
from mailserver.store.listing import Columns, Listed
from mailserver.store.model import DELETED, Change, Mailbox, Ref, Row
from mailserver.store.quota import Limits, Quota
from mailserver.store.storage import BlobStorage, StorageUnavailable
from policy.ledger.entries import record

T = TypeVar("T")
_LOOKS = 3


class Store:
    """One installation's mail. Reads may be called from any thread, writes from an event loop."""

    def __init__(
        self, database: Database, seal: Seal, segments: BlobStorage, wake: Wake, limits: Limits | None = None
    ) -> None:
        self.limits = limits or Limits()
        self.database = database
        self.seal = seal
        self.segments = segments
        self.wake = wake
        self._columns = KeptColumns()
        database.ahead.append(segments.begin_flush)
        database.before_commit.append(segments.flush)

    # --- reads

    def mailboxes(self, owner: AccountRef) -> list[Mailbox]:
        """All mailboxes of an account, INBOX first."""
        with self.database.reading() as conn:
            return mailboxes.of_owner(conn, self.seal, owner)

    def mailbox(self, ref: Ref) -> Mailbox | None:
        """The mailbox with its counters now."""
        with self.database.reading() as conn:
            return mailboxes.get(conn, self.seal, ref)

    def modseqs(self, refs: Iterable[Ref]) -> dict[Ref, int]:
        """The highest modseqs of several mailboxes; those that are gone are left out."""
        with self.database.reading() as conn:
            return mailboxes.modseqs(conn, refs)

    def find(self, owner: AccountRef, name: str) -> Ref | None:
        """The mailbox of ``owner`` with this name."""
        with self.database.reading() as conn:
            return mailboxes.find(conn, self.seal, owner, name)

    def find_use(self, owner: AccountRef, use: str) -> Ref | None:
        """The mailbox of ``owner`` with this special use (``\\Sent``)."""
        with self.database.reading() as conn:
            return mailboxes.find_use(conn, owner, use)

    def uid_map(self, ref: Ref) -> list[Row]:
        """All rows of a mailbox, by UID."""
        with self.database.reading() as conn:
            return listing.rows(conn, ref)

    def opened(self, ref: Ref) -> tuple[Mailbox, Columns] | None:
        """A mailbox with its counters, and UID, flags, modseq of all its messages, from one snapshot."""
        with self.database.reading() as conn:
            conn.begin()  # one snapshot for both
            found = mailboxes.get(conn, self.seal, ref)
            return None if found is None else (found, self._columns.of(conn, found))

    def rows(self, ref: Ref, first: int = 1, last: int | None = None, limit: int | None = None) -> list[Row]:
        """Rows of a mailbox with UIDs in a closed range, the first ``limit`` of them."""
        with self.database.reading() as conn:
            return listing.rows(conn, ref, first, last, limit)

    def newest(self, ref: Ref, count: int, before: int | None = None) -> list[Row]:
        """The last ``count`` rows, newest first."""
        with self.database.reading() as conn:
            return listing.newest(conn, ref, count, before)

    def count_flagged(self, ref: Ref, mask: int) -> int:
        """How many messages of a mailbox have a flag of ``mask``; counted row by row."""
        with self.database.reading() as conn:
            return listing.count_flagged(conn, ref, mask)

    def changes(self, ref: Ref, since: int) -> list[Change]:
        """What happened in the mailbox after modseq ``since``."""
        with self.database.reading() as conn:
            return changelog.changes(conn, ref, since)

    def listed(self, ref: Ref, first: int, last: int, *, summaries: bool) -> list[Listed]:
        """The messages with UIDs in a closed range, with their summaries when asked."""
        with self.database.reading() as conn:
            return list(listing.listed(conn, self.seal, ref, first, last, summaries=summaries))

    def marks(self, ref: Ref, first: int = 1, last: int = 2**32) -> list[tuple[int, int, int]]:
        """(UID, flags, modseq) of the messages with UIDs in a closed range."""
        with self.database.reading() as conn:
            return listing.marks(conn, ref, first, last)

    def summary(self, blob: int) -> Summary:
        """The stored summary of a message. Raises `LookupError`."""
        return self.summaries([blob])[blob]

    def summaries(self, wanted: Iterable[int]) -> dict[int, Summary]:
        """Stored summaries by blob; missing ones are left out."""
        with self.database.reading() as conn:
            return blobs.summaries(conn, self.seal, list(wanted))

    def verdict(self, blob: int) -> bytes | None:
        """What the door found out about a message, as it was packed; None when nothing was asked."""
        with self.database.reading() as conn:
            return blobs.verdict(conn, self.seal, blob)

    def content(self, blob: int) -> bytes:
        """The message's bytes as they came. Raises `LookupError`, `SealBroken`, `StorageUnavailable`."""
        for _ in range(_LOOKS):
            with self.database.reading() as conn:
                try:
                    return blobs.content(conn, self.segments, self.seal, blob)
                except FileNotFoundError:
                    continue  # compaction moved it after the row was read: the row knows by now
                except OSError as problem:
                    raise StorageUnavailable from problem
        raise SealBroken

    def quota(self, owner: AccountRef) -> Quota:
        """Use and limits of an account, for QUOTA and the pages."""
        with self.database.reading() as conn:
            return quota.of(conn, owner, self.limits)

    def agency_quota(self, number: int) -> Quota:
        """Use and limit of a whole agency."""
        with self.database.reading() as conn:
            return quota.of_agency(conn, number, self.limits)

    def grants(self, ref: Ref) -> dict[AccountRef, str]:
        """The rights of others in a mailbox."""
        with self.database.reading() as conn:
            return grants.of(conn, ref)

    def granted_to(self, who: AccountRef) -> list[Grant]:
        """What others let an account use."""
        with self.database.reading() as conn:
            return grants.to(conn, who)

    def contents(self, wanted: Iterable[int]) -> Callable[[int], bytes]:
        """The places of several blobs looked up at once; the function reads one. It raises as `content`.

        Neighbours are read together when they are asked for in this order.
        """
        with self.database.reading() as conn:
            return self._reader(blobs.places(conn, list(wanted)))

    def contents_in(self, ref: Ref, first: int, last: int) -> Callable[[int], bytes]:
        """`contents` of the messages of a mailbox with UIDs in a closed range."""
        with self.database.reading() as conn:
            return self._reader(blobs.places_in(conn, ref, first, last))

    def _reader(self, places: list[blobs.Place]) -> Callable[[int], bytes]:
        reader = blobs.Reader(self.segments, self.seal, places)

        def read(blob: int) -> bytes:
            try:
                return reader.read(blob)
            except (LookupError, FileNotFoundError):
                return self.content(blob)  # compaction moved it meanwhile

        return read

    # --- writes

    async def append(self, ref: Ref, data: bytes, flags: int, internaldate_us: int) -> int:
        """Put a message into one mailbox; returns its UID once it is durable."""
        prepared = await asyncio.to_thread(blobs.prepare, self.seal, data)
        if self.segments.is_remote:
            await asyncio.to_thread(self._look_for_room, ref, prepared.size)
            prepared = await blobs.staged(self.segments, prepared)

        def job(conn: sa.Connection) -> int:
            quota.require_in(conn, ref, prepared.size, self.limits)
            place = messages.must_take(conn, ref, flags, prepared.size)
            blob = blobs.put(conn, self.segments, prepared, 1)
            messages.fill(conn, [(place, messages.Put(ref, blob, flags, internaldate_us, prepared.size))])
            self.woken(conn, ref)
            return place.uid

        return await self.database.commit(job)

    def _look_for_room(self, ref: Ref, adding: int) -> None:
        """Raises `quota.OverQuota` before bytes go to a bucket that the transaction would refuse."""
        with self.database.reading() as conn:
            quota.require_in(conn, ref, adding, self.limits)

    async def append_many(self, ref: Ref, wanted: Sequence[tuple[bytes, int, int]]) -> list[int]:
        """Put messages (bytes, flags, µs) into a mailbox, all or none (RFC 3502 §6.3.11); returns their UIDs."""
        prepared = [
            (await asyncio.to_thread(blobs.prepare, self.seal, data), flags, moment)
            for data, flags, moment in wanted
        ]

        def job(conn: sa.Connection) -> list[int]:
            quota.require_in(conn, ref, sum(one.size for one, _, _ in prepared), self.limits)
            taken = [messages.must_take(conn, ref, flags, one.size) for one, flags, _ in prepared]
            new = [
                (place, messages.Put(ref, blobs.put(conn, self.segments, one, 1), flags, moment, one.size))
                for place, (one, flags, moment) in zip(taken, prepared, strict=True)
            ]
            messages.fill(conn, new)
            self.woken(conn, ref)
            return [place.uid for place in taken]

        return await self.database.commit(job)

    async def set_flags(
        self, ref: Ref, uids: Sequence[int], how: str, mask: int, unchanged_since: int | None = None
    ) -> tuple[list[int], list[int]]:
        """``how``: ``add``, ``remove`` or ``replace``. Returns (changed, refused) UIDs."""
        changed: list[int] = []
        refused: list[int] = []
        for part in _slices(uids, flagging.SLICE):

            def job(conn: sa.Connection, part: Sequence[int] = part) -> Flagged:
                self.woken(conn, ref)
                return flagging.set_flags(conn, ref, part, how, mask, unchanged_since)

            done = await self.database.commit(job)
            changed += done.changed
            refused += done.refused
        return changed, refused

    async def flag(self, ref: Ref, uids: Sequence[int], how: str, mask: int, foreseen: Foreseen) -> Flagged:
        """`set_flags` of at most `flagging.AT_ONCE` messages by one who knows them."""

        def job(conn: sa.Connection) -> Flagged:
            done = flagging.set_flags(conn, ref, uids, how, mask, None, foreseen)
            if done.modseq:
                self.woken(conn, ref)
            return done

        return await self.database.commit(job)

    async def copy(self, source: Ref, uids: Sequence[int], target: Ref) -> list[tuple[int, int]]:
        """Copy; pairs of (source UID, new UID). Raises `quota.OverQuota` before anything is copied."""
        pairs: list[tuple[int, int]] = []
        for part in _slices(uids):

            def job(
                conn: sa.Connection, part: Sequence[int] = part, begins: bool = not pairs
            ) -> list[tuple[int, int]]:
                if begins:
                    adding = functools.partial(moving.size, conn, source, uids)
                    quota.require_between(conn, source, target, adding, self.limits, moved=False)
                self.woken(conn, target)
                done = moving.copy(conn, source, part, target)
                self._taught(conn, source, target, done)
                return done

            pairs += await self.database.commit(job)
        return pairs

    async def move(self, source: Ref, uids: Sequence[int], target: Ref) -> list[tuple[int, int]]:
        """Move; pairs of (source UID, new UID). Raises `quota.OverQuota` before anything is moved."""
        pairs: list[tuple[int, int]] = []
        for part in _slices(uids):

            def job(
                conn: sa.Connection, part: Sequence[int] = part, begins: bool = not pairs
            ) -> list[tuple[int, int]]:
                if begins:
                    adding = functools.partial(moving.size, conn, source, uids)
                    quota.require_between(conn, source, target, adding, self.limits, moved=True)
                self.woken(conn, source, target)
                done = moving.move(conn, source, part, target)
                self._taught(conn, source, target, done)
                return done

            pairs += await self.database.commit(job)
        return pairs

    async def expunge(self, ref: Ref, uids: Sequence[int] | None = None) -> list[int]:
        """Remove messages flagged \\Deleted (all, or of ``uids``); returns their UIDs."""

        def job(conn: sa.Connection, part: Sequence[int] | None) -> list[int]:
            self.woken(conn, ref)
            return moving.expunge(conn, ref, part)

        gone: list[int] = []
        if uids is not None:
            for part in _slices(uids):
                gone += await self._write(functools.partial(job, part=part))
            return gone
        while await self._write(lambda conn: flag_ranges.settle_next(conn, ref)):
            pass
        while True:
            done = await self._write(functools.partial(job, part=None))
            gone += done
            if len(done) < moving.SLICE:
                return gone

    async def discard(self, ref: Ref, uids: Sequence[int]) -> list[int]:
        """Flag \\Deleted and expunge, for the pages' "delete for good"."""
        await self.set_flags(ref, uids, "add", DELETED)
        return await self.expunge(ref, uids)

    async def create(self, owner: AccountRef, name: str, use: str | None = None) -> Ref:
        """Make a mailbox."""
        return await self._write(lambda conn: mailboxes.create(conn, self.seal, owner, name, use))

    async def create_below(self, parent: Mailbox, name: str) -> Ref:
        """Make a mailbox below another one, shared with the same people."""

        def job(conn: sa.Connection) -> Ref:
            ref = mailboxes.create(conn, self.seal, parent.owner, name)
            grants.inherit(conn, parent, ref)
            return ref

        return await self._write(job)

    async def grant(self, mailbox: Mailbox, to: AccountRef, rights: str, by: str, name: str) -> None:
        """Give ``to`` exactly these rights; ``by`` and ``name`` are the addresses for the ledger."""

        def job(conn: sa.Connection) -> None:
            mailboxes.lock(conn, mailbox.ref)
            grants.put(conn, mailbox.ref, to, rights)
            record(conn, self.seal, "mailbox.shared", name, {"by": by, "rights": rights})
            self.woken(conn, mailbox.ref)

        await self._write(job)

    async def delete(self, ref: Ref) -> None:
        """Remove a mailbox; what is in it goes to the vault."""

        def job(conn: sa.Connection) -> None:
            mailboxes.bury(conn, self.seal, ref)
            self.woken(conn, ref)

        await self._write(job)
        while await self._write(lambda conn: moving.clear(conn, ref)) == moving.SLICE:
            pass

    async def rename(self, ref: Ref, owner: AccountRef, name: str) -> None:
        """Give a mailbox another name."""
        await self._write(lambda conn: mailboxes.rename(conn, self.seal, ref, owner, name))

    async def subscribe(self, ref: Ref, wanted: bool) -> None:
        """Set whether LSUB shows it."""
        await self._write(lambda conn: mailboxes.subscribe(conn, ref, wanted))

    async def keyword(self, ref: Ref, name: str) -> int:
        """The bit (a power of two's exponent) of a keyword in this mailbox, made when new."""
        return await self._write(lambda conn: mailboxes.add_keyword(conn, self.seal, ref, name))

    def woken(self, conn: sa.Connection, *refs: Ref) -> None:
        """Wake whoever watches these mailboxes, once the transaction is durable."""
        after_commit_together(conn, _Woken, lambda: _Woken(self.wake)).refs.update(dict.fromkeys(refs))

    def _taught(self, conn: sa.Connection, source: Ref, target: Ref, pairs: list[tuple[int, int]]) -> None:
        if lessons.note(conn, source, target, [new for _, new in pairs]):
            after_commit(conn, lambda: self.wake.publish("lesson"))

    async def _write(self, job: Callable[[sa.Connection], T]) -> T:
        return await self.database.commit(job)


class _Woken:
    """The mailboxes that a commit changed, told in one wake-up."""

    def __init__(self, wake: Wake) -> None:
        self._wake = wake
        self.refs: dict[Ref, None] = {}

    def __call__(self) -> None:
        self._wake.publish("mailbox", *(f"{ref.agency}.{ref.mailbox}" for ref in self.refs))


def _slices(uids: Sequence[int], size: int = moving.SLICE) -> list[Sequence[int]]:
    return [uids[start : start + size] for start in range(0, len(uids), size)]
