# SPDX-License-Identifier: AGPL-3.0-or-later
"""The evidence file of a document, made from what this agency has: packet, content, every receipt."""

from __future__ import annotations

from cryptography import x509

from config.refusal import Refused, Unavailable
from exchange.documents import files, records
from exchange.documents.model import DocumentRef
from exchange.documents.opening import open_any
from exchange.documents.work import load, take_up
from exchange.exchange import Exchange
from exchange.receipts.evidence import make_evidence
from exchange.receipts.receipt import Receipt, read_receipt
from exchange.receiving.proving import receipt_of
from exchange.signing.key_client import Keys
from exchange.signing.phone.approval import Approval
from exchange.trust.revocation import lists_about
from exchange.verifying.approval import write_approval

_OURS = ("document.sent", "document.arrived", "document.registered", "document.refused")


def evidence_of(exchange: Exchange, ref: DocumentRef, who: str) -> bytes:
    """The container for a sent document. Raises `Refused`, `Unavailable` (signer down, not sealed yet)."""
    document = load(exchange, ref)
    if document.direction != "outgoing" or document.state != "sent":
        raise Refused(
            "not-sent",
            "Hồ sơ chứng cứ lập từ văn bản đi đã phát hành; nêu mã của bên gửi.",
            "Evidence is made of a document that was sent; name the sender's.",
        )
    agency = exchange.agency_numbered(ref.agency)
    work = take_up(exchange, ref, who)
    with exchange.database.reading() as conn:
        kept = files.listing(conn, exchange.seal, ref)
        happened = records.events(conn, exchange.seal, ref)
        said = [one.proof for one in records.approvals(conn, exchange.seal, ref) if one.proof]
        receipts: list[tuple[str, bytes]] = []
        for one in happened:
            if one.kind in _OURS and one.partner == agency.code:
                receipts.append(receipt_of(exchange, conn, one))
    names = {name for name, _ in receipts}
    for stored in kept:
        if stored.role == "receipt" and stored.name not in names:
            receipts.append((stored.name, exchange.files.read(work.key, stored)))
            names.add(stored.name)
    mail = next(exchange.files.read(work.key, one) for one in kept if one.role == "packet")
    try:
        opened, _ = open_any(exchange, agency, mail, "open", who)
    except Unavailable:
        raise
    except Refused as problem:
        raise Unavailable(problem.code, problem.vi, problem.en) from problem
    others = {
        digest for _, digest in document.fields.other_packets
    }  # receipts on another packet prove another
    read = [(name, data, read_receipt(data)) for name, data in receipts]
    receipts = [(name, data) for name, data, one in read if one.event.packet not in others]
    anchors = exchange.trust.anchors()
    shown = [*anchors.intermediates, *(one for _, _, found in read for one in _certificates(found))]
    shown += [one for one in (exchange.trust.signing_certificate_of_agency(agency.code),) if one is not None]
    return make_evidence(
        mail,
        opened.content_key,
        opened.edxml,
        receipts,
        anchors.intermediates,
        lists_about(shown, anchors.crls),
        [_with_certificates(exchange, one) for one in said],
        [exchange.files.read(work.key, one) for one in kept if one.role == "stamp"],
    )


def _certificates(receipt: Receipt) -> tuple[x509.Certificate, ...]:
    return (*receipt.log_certificates, *(receipt.act.certificates if receipt.act else ()))


def _with_certificates(exchange: Exchange, proof: str) -> bytes:
    """A passkey's yes with the certificates that say whose passkey it is."""
    found = Approval.read(proof)
    enrolled = Keys(exchange.signer).passkeys_ever(found.statement.signer)
    own = [one.certificate for one in enrolled if one.credential == found.assertion.credential]
    held = [x509.load_der_x509_certificate(one) for one in own]
    return write_approval(found, [*held, *exchange.trust.issuers_of(*held)])
