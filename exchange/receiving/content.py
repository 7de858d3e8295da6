# SPDX-License-Identifier: AGPL-3.0-or-later
"""The content of an arrived document checked: recipient, secrecy, duplicates, fields, files, signatures.

In the order of edxml.md section 9. The result is a state and what the sender is told; a secrecy mark is
told without any content.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import sqlalchemy as sa

from exchange.documents import facts, first_page, records, schema
from exchange.documents.judged import verdict_of
from exchange.edxml.attachments import Content, unpack
from exchange.edxml.checks import check as edxml_check
from exchange.edxml.model import NEW, DocumentPacket, Problem
from exchange.exchange import Exchange
from exchange.signing.pdf.draft import MAX_PAGES
from exchange.trust.verdict import FAILED, INDETERMINATE, UNREADABLE, Verdict
from mailserver.accounts import Agency
from policy.judge import Decision, judge

_PDF = "application/pdf"
_MOST_REMARKS = 60


@dataclass(frozen=True, slots=True)
class Checked:
    """``state``: arrived, held or refused. ``answer``: a 02 with this reason goes back at once ("" none)."""

    state: str
    vi: str = ""
    en: str = ""
    answer: str = ""
    remarks: tuple[str, ...] = ()
    files: tuple[Content, ...] = field(default=(), repr=False)
    verdicts: tuple[tuple[str, Verdict], ...] = ()
    official: bool = False
    secret: bool = False
    "It carries a mark of secrecy: nothing of its content is kept or shown."
    repeats: int | None = None
    "The document here that this packet brings once more, byte for byte."


def check(
    exchange: Exchange,
    agency: Agency,
    sender: Agency,
    packet: DocumentPacket,
    edxml: bytes,
    read: tuple[Problem, ...],
    kept: int | None = None,
) -> Checked:
    """Check a document whose sender is known and signed it; ``kept`` is what is here of it when it is checked again."""
    own = {agency.code, agency.old_code} - {""}
    if not own & {one.organ_id for one in packet.to}:
        text = f"Gửi sai nơi nhận: gói tin không gửi cho {agency.code}."
        return Checked("refused", text, f"Not addressed to {agency.code}.", text)
    same, already, same_number = _known(exchange, agency, sender, packet, edxml, kept)
    if same is not None:
        return Checked("repeat", repeats=same)
    files = tuple(unpack(one) for one in packet.attachments)
    pdfs = [(one.name, one.data) for one in files if one.found_type == _PDF]
    verdicts = tuple((name, verdict_of(exchange, data)) for name, data in pdfs)
    decision = _judge(exchange, agency, packet, len(edxml), pdfs, verdicts, already, same_number)
    problems = (*read, *edxml_check(packet, "receive"))
    return _result(packet, files, verdicts, decision, problems, already)


def _result(
    packet: DocumentPacket,
    files: tuple[Content, ...],
    verdicts: tuple[tuple[str, Verdict], ...],
    decision: Decision,
    problems: tuple[Problem, ...],
    already: bool,
) -> Checked:
    findings = [one for one in decision.findings if one.severity != "record"]
    remarks = tuple(
        dict.fromkeys(
            [f"{one.rule_id}: {one.vi}" for one in findings] + [f"{one.rule}: {one.vi}" for one in problems]
        )
    )[:_MOST_REMARKS]
    official = any(one.official for _, one in verdicts) and all(
        one.passed and (one.official or one.attachment) for _, one in verdicts
    )

    def result(state: str, vi: str = "", en: str = "", answer: str = "") -> Checked:
        return Checked(state, vi, en, answer, remarks, files, verdicts, official)

    secret = next((one for one in findings if one.rule_id.startswith("R-CON")), None)
    if secret is not None:
        back = "Không tiếp nhận được qua hệ thống này (R-CON)."
        return Checked("held", secret.vi, secret.en, back, secret=True)
    if already and packet.business.kind == NEW:
        vi = "Mã định danh văn bản đã có với nội dung khác; văn thư đối chiếu."
        return result("held", vi, "The DocumentId is here already with other content; the clerk compares.")
    wrong = [one for one in problems if one.severity == "block"]
    if wrong:
        text = " ".join(dict.fromkeys(one.vi for one in wrong))[:900]
        return result("refused", text, " ".join(dict.fromkeys(one.en for one in wrong))[:900], text)
    blocking = [one for one in findings if one.severity == "block"]
    if blocking or any(one.verdict in (FAILED, UNREADABLE) for _, one in verdicts):
        named = [f"{one.rule_id}: {one.vi}" for one in blocking] or [
            f"{name}: {one.reason}" for name, one in verdicts if one.verdict in (FAILED, UNREADABLE)
        ]
        text = " ".join(named)[:900]
        english = " ".join(f"{one.rule_id}: {one.en}" for one in blocking)[:900] or text
        return result("refused", text, english, text)
    if decision.verdict == "hold":
        first = decision.findings[0]
        return result("held", first.vi, first.en)
    unsure = [f"{name}: {one.reason}" for name, one in verdicts if one.verdict == INDETERMINATE]
    if unsure:
        text = " ".join(unsure)[:900]
        return result("held", f"Chữ ký số chưa kết luận được: {text}", f"Signatures can't be decided: {text}")
    if packet.business.kind != NEW:
        vi = "Gói thu hồi, cập nhật hoặc thay thế: cần văn thư quyết định."
        return result("held", vi, "A recall, update or replacement: a person decides.")
    return result("arrived")


def _judge(
    exchange: Exchange,
    agency: Agency,
    packet: DocumentPacket,
    size: int,
    pdfs: list[tuple[str, bytes]],
    verdicts: tuple[tuple[str, Verdict], ...],
    already: bool,
    same_number: bool,
) -> Decision:
    text = "\n".join(first_page.of_pdf(data, MAX_PAGES) for _, data in pdfs[:5])
    receiving = facts.Receiving(
        packet,
        size,
        tuple(one for _, one in verdicts),
        agency,
        sender_known=True,
        already=already,
        same_number=same_number,
        checked=True,
        text=text,
    )
    return judge(facts.of_arrival(receiving), exchange.rulebook)


def _known(
    exchange: Exchange,
    agency: Agency,
    sender: Agency,
    packet: DocumentPacket,
    edxml: bytes,
    kept: int | None,
) -> tuple[int | None, bool, bool]:
    """(the document that is the same byte for byte, same id with other content, same number of this sender)."""
    seal, table = exchange.seal, schema.document
    identity = records.identity_digest(seal, packet.document_id)
    number = records.number_digest(seal, packet.number)
    content = content_digest(exchange, edxml)
    columns = (table.c.document, table.c.state, table.c.content_digest, table.c.identity_digest)
    with exchange.database.reading() as conn:
        mine = conn.execute(
            sa.select(*columns, table.c.number_digest)
            .where(
                table.c.agency == agency.number,
                table.c.direction == "incoming",
                table.c.partner == sender.code,
                sa.or_(table.c.identity_digest == identity, table.c.number_digest == number),
            )
            .order_by(table.c.document)
        ).all()
    mine = [row for row in mine if row.document != kept]
    same = next((row.document for row in mine if row.content_digest == content), None)
    again = any(row.identity_digest == identity and row.state != "refused" for row in mine)
    numbered = any(row.number_digest == number and row.state == "registered" for row in mine)
    return same, again, numbered


def content_digest(exchange: Exchange, edxml: bytes) -> bytes:
    """How the same edXML is known again."""
    return exchange.seal.digest("document-content", edxml)
