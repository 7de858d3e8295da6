# SPDX-License-Identifier: AGPL-3.0-or-later
"""A status came back to the agency that sent a document: receipts verified, recorded, the outcome set.

The outcome of (document, recipient) is the function of all records (`exchange.receipts.outcome`); records are
never removed. A status without a sound receipt is kept as claimed, not proved.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from config.clock import now_us
from config.refusal import Refused
from config.writer import after_commit
from exchange.documents import files, finding, records
from exchange.documents.files import Written
from exchange.documents.model import Document, Happened, Recipient
from exchange.documents.work import judging, take_up
from exchange.edxml.codes import read_moment, to_new_code
from exchange.edxml.model import StatusPacket
from exchange.exchange import Exchange
from exchange.receipts.outcome import STATUS_EVENTS, Record, outcome
from exchange.receipts.receipt import Receipt, read_receipt
from exchange.receipts.verify import verify_receipt
from exchange.receiving.arrival import ArrivedStatus, status_problem
from exchange.receiving.keeping import Effect, take
from mailserver.accounts import Agency
from policy.ledger.entries import record
from policy.ledger.leaf import JSON

RECEIVED = "document.status-received"
"""The ledger entry at the agency that gets a status."""
_SECOND_US = 999_999
"""A status is dated in whole seconds: it happened somewhere in that second."""


@dataclass(frozen=True, slots=True)
class _Proof:
    """A receipt that belongs to the status, and whether it stands."""

    receipt: Receipt
    sound: bool
    why: str
    written: Written


def effect_of_status(exchange: Exchange, agency: Agency, found: ArrivedStatus) -> Effect:
    """What a status changes at the sender of the document. Raises `Unavailable`."""
    problem = status_problem(exchange, found.packet, len(found.opened.edxml))
    document = finding.sent_document(exchange, agency, found.packet.response_for.document_id)
    recipient = _recipient(exchange, document, found.sender) if document is not None else None
    if problem or document is None or recipient is None:
        why = problem or "no such document was sent to this agency"
        return _unmatched(exchange, agency, found, why)
    return _matched(exchange, agency, found, document, recipient)


def outcome_of(document: Document, code: str, happened: list[Happened]) -> str:
    """The one outcome of a document at the recipient ``code`` from all that is recorded."""
    kept = [Record("sent", document.created_us, document.fields.packet_for(code), True)]
    for one in happened:
        if one.partner == code and one.status:
            kept.append(
                Record(
                    STATUS_EVENTS[one.status],
                    one.at_us,
                    one.told.get("packet", ""),
                    one.proved,
                    int(one.told.get("seen_us", "0")) or None,
                )
            )
    return outcome(kept).state


def _matched(
    exchange: Exchange, agency: Agency, found: ArrivedStatus, document: Document, recipient: Recipient
) -> Effect:
    packet, digest = found.packet, bytes.fromhex(found.opened.digest)
    proof = _proof(exchange, document, found)
    proved = proof is not None and proof.sound
    now = now_us()
    claimed = read_moment(packet.timestamp)
    at = proof.receipt.leaf.at_us if proof is not None and proved else min((claimed or now) + _SECOND_US, now)
    told = {
        "reason": packet.description[:1000],
        "by": packet.staff.staff[:200] if packet.staff else "",
        "seen_us": str(now),
        "packet": proof.receipt.event.packet if proof is not None and proved else "",
        "why_not_proved": "" if proved else (proof.why if proof is not None else "no receipt"),
    }
    detail: dict[str, JSON] = {
        "document": document.ref.id,
        "status": packet.status_code,
        "from": found.sender.code,
        "proved": "yes" if proved else "no",
        "packet": found.opened.digest,
        "receipt": proof.written.sha256 if proof is not None else "",
    }

    def effect(conn: sa.Connection) -> None:
        if not take(conn, agency, digest):
            return
        ref = document.ref
        number = files.add(conn, exchange.seal, ref, "receipt", proof.written) if proof is not None else None
        records.add_event(
            conn,
            exchange.seal,
            ref,
            f"document.{STATUS_EVENTS[packet.status_code]}",
            document.ledger_subject,
            detail,
            partner=found.sender.code,
            status=packet.status_code,
            proved=proved,
            file=number,
            told=told,
            happened_us=at,
            entry=RECEIVED,
        )
        happened = records.events(conn, exchange.seal, ref)
        state = outcome_of(document, found.sender.code, happened)
        records.set_recipient(conn, ref, recipient.recipient, {"outcome": state})
        after_commit(conn, lambda: exchange.wake.publish("document", ref.id))

    return effect


def _proof(exchange: Exchange, document: Document, found: ArrivedStatus) -> _Proof | None:
    """The receipt that came with the status and speaks of the same event, judged."""
    answered = found.packet.response_for.document_id
    for name, data in found.opened.receipts:
        try:
            receipt = read_receipt(data)
        except Refused:
            continue
        event = receipt.event
        if receipt.document != answered or event.status != found.packet.status_code:
            continue
        verdict = verify_receipt(data, judging(exchange), exchange.ledger_keys.all)
        same = to_new_code(event.issuer) == to_new_code(found.sender.code) == to_new_code(event.recipient)
        mine = to_new_code(event.sender) == to_new_code(document.fields.organ_code)
        why = verdict.reason if not verdict.passed else "" if same and mine else "it names other agencies"
        work = take_up(exchange, document.ref, "receipt")
        written = exchange.files.write(document.ref.agency, work.key, name, files.JSON, data)
        return _Proof(receipt, not why, why, written)
    return None


def _recipient(exchange: Exchange, document: Document, sender: Agency) -> Recipient | None:
    with exchange.database.reading() as conn:
        listed = records.recipients(conn, document.ref)
    return next((one for one in listed if one.code == sender.code), None)


def _unmatched(exchange: Exchange, agency: Agency, found: ArrivedStatus, why: str) -> Effect:
    """Kept in the ledger, applied to nothing."""
    packet: StatusPacket = found.packet
    subject = packet.response_for.document_id[:200] or f"packet/{found.opened.digest}"
    detail: dict[str, JSON] = {
        "status": packet.status_code[:10],
        "from": found.sender.code,
        "to": agency.code,
        "packet": found.opened.digest,
        "why": why[:500],
    }

    def effect(conn: sa.Connection) -> None:
        if take(conn, agency, bytes.fromhex(found.opened.digest)):
            record(conn, exchange.seal, "document.status-unmatched", subject, detail)

    return effect
