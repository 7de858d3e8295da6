# SPDX-License-Identifier: AGPL-3.0-or-later
"""A person's yes to what was shown, and the signature it allows: recorded in one transaction.

By passkey (`exchange.documents.phone`) and by the PIN of the person's own token (`exchange.documents.by_token`).
What is interrupted before that transaction leaves nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from config.refusal import Refused
from exchange.documents import files, records, signature
from exchange.documents.before_signing import person_may_sign
from exchange.documents.model import Document, DocumentRef, StoredFile
from exchange.documents.presented import begun_for, shown_differs, turn_of
from exchange.documents.states import MOVES
from exchange.documents.turns import Turn
from exchange.documents.work import Work, content
from exchange.exchange import Exchange
from exchange.signing.pdf.render import render
from exchange.signing.pdf.sign import finish
from exchange.signing.phone.approval import pages_digest
from exchange.signing.protocol import PersonApproval
from mailserver.accounts import Account
from policy.ledger.leaf import JSON


@dataclass(frozen=True, slots=True)
class Yes:
    """What a person said yes to: digest of the begun file and of its pages (hex), unique ``id``, µs UTC.

    ``proof``: the passkey's, JSON; ``pin``: the token's, for this one use.
    """

    id: str
    at: int
    digest: str
    shown: str
    mode: str
    proof: str = ""
    pin: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one document of several: ``problem`` is None when it was signed."""

    id: str
    problem: Refused | None


def sign(
    exchange: Exchange, ref: DocumentRef, person: Account, said: Callable[[Document, Turn], Yes]
) -> None:
    """Sign one document as ``said``; repeatable with the same yes. Raises `Refused`, `Unavailable`."""
    document, turn, _ = turn_of(exchange, ref, person)
    person_may_sign(exchange, person.address)
    yes = said(document, turn)
    opened = exchange.document_key(document.fields.key_code, document.wrapped_key, "receive", person.address)
    work = Work(ref, opened.key)
    draft, _ = content(exchange, work, "draft")
    begun = begun_for(exchange, work, document, turn)
    if yes.digest != begun.digest.hex() or yes.shown != pages_digest(render(begun.data)):
        raise shown_differs()
    approval = PersonApproval(yes.id, person.address, yes.digest, yes.at, yes.mode, turn.kind, yes.proof)
    signed = exchange.signer.sign_person(person.address, approval, begun.digest, begun.signed_attrs, yes.pin)
    data, stamped = finish(begun, signed.signature, exchange.stamp)
    written = exchange.files.write(ref.agency, work.key, draft.name, files.PDF, data)
    detail: dict[str, JSON] = {
        "by": person.address,
        "sha256": written.sha256,
        "draft": draft.sha256,
        "mode": yes.mode,
        "approval": yes.id,
        "stamped": "yes" if stamped else "no",
        "signer_record": signed.use.record,
    }

    def job(conn: sa.Connection) -> None:
        if turn.kind == "sign" and records.get(conn, exchange.seal, ref).state == "drafted":
            records.advance(conn, exchange.seal, ref, "approve")
        _record(conn, exchange, document, turn, draft, yes)
        signature.write(conn, exchange, document, turn, written, detail)

    exchange.database.write(job)


def recorded(exchange: Exchange, ref: DocumentRef, person: Account, yes: Yes) -> bool:
    """Whether ``person`` signed with this very yes already (its answer may have got lost)."""
    with exchange.database.reading() as conn:
        known = records.approvals(conn, exchange.seal, ref)
    return any(one.by == person.address and one.proof == yes.proof != "" for one in known)


def _record(
    conn: sa.Connection,
    exchange: Exchange,
    document: Document,
    turn: Turn,
    draft: StoredFile,
    yes: Yes,
) -> None:
    """The yes itself; the signer's says that content and form were checked too."""
    acts = (
        [("initial", "document.reviewed")] if turn.kind == "initial" else [("text", MOVES["approve"].entry)]
    )
    if turn.by == document.fields.signer and turn.kind == "sign":
        acts = [("content", "document.content-checked"), ("form", "document.form-checked"), *acts]
    for kind, entry in acts:
        records.add_approval(
            conn,
            exchange.seal,
            document.ref,
            kind,
            turn.by,
            draft.sha256,
            yes.at,
            mode=yes.mode,
            proof=yes.proof if kind in ("text", "initial") else "",
        )
        detail: dict[str, JSON] = {
            "by": turn.by,
            "declared_by": turn.by,
            "mode": yes.mode,
            "sha256": draft.sha256,
            "approval": yes.id,
            "shown": yes.shown,
        }
        records.add_event(
            conn, exchange.seal, document.ref, entry, document.ref.subject, detail, partner=document.partner
        )
