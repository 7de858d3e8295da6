# SPDX-License-Identifier: AGPL-3.0-or-later
"""The columns of mailboxes: read from sealed pages, the newest messages from summaries, kept while they fit.

What no page holds yet is read from summaries, so nobody waits for the pages; they are why a mailbox of 100,000
is sorted or searched in a moment by a process that sees it for the first time.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from config.statement import Statement
from mailserver.search import schema
from mailserver.search.columns import OF_ROWS, Column, Numbers, Texts, Threads, column_type, made, opened
from mailserver.search.fields import Fields
from mailserver.store import Ref, Store

KEPT = 64 * 1024 * 1024
"""Octets of columns a process keeps."""
_RUN = 500
_HERE = sa.and_(
    schema.page.c.agency == sa.bindparam("in_agency"),
    schema.page.c.mailbox == sa.bindparam("in_mailbox"),
    schema.page.c.kind == sa.bindparam("of_kind"),
)
_PAGE = Statement(
    sa.select(schema.page.c.first_uid, schema.page.c.last_uid, schema.page.c.sealed)
    .where(_HERE, schema.page.c.first_uid <= sa.bindparam("uid"))
    .order_by(schema.page.c.first_uid.desc())
    .limit(sa.literal_column("1"))
    .offset(sa.literal_column("0"))  # SQLite gets one anyway, and it must not be a parameter
)


def aad(ref: Ref, kind: str, first_uid: int) -> bytes:
    """The place a page is sealed for."""
    return f"search-page {ref.agency}.{ref.mailbox} {kind} {first_uid}".encode()


class Facts:
    """Columns by mailbox and kind. May be asked from any thread."""

    def __init__(self, store: Store, kept: int = KEPT) -> None:
        self._store = store
        self._most = kept
        self._octets = 0
        self._known: OrderedDict[tuple[Ref, str], Column] = OrderedDict()
        self._lock = threading.Lock()

    def numbers(self, ref: Ref, kind: str, upto: int) -> Numbers:
        """A column of numbers that holds every message up to UID ``upto``; gone ones may still be in it."""
        found = self._column(ref, kind, upto)
        assert isinstance(found, Numbers)
        return found

    def texts(self, ref: Ref, kind: str, upto: int) -> Texts:
        """A column of texts, likewise."""
        found = self._column(ref, kind, upto)
        assert isinstance(found, Texts)
        return found

    def threads(self, ref: Ref, upto: int) -> Threads:
        """The column of thread facts, likewise."""
        found = self._column(ref, "thread", upto)
        assert isinstance(found, Threads)
        return found

    def page(self, ref: Ref, uid: int, kinds: Sequence[str]) -> tuple[int, int, list[Column | Fields]] | None:
        """Columns of the page that has UID ``uid``, in the order of ``kinds``, behind its first and last UID; None before it is written.

        Read anew each time: whoever lists a mailbox goes from page to page.
        """
        seal, first, last = self._store.seal, 0, 0
        found: list[Column | Fields] = []
        with self._store.database.reading() as conn:
            conn.begin()  # one snapshot for all kinds
            for kind in kinds:
                row = _PAGE.row(conn, in_agency=ref.agency, in_mailbox=ref.mailbox, of_kind=kind, uid=uid)
                if row is None or row[1] < uid:
                    return None
                first, last, sealed = row
                found.append(opened(kind, seal.open(sealed, aad(ref, kind, first))))
        return first, last, found

    def ready(self, ref: Ref, kinds: Iterable[str], upto: int) -> bool:
        """Whether these columns are in memory up to UID ``upto``."""
        with self._lock:
            known = [self._known.get((ref, kind)) for kind in kinds]
        return all(one is not None and one.uids and one.uids[-1] >= upto for one in known)

    def _column(self, ref: Ref, kind: str, upto: int) -> Column:
        key = (ref, kind)
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
        if known is not None and (not upto or (known.uids and known.uids[-1] >= upto)):
            return known
        found = self._read(ref, kind) if known is None else known
        found = self._longer(ref, kind, found)
        with self._lock:
            old = self._known.pop(key, None)
            self._octets += found.octets - (old.octets if old is not None else 0)
            self._known[key] = found
            while self._octets > self._most and len(self._known) > 1:
                self._octets -= self._known.popitem(last=False)[1].octets
        return found

    def _read(self, ref: Ref, kind: str) -> Column:
        table, seal = schema.page, self._store.seal
        query = (
            sa.select(table.c.first_uid, table.c.sealed)
            .where(table.c.agency == ref.agency, table.c.mailbox == ref.mailbox, table.c.kind == kind)
            .order_by(table.c.first_uid)
        )
        with self._store.database.reading() as conn:
            pages = [seal.open(sealed, aad(ref, kind, first)) for first, sealed in conn.execute(query)]
        return column_type(kind).joined(pages)

    def _longer(self, ref: Ref, kind: str, found: Column) -> Column:
        rows = self._store.rows(ref, found.uids[-1] + 1 if found.uids else 1)
        pieces: list[Column] = []
        for start in range(0, len(rows), _RUN):
            run = rows[start : start + _RUN]
            summaries = {} if kind in OF_ROWS else self._store.summaries([row.blob for row in run])
            pieces.append(made(kind, run, summaries))
        if not pieces:
            return found
        return column_type(kind).joined([found, *pieces])  # type: ignore[list-item]
