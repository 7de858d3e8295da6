# SPDX-License-Identifier: AGPL-3.0-or-later
"""The walk: folder by folder, page by page, each page one transaction with the step of its cursor.

Killed at any point it goes on where it was: a page and its cursor are there together or not at all.
What was stored is read back and compared with what came.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from config.refusal import Refused
from config.statement import insert
from mailserver.accounts import Account
from mailserver.importing import schema
from mailserver.importing.report import FolderReport, Report
from mailserver.importing.source import Folder, Message, Source
from mailserver.store import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN, Ref, Store, blobs, mailboxes, messages
from mailserver.store.schema import blob as blob_table
from mailserver.store.schema import message as message_table
from policy.ledger.entries import record

_SYSTEM = {
    "\\seen": SEEN,
    "\\answered": ANSWERED,
    "\\flagged": FLAGGED,
    "\\deleted": DELETED,
    "\\draft": DRAFT,
}
_LONGEST_KEYWORD = 64
_ADD_CURSOR = insert(schema.imported)


@dataclass(slots=True)
class _Cursor:
    last_uid: int
    copied: int
    present: int
    refused: int


async def bring_in(
    source: Source,
    to: Account,
    store: Store,
    *,
    by: str,
    progress: Callable[[FolderReport], None] = lambda _: None,
) -> Report:
    """Copy every folder of ``source`` into the mailboxes of ``to``; ``by`` is who asked for it.

    Raises `Refused` or `Unavailable` when the source or the store fails; what was copied stays, and the
    next call goes on from there.
    """
    began = time.monotonic()
    report = Report()
    for folder in await source.folders():
        one = await _Copying(source, folder, to, store, progress).run()
        report.folders.append(one)
        detail = {"by": by, "source": source.key, "copied": one.copied_now, "refused": one.refused}
        if one.copied_now or one.refused:
            await store.database.commit(
                lambda conn, detail=detail: record(  # type: ignore[misc]
                    conn, store.seal, "mail.imported", to.address, detail
                )
            )
    report.seconds = time.monotonic() - began
    return report


class _Copying:
    def __init__(
        self,
        source: Source,
        folder: Folder,
        to: Account,
        store: Store,
        progress: Callable[[FolderReport], None],
    ) -> None:
        self._source, self._folder, self._to, self._store = source, folder, to, store
        self._progress = progress
        named = f"{source.key}|{folder.path}".encode()
        self._digest = store.seal.digest("imported", named)
        self._known: set[bytes] | None = None

    async def run(self) -> FolderReport:
        """Copy the folder from where it was left."""
        ref, name = await self._store.database.commit(self._target)
        report = FolderReport(self._folder.name, name, self._folder.count)
        cursor = await asyncio.to_thread(self._resume, ref)
        report.copied, report.present, report.refused = cursor.copied, cursor.present, cursor.refused
        async for page in self._source.messages(self._folder, cursor.last_uid):
            await self._page(ref, page, cursor, report)
            self._progress(report)
        return report

    def _target(self, conn: sa.Connection) -> tuple[Ref, str]:
        """The mailbox here, made when new: by its special use first, then by its name."""
        owner, seal = self._to.ref, self._store.seal
        found = mailboxes.find_use(conn, owner, self._folder.use) if self._folder.use else None
        found = found or mailboxes.find(conn, seal, owner, self._folder.name)
        if found is None:
            found = mailboxes.create(conn, seal, owner, self._folder.name)
        held = mailboxes.get(conn, seal, found)
        return found, held.name if held is not None else self._folder.name

    def _resume(self, ref: Ref) -> _Cursor:
        """The cursor of an earlier run; without one, the contents that are here already."""
        table = schema.imported
        with self._store.database.reading() as conn:
            row = conn.execute(sa.select(table).where(*self._this())).first()
            if row is not None and self._folder.uidvalidity and row.uidvalidity == self._folder.uidvalidity:
                return _Cursor(row.last_uid, row.copied, row.present, row.refused)
            here = (
                sa.select(blob_table.c.name)
                .join(message_table, message_table.c.blob == blob_table.c.blob)
                .where(message_table.c.agency == ref.agency, message_table.c.mailbox == ref.mailbox)
            )
            self._known = {bytes(one) for one in conn.execute(here).scalars()}
        return _Cursor(0, 0, 0, 0)

    async def _page(self, ref: Ref, page: Sequence[Message], cursor: _Cursor, report: FolderReport) -> None:
        ready = await asyncio.to_thread(
            lambda: [(one, blobs.prepare(self._store.seal, one.data)) for one in page if one.data is not None]
        )
        refused = [one for one in page if one.data is None]
        for one in refused:
            report.note(one.uid, one.problem)
        fresh = []
        for one, prepared in ready:
            if self._known is not None and prepared.name in self._known:
                continue
            if self._known is not None:
                self._known.add(prepared.name)
            fresh.append((one, prepared))
            if one.size != prepared.size:
                report.note(one.uid, f"the source said {one.size} bytes and gave {prepared.size}")
        step = _Cursor(
            page[-1].uid,
            cursor.copied + len(fresh),
            cursor.present + len(ready) - len(fresh),
            cursor.refused + len(refused),
        )

        def job(conn: sa.Connection) -> list[int]:
            stored = [self._put(conn, ref, one, prepared) for one, prepared in fresh]
            self._keep(conn, step)
            self._store.woken(conn, ref)
            return stored

        stored = await self._store.database.commit(job)
        await asyncio.to_thread(self._read_back, fresh, stored, report)
        cursor.last_uid, cursor.copied = step.last_uid, step.copied
        cursor.present, cursor.refused = step.present, step.refused
        report.copied, report.present, report.refused = step.copied, step.present, step.refused
        report.copied_now += len(fresh)
        report.bytes_now += sum(prepared.size for _, prepared in fresh)

    def _put(self, conn: sa.Connection, ref: Ref, one: Message, prepared: blobs.Prepared) -> int:
        blob = blobs.put(conn, self._store.segments, prepared, 1)
        flags = self._flags(conn, ref, one.flags)
        messages.put(conn, messages.Put(ref, blob, flags, one.internaldate_us, prepared.size))
        return blob

    def _flags(self, conn: sa.Connection, ref: Ref, words: frozenset[str]) -> int:
        mask = 0
        for word in sorted(words):
            if word.startswith("\\"):
                mask |= _SYSTEM.get(word.lower(), 0)
            elif len(word) <= _LONGEST_KEYWORD and word.isascii() and word.isprintable():
                try:
                    mask |= 1 << mailboxes.add_keyword(conn, self._store.seal, ref, word)
                except Refused:
                    continue  # no room for more keywords: the message matters more
        return mask

    def _keep(self, conn: sa.Connection, step: _Cursor) -> None:
        values = {
            "uidvalidity": self._folder.uidvalidity,
            "last_uid": step.last_uid,
            "copied": step.copied,
            "present": step.present,
            "refused": step.refused,
        }
        done = conn.execute(sa.update(schema.imported).where(*self._this()).values(**values))
        if not done.rowcount:
            ref = self._to.ref
            _ADD_CURSOR(conn, agency=ref.agency, account=ref.account, folder_digest=self._digest, **values)

    def _this(self) -> tuple[sa.ColumnElement[bool], ...]:
        table = schema.imported
        return (
            table.c.agency == self._to.ref.agency,
            table.c.account == self._to.ref.account,
            table.c.folder_digest == self._digest,
        )

    def _read_back(
        self,
        fresh: Sequence[tuple[Message, blobs.Prepared]],
        stored: Sequence[int],
        report: FolderReport,
    ) -> None:
        for (one, _), blob in zip(fresh, stored, strict=True):
            if self._store.content(blob) != one.data:
                report.note(one.uid, "what was stored is not what came")
                report.refused += 1
