# SPDX-License-Identifier: AGPL-3.0-or-later
"""What an arrival leaves: one transaction with the document, its files' rows, ledger, status and the cursor.

Files are written and acts signed before; the transaction only names them. A packet is taken once: its
digest is a row of its own, so what a crash or a second delivery repeats changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import sqlalchemy as sa

from config.clock import now_us
from config.writer import after_commit
from exchange.documents import facts, files, records, schema
from exchange.documents.files import Written
from exchange.documents.kinds import find_kind
from exchange.documents.model import DocumentRef, Fields
from exchange.edxml.codes import read_date
from exchange.edxml.model import DocumentPacket
from exchange.exchange import Exchange
from exchange.receiving import awaited, events
from exchange.receiving.arrival import ArrivedDocument, Unreadable
from exchange.receiving.content import Checked, content_digest
from exchange.receiving.reports import FILE_NAME, signed_report
from mailserver.accounts import Agency
from policy.ledger.entries import record
from policy.ledger.leaf import JSON

Effect = Callable[[sa.Connection], None]


def effect_of_unreadable(exchange: Exchange, agency: Agency, found: Unreadable) -> Effect:
    """Held or refused without a word to anybody: whom it is really from is not known."""
    fields = Fields(
        reason=found.vi[:1000],
        reason_en=found.en[:1000],
        packet_digest=found.digest.hex(),
        message_id=found.message_id,
        to_codes=(agency.code,),
        arrived_us=now_us(),
    )
    new = records.NewDocument(
        agency.number, "incoming", found.state, 0, found.sender, b"", packet_digest=found.digest
    )
    detail: dict[str, JSON] = {
        "code": found.code,
        "packet": found.digest.hex(),
        "message_id": found.message_id[:200],
        "to": agency.code,
    }

    def effect(conn: sa.Connection) -> None:
        if not take(conn, agency, found.digest):
            return
        ref = records.create(conn, exchange.seal, new, fields)
        awaited.begin(conn, exchange.seal, ref, found.awaited)
        _seen_by(conn, agency, found.digest, ref)
        records.add_event(
            conn,
            exchange.seal,
            ref,
            f"document.packet-{found.state}",
            ref.subject,
            detail,
            partner=agency.code,
            told={"reason": found.vi},
        )
        after_commit(conn, lambda: exchange.wake.publish("document", ref.id))

    return effect


def effect_of_document(exchange: Exchange, agency: Agency, found: ArrivedDocument) -> Effect:
    """A document that arrived, is held, refused, or came once more. Writes files; raises `Unavailable`."""
    if found.checked.repeats is not None:
        return _effect_of_repeat(exchange, agency, found, found.checked.repeats)
    checked, packet, sender = found.checked, found.packet, found.sender
    digest = found.opened.digest
    key, wrapped = exchange.new_document_key(agency.code)
    kept = _files(exchange, agency, key, found)
    fields = _fields(agency, found)
    kind = find_kind(packet.type_name)
    state = "held" if checked.secret else checked.state
    new = records.NewDocument(
        agency.number,
        "incoming",
        state,
        kind.number if kind else 0,
        sender.code,
        wrapped,
        business=packet.business.kind,
        priority=_priority(packet),
        dated=read_date(packet.promulgation_date),
        content_digest=content_digest(exchange, found.opened.edxml),
        packet_digest=bytes.fromhex(digest),
    )
    back = events.prepare(
        exchange,
        packet.document_id,
        "02" if checked.answer else "01",
        packet_digest=digest,
        sender=packet.sender.organ_id,
        agency=agency,
        by=events.SYSTEM if checked.answer else "",
        reason=checked.answer,
    )
    received: dict[str, JSON] = {
        "purpose": "receive",
        "packet": digest,
        "agency": agency.code,
        "signer_record": found.signer_record,
    }
    report = next((written.sha256 for role, written in kept if role == "report"), "")
    if report:
        received["report"] = report

    def effect(conn: sa.Connection) -> None:
        if not take(conn, agency, bytes.fromhex(digest)):
            return
        ref = records.create(conn, exchange.seal, new, fields)
        awaited.begin(conn, exchange.seal, ref, found.awaited)
        _seen_by(conn, agency, bytes.fromhex(digest), ref)
        for role, written in kept:
            files.add(conn, exchange.seal, ref, role, written)
        record(conn, exchange.seal, "document.unwrapped", packet.document_id, received)
        events.write(conn, exchange, ref, back, sender.code)
        if state == "held":
            reason: dict[str, JSON] = {"reason": checked.vi[:1000], "agency": agency.code}
            records.add_event(
                conn,
                exchange.seal,
                ref,
                "document.held",
                packet.document_id,
                reason,
                partner=agency.code,
            )
        after_commit(conn, lambda: exchange.wake.publish("document", ref.id))

    return effect


def take(conn: sa.Connection, agency: Agency, digest: bytes) -> bool:
    """Note that the agency has this packet; False when it had it already."""
    table = schema.packet_seen
    known = conn.execute(
        sa.select(table.c.digest).where(table.c.agency == agency.number, table.c.digest == digest)
    ).first()
    if known is not None:
        return False
    conn.execute(sa.insert(table).values(agency=agency.number, digest=digest, at_us=now_us()))
    return True


def _seen_by(conn: sa.Connection, agency: Agency, digest: bytes, ref: DocumentRef) -> None:
    table = schema.packet_seen
    conn.execute(
        sa.update(table)
        .where(table.c.agency == agency.number, table.c.digest == digest)
        .values(document=ref.document)
    )


def _effect_of_repeat(exchange: Exchange, agency: Agency, found: ArrivedDocument, document: int) -> Effect:
    """The same document in another packet: our last status goes once more (edxml.md 9.5)."""
    ref = DocumentRef(agency.number, document)
    digest = found.opened.digest
    detail: dict[str, JSON] = {"packet": digest, "agency": agency.code}

    def effect(conn: sa.Connection) -> None:
        if not take(conn, agency, bytes.fromhex(digest)):
            return
        _seen_by(conn, agency, bytes.fromhex(digest), ref)
        told = [
            one
            for one in records.events(conn, exchange.seal, ref)
            if one.partner == agency.code and one.status
        ]
        if told:
            events.due(conn, exchange, ref, told[-1].event, found.sender.code, told[-1].status)
        records.add_event(
            conn,
            exchange.seal,
            ref,
            "document.repeated",
            found.packet.document_id,
            detail,
            partner=agency.code,
        )

    return effect


def _files(
    exchange: Exchange, agency: Agency, key: bytes, found: ArrivedDocument
) -> list[tuple[str, Written]]:
    """edXML and files under the document's key. Of what bears a mark of secrecy nothing is kept."""
    if found.checked.secret:
        return []
    kept = [
        (
            "edxml",
            exchange.files.write(agency.number, key, "document.edxml", files.EDXML, found.opened.edxml),
        )
    ]
    report = signed_report(exchange, agency, found.opened.digest, found.layers)
    kept.append(("report", exchange.files.write(agency.number, key, FILE_NAME, files.JSON, report)))
    for number, one in enumerate(found.checked.files, 1):
        name = one.name.replace("\\", "/").rsplit("/", 1)[-1][-150:] or f"tep-{number}"
        kept.append(("attachment", exchange.files.write(agency.number, key, name, one.found_type, one.data)))
    return kept


