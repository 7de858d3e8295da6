# SPDX-License-Identifier: AGPL-3.0-or-later
"""Move: numbered → sealed. Number and date into the PDF, validation data, the organisation's signature.

Attachments in files of their own are sealed with it. Of a document issued jointly this is the first seal
(numbered → sealing); those of the other agencies follow (`exchange.documents.joint_seal`).

Repeatable for its register row: after a crash the same number is filled in, and the signer seals for that
row only the file it sealed before (ND30/2020 Art. 17; DESIGN 4.13, 4.16). When the rules of issuing say no to
the sealed file, the number becomes void with that reason.
"""

from __future__ import annotations

from collections.abc import Sequence

from config.refusal import Refused, Unavailable
from exchange.documents import annexes, facts, files, judged, kinds, marks, records, turns
from exchange.documents.before_signing import agency_may_seal
from exchange.documents.model import Document
from exchange.documents.sealed import TEMPLATE, approval_for, row_of, write
from exchange.documents.states import name_from
from exchange.documents.void import void
from exchange.documents.work import Work, content, load
from exchange.exchange import Exchange
from exchange.signing.pdf.fields import date_line, fill, number_line
from exchange.signing.pdf.sign import seal_as_agency
from exchange.signing.pdf.validation_data import add_validation_data
from exchange.signing.phone.approval import Approval as PasskeyApproval
from exchange.trust.verdict import INDETERMINATE
from mailserver.accounts import Account
from policy.ledger.leaf import JSON


def issue(exchange: Exchange, work: Work, clerk: Account, proofs: Sequence[PasskeyApproval] = ()) -> None:
    """Seal the numbered document and its attachments as the clerk approved. Raises `Refused`, `Unavailable`.

    ``proofs``: the clerk's yes by passkey to each of them, recorded with the seals; else the newest recorded
    approvals count. `Unavailable` leaves the document numbered, to be taken up again; a `Refused` by the rules
    voids it.
    """
    document = load(exchange, work.ref)
    name = name_from(document.state, "seal-first" if document.fields.joint_codes else "seal")
    agency = exchange.agency_numbered(work.ref.agency)
    signed, data = content(exchange, work, "signed")
    judged.refuse_compromised(exchange, data)
    agency_may_seal(exchange, agency.code)
    row = row_of(document)
    with exchange.database.reading() as conn:
        recorded = records.approvals(conn, exchange.seal, work.ref)
        turn = next(one for one in turns.listing(conn, document) if one.kind == "seal")
    approval, yes = approval_for(recorded, proofs, signed.sha256, row.name, TEMPLATE)
    sealed = seal_as_agency(
        _filled(exchange, document, data),
        exchange.signer,
        exchange.trust,
        agency.code,
        approval,
        marks.seal(exchange, agency),
        stamp=exchange.stamp,
    )
    try:
        _judge(exchange, document, clerk, sealed.data)
    except Refused as problem:
        if problem.code == "rule":  # the rules said no to the sealed file: the number can't be used
            void(exchange, work.ref, clerk, problem.vi, problem.en)
        raise
    beside, said = [], [yes]
    for number, annex in enumerate(annexes.listing(exchange, work.ref), 1):
        its_row = annexes.row_name(row.name, number)
        approval, one = approval_for(recorded, proofs, annex.sha256, its_row, annexes.TEMPLATE)
        beside.append(annexes.seal(exchange, work, document, annex, approval))
        said.append(one)
    written = exchange.files.write(work.ref.agency, work.key, signed.name, files.PDF, sealed.data)
    stamped = sealed.stamped and all(one.signed.stamped for one in beside)
    detail: dict[str, JSON] = {
        "number": document.fields.number,
        "row": row.name,
        "by": yes.by,
        "sha256": facts.sha256(sealed.data),
        "mode": yes.mode,
        "stamped": "yes" if stamped else "no",
        "signer_record": sealed.use.record,
    }
    if beside:
        detail["annexes"] = [one.written.sha256 for one in beside]

    kept = [("issued" if name == "seal" else "sealing", written)]
    kept += [("annex-sealed", one.written) for one in beside]
    exchange.database.write(
        lambda conn: write(conn, exchange, document, turn, name, kept, detail, said if proofs else ())
    )


def _filled(exchange: Exchange, document: Document, signed: bytes) -> bytes:
    """Number and date written in, and what a verifier needs about both certificates."""
    if document.dated is None:
        raise Refused("no-number", "Văn bản chưa có ngày.", "The document has no date yet.")
    filled = fill(
        signed, number_line(document.fields.number), date_line(document.fields.place, document.dated)
    )
    trust, fields = exchange.trust, document.fields
    people = (*fields.initials, fields.signer, *fields.co_signers)
    known = (
        *(trust.certificate_of_person(one) for one in people),
        *(trust.signing_certificate_of_agency(one) for one in (fields.organ_code, *fields.joint_codes)),
        trust.timestamp_certificate(),
    )
    found = [one for one in known if one is not None]
    return add_validation_data(filled, [*found, *trust.issuers_of(*found)], trust.crls())


def _judge(exchange: Exchange, document: Document, clerk: Account, sealed: bytes) -> None:
    if document.dated is None or document.serial is None:
        raise Refused("no-number", "Văn bản chưa được cấp số.", "The document has no number yet.")
    verdict = judged.verdict_of(exchange, sealed)
    if verdict.verdict == INDETERMINATE:
        raise Unavailable(
            "seal-not-decidable",
            f"Chưa kiểm tra được chữ ký vừa ký ({verdict.sub_indication}); danh sách thu hồi có thể đã cũ.",
            f"The new signatures can't be judged yet ({verdict.sub_indication}); is the revocation list old?",
        )
    issuing = judged.issuing(
        exchange,
        document,
        clerk,
        facts.signature_facts(verdict.signatures),
        number=kinds.shown_number(document.serial),
        dated=document.dated,
        row_state="numbered",
    )
    facts.ask(exchange, facts.of_issue(issuing))
