# SPDX-License-Identifier: AGPL-3.0-or-later
"""Move: drafted → approved. The signer's yes to this very text, and the checks of content and form.

File approval mode (demo, tests; DESIGN 4.15): the approval is declared by the person who runs the command
and is recorded as such. ND30/2020 Art. 11(1), 12.
"""

from __future__ import annotations

import sqlalchemy as sa

from config.clock import now_us
from exchange.documents import files, records
from exchange.documents.model import DocumentRef
from exchange.documents.states import MOVES
from exchange.documents.work import load
from exchange.exchange import Exchange
from mailserver.accounts import Account
from policy.ledger.leaf import JSON
from policy.rights import relation, require


def approve(exchange: Exchange, ref: DocumentRef, signer: Account, declared_by: Account) -> None:
    """Record approval, content check and form check of the newest draft. Raises `Refused`."""
    document = load(exchange, ref)
    require(signer.role, "document.approve", relation(signer.agency_code, document.partner))

    def job(conn: sa.Connection) -> None:
        records.advance(conn, exchange.seal, ref, "approve")
        draft = files.newest(conn, exchange.seal, ref, "draft")
        now = now_us()
        acts = (
            ("content", "document.content-checked", signer),
            ("form", "document.form-checked", declared_by),
            ("text", MOVES["approve"].entry, signer),
        )
        for kind, entry, person in acts:
            records.add_approval(conn, exchange.seal, ref, kind, person.address, draft.sha256, now)
            detail: dict[str, JSON] = {
                "by": person.address,
                "declared_by": declared_by.address,
                "mode": "file",
                "sha256": draft.sha256,
            }
            records.add_event(
                conn, exchange.seal, ref, entry, ref.subject, detail, partner=document.partner, at_us=now
            )

    exchange.database.write(job)
