# SPDX-License-Identifier: AGPL-3.0-or-later
"""What waits for the signature of who looks, and the pages as they are shown."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict

import sqlalchemy as sa

from exchange.documents import phone, records
from exchange.documents.model import Document, DocumentRef
from exchange.documents.phone import Presented
from exchange.documents.schema import document as document_table
from mailserver.accounts import Account
from policy.rights import may, relation
from webmail import frame

_MOST = 200
_KEPT, _KEPT_S = 12, 900.0


def signs(account: Account) -> bool:
    """Whether the account may sign documents at all."""
    return may(account.role, "document.sign", relation(account.agency_code, account.agency_code))


def waiting(account: Account) -> list[Document]:
    """Documents that wait for this person's signature, urgent ones first, then the oldest."""
    parts = frame.parts()
    table = document_table
    query = (
        sa.select(table)
        .where(
            table.c.agency == account.agency,
            table.c.direction == "outgoing",
            table.c.state.in_(("drafted", "approved")),
        )
        .order_by(table.c.updated_us)
        .limit(5 * _MOST)
    )
    with parts.database.reading() as conn:
        found = [records.read(parts.seal, row) for row in conn.execute(query)]
    mine = [one for one in found if phone.waits_for(one, account)]
    return sorted(mine, key=lambda one: (-one.priority, one.created_us))[:_MOST]


def presented(ref: DocumentRef, *, anew: bool = False) -> Presented:
    """The pages of a document for who looks. Raises `Refused`, `Unavailable`."""
    who = frame.account()
    kept = None if anew else _kept.get((ref, who.address))
    if kept is None:
        kept = phone.present(frame.parts().exchange, ref, who)
        _kept.put((ref, who.address), kept)
    return kept


class _Kept:
    """The pages shown last, so that each page's picture is not drawn again."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._by_key: OrderedDict[tuple[DocumentRef, str], tuple[float, Presented]] = OrderedDict()

    def get(self, key: tuple[DocumentRef, str]) -> Presented | None:
        with self._guard:
            found = self._by_key.get(key)
        return found[1] if found is not None and found[0] > time.monotonic() else None

    def put(self, key: tuple[DocumentRef, str], value: Presented) -> None:
        with self._guard:
            self._by_key[key] = (time.monotonic() + _KEPT_S, value)
            self._by_key.move_to_end(key)
            while len(self._by_key) > _KEPT:
                self._by_key.popitem(last=False)


_kept = _Kept()
