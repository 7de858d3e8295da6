# SPDX-License-Identifier: AGPL-3.0-or-later
"""Move: sealing → sealed. The agencies that issue a document jointly (liên tịch) seal it, each by its own clerk.

The issuing agency numbered and sealed first; each following seal is an increment on the file before it, named
by the same register row. The last one locks everything; then the document is sent (`exchange.documents.walk`).
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from config.clock import now_us
from config.refusal import Refused, Unavailable
from exchange.documents import facts, files, judged, marks, turns
from exchange.documents.before_signing import agency_may_seal
from exchange.documents.joint_rows import joint_columns
from exchange.documents.model import Approval, Document, DocumentRef
from exchange.documents.sealed import TEMPLATE, approval_for, row_of, write
from exchange.documents.states import WrongState
from exchange.documents.turns import Turn
from exchange.documents.work import Work, content, load
from exchange.exchange import Exchange
from exchange.registers import joint
from exchange.signing.pdf.sign import seal_as_agency
from exchange.signing.phone.approval import Approval as PasskeyApproval
from exchange.trust.verdict import INDETERMINATE
from mailserver.accounts import Account, Agency
from policy.ledger.leaf import JSON
from policy.rights import relation, require


def waiting_turn(exchange: Exchange, document: Document, clerk: Account) -> Turn:
    """The seal that ``clerk`` gives now. Raises `Refused` when it is another agency's turn, `Forbidden`."""
    if document.state != "sealing":
        raise WrongState(document.state)
    with exchange.database.reading() as conn:
        turn = turns.next_of(turns.listing(conn, document))
    if turn is None:
        raise WrongState(document.state)
    require(clerk.role, "document.issue", relation(clerk.agency_code, turn.code))
    return turn


def waits_for_seal(exchange: Exchange, ref: DocumentRef) -> Refused:
    """The refusal to go on while another agency's seal is missing."""
    document = load(exchange, ref)
    with exchange.database.reading() as conn:
        codes = [one.code for one in turns.listing(conn, document) if one.waits]
    names = ", ".join(exchange.agency(code).name for code in codes)
    return Refused(
        "waits-for-seal",
        f"Văn bản liên tịch đang chờ chữ ký số của: {names}.",
        f"The joint document waits for the seal of: {names}.",
    )


def seal_jointly(
    exchange: Exchange, work: Work, clerk: Account, proofs: Sequence[PasskeyApproval] = ()
) -> bool:
    """Seal for the agency of ``clerk``; whether it was the last seal. Raises `Refused`, `Unavailable`.

    Repeatable until it has succeeded. By file approval this act is the clerk's yes.
    """
    document = load(exchange, work.ref)
    turn = waiting_turn(exchange, document, clerk)
    agency = exchange.agency(turn.code)
    before, data = content(exchange, work, "sealing")
    row = row_of(document)
    agency_may_seal(exchange, agency.code)
    _enter(exchange, document, agency, clerk)
    recorded = []
    if exchange.approval_of_seal(agency.code) != "passkey":
        recorded = [Approval(0, "seal", clerk.address, before.sha256, "file", now_us())]
    approval, yes = approval_for(recorded, proofs, before.sha256, row.name, TEMPLATE)
    sealed = seal_as_agency(
        data,
        exchange.signer,
        exchange.trust,
        agency.code,
        approval,
        marks.seal(exchange, agency),
        turn.field,
        exchange.stamp,
    )
    _judge(exchange, sealed.data)
    written = exchange.files.write(work.ref.agency, work.key, before.name, files.PDF, sealed.data)
    detail: dict[str, JSON] = {
        "number": document.fields.number,
        "row": row.name,
        "by": yes.by,
        "agency": agency.code,
        "sha256": facts.sha256(sealed.data),
        "mode": yes.mode,
        "stamped": "yes" if sealed.stamped else "no",
        "signer_record": sealed.use.record,
    }

    def job(conn: sa.Connection) -> bool:
        last = [one.place for one in turns.listing(conn, document) if one.waits] == [turn.place]
        kept = [("issued" if last else "sealing", written)]
        write(conn, exchange, document, turn, "seal-last" if last else "seal-next", kept, detail, [yes])
        return last

    return exchange.database.write(job)


def _enter(exchange: Exchange, document: Document, agency: Agency, clerk: Account) -> None:
    """The document in the register of the agency that is about to seal; once, however often this is begun."""
    columns = joint_columns(exchange, document)
    exchange.database.write(
        lambda conn: joint.enter(
            conn,
            exchange.seal,
            agency.number,
            document.ref.agency,
            document.ref.document,
            document.fields.number,
            columns,
            clerk.address,
        )
    )


def _judge(exchange: Exchange, sealed: bytes) -> None:
    """What leaves must stand. Raises `Unavailable` (undecided), `Refused`."""
    verdict = judged.verdict_of(exchange, sealed)
    if verdict.verdict == INDETERMINATE:
        raise Unavailable(
            "seal-not-decidable",
            f"Chưa kiểm tra được chữ ký vừa ký ({verdict.sub_indication}); danh sách thu hồi có thể đã cũ.",
            f"The new signatures can't be judged yet ({verdict.sub_indication}); is the revocation list old?",
        )
    if not verdict.passed:
        raise Refused(
            "seal-not-sound",
            f"Chữ ký số trên văn bản không hợp lệ ({verdict.sub_indication}). Trả lại cơ quan chủ trì.",
            f"A signature on the document is not valid ({verdict.sub_indication}). Return it to the issuing agency.",
        )
