# SPDX-License-Identifier: AGPL-3.0-or-later
"""Pages of header facts: written behind delivery for mailboxes with many messages, `PAGE` messages a page.

A page only loses messages, so it is whole when it has as many as there are; no log has to be followed.
"""

from __future__ import annotations

import sqlalchemy as sa

from mailserver.search import schema
from mailserver.search.columns import KINDS, page_of
from mailserver.search.facts import aad
from mailserver.store import Ref, Row, Store
from mailserver.store import schema as stored

PAGE = 512
"""Messages of a page; a mailbox gets its first when it has so many."""
_KIND = "blob"  # every page has this kind: the others follow it
_MANY = 50


class Tender:
    """Keeps the pages of all mailboxes. One thread of one process, while it holds the lease."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: dict[Ref, tuple[int, int]] = {}

    def step(self) -> bool:
        """Look at every mailbox that changed; True when there is more to do at once."""
        box, page = stored.mailbox, schema.page
        paged = sa.select(page.c.agency, page.c.mailbox).distinct()
        with self._store.database.reading() as conn:
            large = conn.execute(
                sa.select(box.c.agency, box.c.mailbox, box.c.exists, box.c.highestmodseq).where(
                    sa.or_(box.c.exists >= PAGE, sa.tuple_(box.c.agency, box.c.mailbox).in_(paged))
                )
            ).all()
            held = {Ref(*row) for row in conn.execute(paged)}
        there = {Ref(row.agency, row.mailbox): (row._mapping["exists"], row.highestmodseq) for row in large}
        for ref in held - there.keys():
            self._drop(ref)
            self._seen.pop(ref, None)
        more = False
        for ref, now in there.items():
            if self._seen.get(ref) != now and not self._tend(ref, now[0]):
                more = True
            else:
                self._seen[ref] = now
        return more

    def _tend(self, ref: Ref, exists: int) -> bool:
        """Bring the pages of a mailbox up to date; False when there is more to write."""
        page, message = schema.page, stored.message
        here = sa.and_(page.c.agency == ref.agency, page.c.mailbox == ref.mailbox, page.c.kind == _KIND)
        with self._store.database.reading() as conn:
            pages = conn.execute(
                sa.select(page.c.first_uid, page.c.last_uid, page.c.count.label("held"))
                .where(here)
                .order_by(page.c.first_uid)
            ).all()
            last = pages[-1].last_uid if pages else 0
            newer = conn.execute(
                sa.select(sa.func.count())
                .select_from(message)
                .where(message.c.agency == ref.agency, message.c.mailbox == ref.mailbox, message.c.uid > last)
            ).scalar_one()
        if sum(one.held for one in pages) + newer != exists:
            for one in pages:
                rows = self._store.rows(ref, one.first_uid, one.last_uid)
                if len(rows) != one.held:
                    self._write(ref, one.first_uid, one.last_uid, rows)
        for _ in range(min(newer // PAGE, _MANY)):
            rows = self._store.rows(ref, last + 1, limit=PAGE)
            if len(rows) < PAGE:
                break
            self._write(ref, last + 1, rows[-1].uid, rows)
            last = rows[-1].uid
        return newer // PAGE <= _MANY

    def _write(self, ref: Ref, first: int, last: int, rows: list[Row]) -> None:
        summaries = self._store.summaries([row.blob for row in rows])
        seal, page = self._store.seal, schema.page
        packed = [
            {
                "agency": ref.agency,
                "mailbox": ref.mailbox,
                "kind": kind,
                "first_uid": first,
                "last_uid": last,
                "count": len(rows),
                "sealed": seal.seal(page_of(kind, rows, summaries).pack(), aad(ref, kind, first)),
            }
            for kind in KINDS
        ]

        def job(conn: sa.Connection) -> None:
            conn.execute(
                sa.delete(page).where(
                    page.c.agency == ref.agency, page.c.mailbox == ref.mailbox, page.c.first_uid == first
                )
            )
            if rows:
                conn.execute(sa.insert(page), packed)

        self._store.database.write(job)

    def _drop(self, ref: Ref) -> None:
        page = schema.page
        self._store.database.write(
            lambda conn: conn.execute(
                sa.delete(page).where(page.c.agency == ref.agency, page.c.mailbox == ref.mailbox)
            )
        )
