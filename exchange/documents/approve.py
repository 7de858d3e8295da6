# SPDX-License-Identifier: AGPL-3.0-or-later
"""Move: drafted → approved. Each signer's yes to this very text, and the checks of content and form.

File approval mode (demo, tests; DESIGN 4.15): the approval is declared by the person who runs the command
and is recorded as such. The document is approved when everybody who initials and signs has said yes.
ND30/2020 Art. 11(1), 12.
"""

from __future__ import annotations

import sqlalchemy as sa

from config.clock import now_us
from config.refusal import Refused
from exchange.documents import files, records, turns
from exchange.documents.model import Document, DocumentRef
from exchange.documents.states import MOVES, WrongState
from exchange.documents.turns import Turn
from exchange.documents.work import load
from exchange.exchange import Exchange
from mailserver.accounts import Account
from policy.ledger.leaf import JSON
from policy.rights import Act, relation, require

_ACTS = {"text": MOVES["approve"].entry, "initial": "document.reviewed"}


def approve(exchange: Exchange, ref: DocumentRef, person: Account, declared_by: Account) -> None:
    """Record the yes of ``person`` to the newest draft. Raises `Refused`.

    The signer's also says that the content was checked; the form was checked by who declares it.
    """
    document = load(exchange, ref)
    with exchange.database.reading() as conn:
        mine = [one for one in turns.listing(conn, document) if one.by == person.address]
    if not mine:
        raise not_the_signer()
    right: Act = "document.initial" if mine[0].kind == "initial" else "document.approve"
    require(person.role, right, relation(person.agency_code, mine[0].code))

    def job(conn: sa.Connection) -> None:
        draft = files.newest(conn, exchange.seal, ref, "draft")
        records.lock(conn, ref)
        state = records.get(conn, exchange.seal, ref).state
        if state != "drafted":
            raise WrongState(state)
        for turn in mine:
            _record(conn, exchange, document, turn, draft.sha256, declared_by)
        if complete(conn, exchange, document, draft.sha256):
            records.advance(conn, exchange.seal, ref, "approve")

    exchange.database.write(job)


def not_the_signer() -> Refused:
    """The refusal of somebody whose signature is not asked for."""
    return Refused(
        "not-the-signer",
        "Văn bản này không trình người này ký.",
        "This document was not submitted to this person for signature.",
    )


def _record(
    conn: sa.Connection, exchange: Exchange, document: Document, turn: Turn, digest: str, declared_by: Account
) -> None:
    kind = "initial" if turn.kind == "initial" else "text"
    acts = [(kind, _ACTS[kind], turn.by)]
    if turn.by == document.fields.signer and kind == "text":
        acts = [
            ("content", "document.content-checked", turn.by),
            ("form", "document.form-checked", declared_by.address),
            *acts,
        ]
    now = now_us()
    for recorded, entry, by in acts:
        records.add_approval(conn, exchange.seal, document.ref, recorded, by, digest, now)
        detail: dict[str, JSON] = {
            "by": by,
            "declared_by": declared_by.address,
            "mode": "file",
            "sha256": digest,
        }
        records.add_event(
            conn,
            exchange.seal,
            document.ref,
            entry,
            document.ref.subject,
            detail,
            partner=document.partner,
            at_us=now,
        )


def complete(conn: sa.Connection, exchange: Exchange, document: Document, digest: str) -> bool:
    """Whether everybody whose signature is asked for has said yes to this draft."""
    said = {
        (one.kind, one.by)
        for one in records.approvals(conn, exchange.seal, document.ref)
        if one.digest == digest
    }
    wanted = {
        ("initial" if one.kind == "initial" else "text", one.by)
        for one in turns.listing(conn, document)
        if one.kind != "seal" and one.waits
    }
    return wanted <= said