def _fields(agency: Agency, found: ArrivedDocument) -> Fields:
    packet, checked = found.packet, found.checked
    common = Fields(
        document_id=packet.document_id,
        organ_code=packet.sender.organ_id,
        organ_name=found.sender.name,
        to_codes=(agency.code,),
        key_code=agency.code,
        packet_digest=found.opened.digest,
        message_id=found.opened.envelope.message_id,
        reason=checked.vi[:1000],
        reason_en=checked.en[:1000],
        arrived_us=now_us(),
    )
    if checked.secret:
        return common
    return fields_of_content(common, packet, checked)


def fields_of_content(common: Fields, packet: DocumentPacket, checked: Checked) -> Fields:
    """``common`` with what the packet says of its document and what the checks said of it."""
    return replace(
        common,
        subject=packet.subject[:2000],
        kind=packet.type_name[:200],
        number=packet.number,
        notation=packet.code_notation,
        place=packet.place[:200],
        signer_name=packet.full_name[:200],
        signer_title=packet.position[:200],
        competence=packet.competence[:200],
        pages=int(packet.pages) if packet.pages.isdigit() and len(packet.pages) < 6 else 0,
        due_date=packet.due_date[:20],
        remarks=checked.remarks,
        official=checked.official,
        co_codes=facts.joint_codes_in([one for _, one in checked.verdicts], packet.sender.organ_id),
        verdicts=tuple(
            f"{name}: {one.verdict}{f' {one.sub_indication}' if one.sub_indication else ''}"
            for name, one in checked.verdicts
        ),
    )


def _priority(packet: DocumentPacket) -> int:
    return int(packet.priority) if packet.priority in ("1", "2", "3", "4") else 0
