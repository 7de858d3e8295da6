# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the worker does for commands on stored mail: the vault (through the control socket)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from config.clock import iso_local
from config.refusal import Refused
from congvan.installation import Installation
from mailserver.accounts import Account
from mailserver.store import Ref, vault
from mailserver.store.vault import Kept
from policy.ledger.entries import record


def find_kept(parts: Installation, who: Account, since_us: int, mailbox: str | None) -> list[Kept]:
    """What ``who`` can have back: expunged since ``since_us`` (µs UTC), of one mailbox when named."""
    found: list[Kept] = []
    before: tuple[int, Ref, int] | None = None
    while True:
        with parts.database.reading() as conn:
            page = vault.of_owner(conn, parts.seal, who.ref, since_us=since_us, before=before)
        if not page:
            return found
        found += [one for one in page if mailbox is None or one.mailbox == mailbox]
        before = (page[-1].expunged_us, page[-1].ref, page[-1].uid)


def told(parts: Installation, kept: Sequence[Kept]) -> list[dict[str, Any]]:
    """Vault entries as commands show them."""
    summaries = parts.store.summaries([one.blob for one in kept])
    return [
        {
            "mailbox": one.mailbox,
            "uid": one.uid,
            "size": one.size,
            "expunged": iso_local(one.expunged_us),
            "subject": summaries[one.blob].subject if one.blob in summaries else "",
        }
        for one in kept
    ]


def store_acts(parts: Installation) -> dict[str, Callable[..., Any]]:
    """Acts by name."""

    def restore(
        address: str, since_us: int, mailbox: str | None, uids: list[int] | None, by: str
    ) -> dict[str, Any]:
        who = parts.account(address)
        kept = [one for one in find_kept(parts, who, since_us, mailbox) if uids is None or one.uid in uids]
        if not kept:
            raise Refused(
                "nothing-to-restore",
                "Không có thư nào như vậy trong kho khôi phục. Xem `congvan vault list`.",
                "The vault holds no such message. See `congvan vault list`.",
            )
        shown = told(parts, kept)
        for start in range(0, len(kept), vault.SLICE):
            part = kept[start : start + vault.SLICE]

            def job(conn: sa.Connection, part: list[Kept] = part) -> None:
                changed = vault.restore(conn, parts.seal, who.ref, part)
                record(conn, parts.seal, "mail.restored", who.address, {"messages": len(part), "by": by})
                parts.store.woken(conn, *changed)

            parts.database.write(job)
        return {"address": who.address, "items": shown}

    return {"vault.restore": restore}
