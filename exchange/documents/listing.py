# SPDX-License-Identifier: AGPL-3.0-or-later
"""What pages and commands show of documents: lists, one document with its timeline, the status. Read only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from config.clock import iso_local
from exchange.documents import files, records
from exchange.documents.model import Approval, Document, DocumentRef, Happened, Recipient, StoredFile
from exchange.documents.schema import document as table
from exchange.edxml.statuses import STATUS_NAMES
from exchange.exchange import Exchange
from exchange.receipts.outcome import STATUS_EVENTS
from policy.ledger import schema as ledger

TIMELINE = {
    "document.drafted": ("Đưa dự thảo vào hệ thống", "Draft taken in"),
    "document.content-checked": ("Kiểm tra nội dung", "Content checked"),
    "document.form-checked": ("Kiểm tra thể thức", "Form checked"),
    "document.approved": ("Duyệt bản thảo", "Text approved"),
    "document.reviewed": ("Duyệt để ký nháy", "Reviewed for initials"),
    "document.initialled": ("Ký nháy", "Initialled"),
    "document.returned": ("Trả lại người soạn", "Given back to the drafter"),
    "document.person-signed": ("Người có thẩm quyền ký số", "Signed by the competent person"),
    "document.numbered": ("Cấp số, ngày", "Numbered and dated"),
    "document.sealed": ("Ký số của cơ quan", "Sealed by the organisation"),
    "document.issued": ("Phát hành", "Issued"),
    "document.sent": ("Chuyển gói tin đi", "Packet handed to the carrier"),
    "document.void": ("Hủy số", "Number voided"),
    "document.arrived": ("Đã đến", "Arrived"),
    "document.held": ("Chờ văn thư xem xét", "Held for the clerk"),
    "document.packet-held": ("Gói tin không xác nhận được", "Packet could not be authenticated"),
    "document.packet-refused": ("Gói tin giả hoặc hỏng", "Packet forged or damaged"),
    "document.repeated": ("Nhận lại cùng gói tin", "The same document came again"),
    "document.registered": ("Tiếp nhận, vào sổ", "Registered"),
    "document.refused": ("Từ chối tiếp nhận", "Refused"),
    "document.assigned": ("Phân công", "Assigned"),
    "document.processing": ("Đang xử lý", "In work"),
    "document.done": ("Hoàn thành", "Done"),
    "document.opened": ("Mở xem", "Opened"),
    "document.reopened": ("Mở lại gói tin", "Packet opened again"),
    "document.judged": ("Kiểm tra lại chữ ký", "Signatures judged anew"),
}
"""Kinds of events → Vietnamese and English."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the timeline. ``proved``: its entry stands in a signed checkpoint, or its receipt stood."""

    kind: str
    vi: str
    en: str
    at_us: int
    agency: str
    by: str
    reason: str
    status: str
    proved: bool
    event: Happened


@dataclass(frozen=True, slots=True)
class Shown:
    """One document with everything a page shows beside its content."""

    document: Document
    recipients: tuple[Recipient, ...]
    timeline: tuple[Step, ...]
    files: tuple[StoredFile, ...]
    approvals: tuple[Approval, ...]


def listing(
    exchange: Exchange,
    agency: int,
    direction: str,
    *,
    states: Iterable[str] = (),
    limit: int = 50,
    offset: int = 0,
) -> list[Document]:
    """Documents of an agency, newest first; ``direction``: outgoing or incoming."""
    query = (
        sa.select(table)
        .where(table.c.agency == agency, table.c.direction == direction)
        .order_by(table.c.document.desc())
        .limit(min(limit, 500))
        .offset(offset)
    )
    wanted = tuple(states)
    if wanted:
        query = query.where(table.c.state.in_(wanted))
    with exchange.database.reading() as conn:
        return [records.read(exchange.seal, row) for row in conn.execute(query)]


