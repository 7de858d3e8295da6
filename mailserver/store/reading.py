# SPDX-License-Identifier: AGPL-3.0-or-later
"""What IMAP and the pages read from the store, at once and from any thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from config.database import Database
from config.seal import Seal, SealBroken
from mailserver.accounts.model import AccountRef
from mailserver.message import Summary
from mailserver.store import blobs, changelog, grants, listing, mailboxes, quota
from mailserver.store.grants import Grant
from mailserver.store.kept_columns import KeptColumns
from mailserver.store.listing import Columns, Listed
from mailserver.store.model import Change, Mailbox, Ref, Row
from mailserver.store.quota import Limits, Quota
from mailserver.store.storage import BlobStorage, StorageUnavailable

_LOOKS = 3


class Reading:
    """The reads of a `mailserver.store.store.Store`."""

    def __init__(
        self, database: Database, seal: Seal, segments: BlobStorage, limits: Limits | None = None
    ) -> None:
        self.limits = limits or Limits()
        self.database = database
        self.seal = seal
        self.segments = segments
        self._columns = KeptColumns()

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
