# SPDX-License-Identifier: AGPL-3.0-or-later
"""Move: sealed → sent. The packet is built and judged; the second short transaction makes the row `issued`,
the document `sent` and queues the packet, all or nothing (DESIGN 4.16; ND30/2020 Art. 18)."""

from __future__ import annotations

import dataclasses
import hashlib

import sqlalchemy as sa

from config.clock import now_us, to_local
from config.refusal import Refused
from config.writer import after_commit
from exchange.documents import annexes, carrying, facts, files, joint_rows, judged, kinds, records
from exchange.documents import number as numbering
from exchange.documents.model import Document
from exchange.documents.packing import Packed, document_packet, seal_packet
from exchange.documents.sealed import row_of
from exchange.documents.states import MOVES, move_from
from exchange.documents.work import Work, content, load
from exchange.edxml.model import DocumentPacket
from exchange.exchange import Exchange
from exchange.receipts.receipt import Event
from exchange.registers import rows
from exchange.registers.rows import Entry
from mailserver.accounts import Account
from policy.ledger.leaf import JSON

_LONGEST_NAMES = 480


def send(exchange: Exchange, work: Work, clerk: Account) -> str:
    """Send a sealed document; returns the packet digest (hex). Raises `Refused`, `Unavailable`.

    Repeatable until it has succeeded; a packet built by an interrupted attempt never leaves.
    """
    document = load(exchange, work.ref)
    move_from(document.state, "send")
    _, issued = content(exchange, work, "issued")
    sender = exchange.agency(document.fields.organ_code)
    receivers = [exchange.agency(code) for code in document.fields.to_codes]
    sealed = annexes.listing(exchange, work.ref, "annex-sealed")
    attached = [(one.name, exchange.files.read(work.key, one)) for one in sealed]
    packet = document_packet(exchange, document, issued, attached)
    _judge(exchange, document, clerk, issued, packet)
    packed = seal_packet(exchange, packet, sender, receivers, name="document.edxml")
    key, agency = work.key, work.ref.agency
    edxml = exchange.files.write(agency, key, "document.edxml", files.EDXML, packed.edxml)
    whole = [
        exchange.files.write(agency, key, "packet.eml", files.MAIL, one.built.mail) for one in packed.parcels
    ]
    mails = [(carrying.prepared(exchange, one.built.mail), one) for one in packed.parcels]

    def job(conn: sa.Connection) -> None:
        _record(conn, exchange, document, clerk, packed)
        files.add(conn, exchange.seal, work.ref, "edxml", edxml)
        for written in whole:
            files.add(conn, exchange.seal, work.ref, "packet", written)
        records.set_recipient(conn, work.ref, None, {"state": "queued"})
        for mail, parcel in mails:
            addresses = [one.registry_address for one in parcel.receivers]
            digest = carrying.mail_digest(parcel.built.mail)
            carrying.queue(conn, exchange, mail, digest, sender.registry_address, addresses, agency)
        after_commit(conn, lambda: exchange.wake.publish("document", work.ref.id))

    exchange.database.write(job)
    return packed.built.digest


def sent_event(document: Document, packet_digest: str) -> Event:
    """The sender's own record that it handed the packet to the carrier for all its receivers."""
    fields = document.fields
    names = " ".join(fields.to_codes)
    digest = hashlib.sha256(names.encode()).hexdigest()
    receivers = names if len(names) <= _LONGEST_NAMES else f"{len(fields.to_codes)} sha256:{digest}"
    return Event("sent", "", packet_digest, fields.organ_code, receivers, fields.organ_code)


def _record(
    conn: sa.Connection, exchange: Exchange, document: Document, clerk: Account, packed: Packed
) -> None:
    ref, seal, fields = document.ref, exchange.seal, document.fields
    now = now_us()
    digest = packed.built.digest
    row, dated = row_of(document), document.dated
    if dated is None:
        raise Refused("no-number", "Văn bản chưa có ngày.", "The document has no date yet.")
    columns = numbering.columns_of(exchange, document, dated)
    columns |= {"number": fields.number, "sent_on": f"{to_local(now):%d/%m/%Y}"}
    records.advance(
        conn,
        seal,
        ref,
        "send",
        dataclasses.replace(
            fields,
            packet_digest=digest,
            message_id=packed.built.message_id,
            other_packets=tuple(
                (receiver.code, parcel.built.digest)
                for parcel in packed.parcels[1:]
                for receiver in parcel.receivers
            ),
        ),
        packet_digest=bytes.fromhex(digest),
    )
    rows.set_state(conn, seal, row, "issued", Entry(columns, clerk.address))
    joint_rows.follow(conn, exchange, document, "issued", clerk.address, sent_on=columns["sent_on"])
    sent: dict[str, JSON] = {**sent_event(document, digest).detail()}
    for one in packed.parcels[1:]:
        sent[f"packet_{one.receivers[0].code}"] = one.built.digest
    issued: dict[str, JSON] = {"number": fields.number, "row": row.name, "by": clerk.address}
    records.add_event(
        conn, seal, ref, "document.issued", fields.document_id, issued, partner=document.partner, at_us=now
    )
    records.add_event(
        conn,
        seal,
        ref,
        MOVES["send"].entry,
        fields.document_id,
        sent,
        partner=document.partner,
        at_us=now,
    )


def _judge(
    exchange: Exchange, document: Document, clerk: Account, issued: bytes, packet: DocumentPacket
) -> None:
    """The rules of sending. The row counts as issued: it becomes so in the transaction that sends."""
    if document.dated is None or document.serial is None:
        raise Refused("no-number", "Văn bản chưa được cấp số.", "The document has no number yet.")
    issuing = judged.issuing(
        exchange,
        document,
        clerk,
        judged.signatures_of(exchange, issued),
        number=kinds.shown_number(document.serial),
        dated=document.dated,
        row_state="issued",
    )
    facts.ask(exchange, facts.of_issue(issuing, "send", packet))
