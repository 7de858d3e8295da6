# SPDX-License-Identifier: AGPL-3.0-or-later
"""Move: approved → signed. The competent person's PAdES signature on the prepared PDF (ND30/2020 Art. 13(7))."""

from __future__ import annotations

import secrets

import sqlalchemy as sa

from config.refusal import Refused
from exchange.documents import files, marks, records
from exchange.documents.facts import sha256
from exchange.documents.model import Approval
from exchange.documents.places import layout_of
from exchange.documents.states import MOVES
from exchange.documents.work import Work, content, load
from exchange.exchange import Exchange
from exchange.signing.pdf.prepare import prepare
from exchange.signing.pdf.sign import sign_as_person
from exchange.signing.protocol import PersonApproval
from policy.ledger.leaf import JSON


def sign(exchange: Exchange, work: Work) -> None:
    """Prepare the approved draft and have the signer use the person's key. Raises `Refused`, `Unavailable`.

    Repeatable until it has succeeded: what an interrupted attempt left is not named by any row.
    """
    document = load(exchange, work.ref)
    draft, data = content(exchange, work, "draft")
    with exchange.database.reading() as conn:
        approval = approved(records.approvals(conn, exchange.seal, work.ref), "text", draft.sha256)
    yes = PersonApproval(secrets.token_hex(16), approval.by, approval.digest, approval.at_us, approval.mode)
    mark = marks.hand(exchange, approval.by, document.fields.signer_name)
    prepared = prepare(data, layout_of(exchange, document, data))
    signed = sign_as_person(prepared, exchange.signer, exchange.trust, yes, mark, stamp=exchange.stamp)
    written = exchange.files.write(work.ref.agency, work.key, draft.name, files.PDF, signed.data)
    detail: dict[str, JSON] = {
        "by": approval.by,
        "sha256": sha256(signed.data),
        "draft": draft.sha256,
        "mode": approval.mode,
        "stamped": "yes" if signed.stamped else "no",
        "signer_record": signed.use.record,
    }

    def job(conn: sa.Connection) -> None:
        records.advance(conn, exchange.seal, work.ref, "sign")
        files.add(conn, exchange.seal, work.ref, "signed", written)
        records.add_event(
            conn,
            exchange.seal,
            work.ref,
            MOVES["sign"].entry,
            work.ref.subject,
            detail,
            partner=document.partner,
        )

    exchange.database.write(job)


def approved(recorded: list[Approval], kind: str, digest: str) -> Approval:
    """The newest approval of ``kind`` for exactly this content. Raises `Refused` (R-ISS-04)."""
    found = [one for one in recorded if one.kind == kind and one.digest == digest]
    if not found:
        raise Refused(
            "not-approved",
            "Nội dung này chưa được duyệt, hoặc đã đổi sau khi duyệt. Đề nghị duyệt lại.",
            "This content was not approved, or changed after its approval. Ask for a new approval.",
            rule="R-ISS-04",
        )
    return found[-1]