def counts(exchange: Exchange, agency: int) -> dict[tuple[str, str], int]:
    """(direction, state) → how many documents of an agency, for tabs and badges."""
    query = (
        sa.select(table.c.direction, table.c.state, sa.func.count())
        .where(table.c.agency == agency)
        .group_by(table.c.direction, table.c.state)
    )
    with exchange.database.reading() as conn:
        return {(row[0], row[1]): int(row[2]) for row in conn.execute(query)}


def show(exchange: Exchange, ref: DocumentRef) -> Shown:
    """One document. Raises `Refused`."""
    with exchange.database.reading() as conn:
        document = records.get(conn, exchange.seal, ref)
        happened = records.events(conn, exchange.seal, ref)
        sealed = _sealed_entries(conn, [one.detail for one in happened if one.detail is not None])
        return Shown(
            document,
            tuple(records.recipients(conn, ref)),
            tuple(_step(one, sealed) for one in happened),
            tuple(files.listing(conn, exchange.seal, ref)),
            tuple(records.approvals(conn, exchange.seal, ref)),
        )


def by_public_code(exchange: Exchange, code: str) -> Document | None:
    """The sent document with this code of the public look-up (``/verify/<code>``)."""
    with exchange.database.reading() as conn:
        row = conn.execute(
            sa.select(table).where(table.c.public_digest == records.public_digest(exchange.seal, code))
        ).first()
        return None if row is None or row.state != "sent" else records.read(exchange.seal, row)


def status(exchange: Exchange, ref: DocumentRef) -> dict[str, Any]:
    """``document status --json`` (DESIGN §5)."""
    shown = show(exchange, ref)
    document = shown.document
    outcomes: list[tuple[str, str, list[Step]]]
    if document.direction == "incoming":
        own = [step for step in shown.timeline if step.status]
        outcomes = [(document.fields.to_codes[0], document.state, own)]
    else:
        outcomes = [(one.code, one.outcome, _steps_of(shown, one.code)) for one in shown.recipients]
    return {
        "id": document.id,
        "document_id": document.fields.document_id,
        "number": document.fields.number,
        "state": document.state,
        "recipients": [
            {"agency": code, "outcome": outcome, "evidence": [_evidence(step) for step in steps]}
            for code, outcome, steps in outcomes
        ],
    }


def _steps_of(shown: Shown, code: str) -> list[Step]:
    """What proves a sent document's way to one recipient: sending, and every status from there."""
    return [
        step
        for step in shown.timeline
        if step.kind == "document.sent" or (step.agency == code and step.status)
    ]


def _evidence(step: Step) -> dict[str, Any]:
    event = STATUS_EVENTS.get(step.status) or step.kind.removeprefix("document.")
    told: dict[str, Any] = {"event": event, "time": iso_local(step.at_us), "proved": step.proved}
    told |= {"status": step.status} if step.status else {}
    told |= {"by": step.by} if step.by else {}
    return told | ({"reason": step.reason} if step.reason else {})


def _step(one: Happened, sealed: set[int]) -> Step:
    vi, en = TIMELINE.get(one.kind) or STATUS_NAMES.get(one.status) or (one.kind, one.kind)
    elsewhere = bool(one.status) and one.file is not None
    proved = one.proved if elsewhere or "seen_us" in one.told else one.detail in sealed
    return Step(
        one.kind,
        vi,
        en,
        one.at_us,
        one.partner,
        one.told.get("by", ""),
        one.told.get("reason", ""),
        one.status,
        proved,
        one,
    )


def _sealed_entries(conn: sa.Connection, details: list[int]) -> set[int]:
    """Which of these entries a signed checkpoint covers."""
    if not details:
        return set()
    size = int(conn.execute(sa.select(sa.func.max(ledger.checkpoint.c.size))).scalar() or 0)
    entry = ledger.entry.c
    rows = conn.execute(sa.select(entry.detail).where(entry.detail.in_(details[:5000]), entry.index < size))
    return {int(row.detail) for row in rows}
