# SPDX-License-Identifier: AGPL-3.0-or-later
"""The store as IMAP and the pages use it: reads at once (`reading`), writes awaited, wake-ups after the commit."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Sequence
from typing import TypeVar

import sqlalchemy as sa

from config.database import Database
from config.seal import Seal
from config.wake import Wake
from config.writer import after_commit, after_commit_together
from mailserver.accounts.model import AccountRef
from mailserver.store import (
    blobs,
    flag_ranges,
    flagging,
    grants,
    lessons,
    mailboxes,
    messages,
    moving,
    quota,
)
from mailserver.store.flagging import Flagged, Foreseen
from mailserver.store.model import DELETED, Mailbox, Ref
from mailserver.store.quota import Limits
from mailserver.store.reading import Reading
from mailserver.store.storage import BlobStorage
from policy.ledger.entries import record

T = TypeVar("T")


class Store(Reading):
    """One installation's mail. Reads may be called from any thread, writes from an event loop."""

    def __init__(
        self, database: Database, seal: Seal, segments: BlobStorage, wake: Wake, limits: Limits | None = None
    ) -> None:
        super().__init__(database, seal, segments, limits)
        self.wake = wake
        database.ahead.append(segments.begin_flush)
        database.before_commit.append(segments.flush)

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
