# SPDX-License-Identifier: AGPL-3.0-or-later
"""Moves to signed, by file approval: initials (ký nháy), then each competent person's PAdES signature in order
(ND30/2020 Art. 13(7))."""

from __future__ import annotations

import secrets

from config.refusal import Refused
from exchange.documents import files, records, signature, turns
from exchange.documents.before_signing import person_may_sign
from exchange.documents.facts import sha256
from exchange.documents.model import Approval, Document
from exchange.documents.turns import Turn
from exchange.documents.work import Work, content, load
from exchange.exchange import Exchange
from exchange.signing.pdf.sign import sign_as_person
from exchange.signing.protocol import PersonApproval
from policy.ledger.leaf import JSON


def sign(exchange: Exchange, work: Work) -> None:
    """Give every person's signature that waits, as approved. Raises `Refused`, `Unavailable`.

    Repeatable until it has succeeded: what an interrupted attempt left is not named by any row.
    """
    while True:
        document = load(exchange, work.ref)
        with exchange.database.reading() as conn:
            turn = turns.next_of(turns.listing(conn, document))
        if turn is None or turn.kind == "seal":
            return
        _sign(exchange, work, document, turn)


def _sign(exchange: Exchange, work: Work, document: Document, turn: Turn) -> None:
    person_may_sign(exchange, turn.by)
    draft, _ = content(exchange, work, "draft")
    kind = "initial" if turn.kind == "initial" else "text"
    with exchange.database.reading() as conn:
        approval = approved(records.approvals(conn, exchange.seal, work.ref), kind, draft.sha256, turn.by)
    _, data = signature.base(exchange, work, document)
    purpose = "initial" if turn.kind == "initial" else "sign"
    yes = PersonApproval(
        secrets.token_hex(16), approval.by, approval.digest, approval.at_us, approval.mode, purpose
    )
    mark = signature.mark_of(exchange, turn)
    signed = sign_as_person(
        data, exchange.signer, exchange.trust, yes, mark, turn.field, stamp=exchange.stamp
    )
    written = exchange.files.write(work.ref.agency, work.key, draft.name, files.PDF, signed.data)
    detail: dict[str, JSON] = {
        "by": approval.by,
        "sha256": sha256(signed.data),
        "draft": draft.sha256,
        "mode": approval.mode,
        "stamped": "yes" if signed.stamped else "no",
        "signer_record": signed.use.record,
    }
    exchange.database.write(lambda conn: signature.write(conn, exchange, document, turn, written, detail))


def approved(recorded: list[Approval], kind: str, digest: str, by: str = "") -> Approval:
    """The newest approval of ``kind`` (of ``by``) for exactly this content. Raises `Refused` (R-ISS-04)."""
    found = [one for one in recorded if one.kind == kind and one.digest == digest and by in ("", one.by)]
    if not found:
        raise Refused(
            "not-approved",
            "Nội dung này chưa được duyệt, hoặc đã đổi sau khi duyệt. Đề nghị duyệt lại.",
            "This content was not approved, or changed after its approval. Ask for a new approval.",
            rule="R-ISS-04",
        )
    return found[-1]
