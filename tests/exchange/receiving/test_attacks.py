# SPDX-License-Identifier: AGPL-3.0-or-later
"""Forged, damaged, repeated, misdirected, altered and secret packets; a signer that is down; lying statuses."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from config.clock import now_us
from config.refusal import Unavailable
from exchange.documents import files, records, schema
from exchange.documents.packing import document_packet, organ, seal_packet, signing_chain
from exchange.documents.work import Unwrapping, judging
from exchange.edxml.attachments import pack
from exchange.edxml.model import DocumentPacket
from exchange.edxml.statuses import answer
from exchange.receiving import answers
from exchange.receiving.follower import Follower, cursor
from exchange.sealing.packet import Sender, build_packet, open_packet
from exchange.signing.signer_client import SignerClient
from mailserver.accounts import Agency
from policy.ledger import schema as ledger
from tests.exchange.documents.office import Office
from tests.exchange.receiving.carrying import (
    arrivals,
    carry,
    deliver,
    issue,
    issued_pdf,
    outcome,
    round_trip,
    take_queue,
)

INCIDENT = ("incident", [("sent", True), ("refused", True)])
"""What the sender sees when another packet than the one it sent was refused under its document's id."""


def packet_of(office: Office, told: dict[str, Any]) -> DocumentPacket:
    """The packet of an issued document, as it was sent."""
    document, pdf = issued_pdf(office, told)
    return document_packet(office.exchange, document, pdf)


def send(office: Office, packet: DocumentPacket, sender: Agency, receiver: Agency) -> None:
    """Seal ``packet`` as ``sender`` and deliver it."""
    packed = seal_packet(office.exchange, packet, sender, [receiver], name="document.edxml")
    deliver(office, sender.registry_address, receiver.registry_address, packed.built.mail)


def follow(office: Office) -> None:
    Follower(office.exchange).follow()


def ledger_kinds(office: Office) -> list[str]:
    with office.exchange.database.reading() as conn:
        waiting = conn.execute(sa.select(ledger.pending.c.kind)).scalars().all()
        kept = conn.execute(sa.select(ledger.entry.c.kind)).scalars().all()
    return [*kept, *waiting]


def test_a_forged_sender_is_refused_without_an_answer(small_office: Office) -> None:
    office = small_office
    packet = packet_of(office, issue(office))
    take_queue(office)
    turned = replace(packet, to=(organ(office.home),))
    send(office, turned, office.other, office.home)  # says it is from the home agency, signed by the other
    follow(office)
    with office.exchange.database.reading() as conn:
        row = conn.execute(sa.select(schema.document).where(schema.document.c.direction == "incoming")).one()
        document = records.read(office.exchange.seal, row)
    assert (document.state, document.fields.document_id) == ("refused", "")
    assert "H12.02" in document.fields.reason
    office.sequencer.sequence_once()
    assert answers.send_due(office.exchange) == 0
    assert "document.packet-refused" in ledger_kinds(office)


def test_a_damaged_packet_is_held_and_the_next_is_taken(small_office: Office) -> None:
    office = small_office
    issue(office)
    ((sender, recipient, mail),) = take_queue(office)
    head, _, body = mail.partition(b"\r\n\r\n")
    raw = bytearray(base64.b64decode(body))
    raw[len(raw) // 2] ^= 1
    encoded = base64.b64encode(raw)
    lines = b"".join(encoded[at : at + 64] + b"\r\n" for at in range(0, len(encoded), 64))
    deliver(office, sender, recipient, head + b"\r\n\r\n" + lines)
    deliver(office, sender, recipient, mail[:5000])
    deliver(office, sender, recipient, b"From: a@b.example\r\nSubject: an ordinary mail\r\n\r\nhello\r\n")
    deliver(office, sender, recipient, mail)
    follow(office)
    assert [one.state for one in arrivals(office)] == ["held", "held", "arrived"]


def test_the_same_packet_counts_once(small_office: Office) -> None:
    office = small_office
    told = issue(office)
    ((sender, recipient, mail),) = take_queue(office)
    for _ in range(3):
        deliver(office, sender, recipient, mail)
        follow(office)
    assert len(arrivals(office)) == 1
    round_trip(office)
    assert outcome(office, told) == ("delivered", [("sent", True), ("arrived", True)])


def test_the_same_document_in_another_packet_repeats_the_last_status(small_office: Office) -> None:
    office = small_office
    told = issue(office)
    document, _ = issued_pdf(office, told)
    round_trip(office)
    edxml = _edxml_of(office, told)
    _resend(office, edxml)
    follow(office)
    assert [one.state for one in arrivals(office)] == ["arrived"]
    assert "document.repeated" in ledger_kinds(office)
    round_trip(office)
    assert outcome(office, told)[0] == "delivered"
    assert document.fields.document_id == arrivals(office)[0].fields.document_id


def test_other_content_under_a_known_id_waits_for_the_clerk(small_office: Office) -> None:
    office = small_office
    told = issue(office)
    round_trip(office)
    packet = packet_of(office, told)
    send(office, replace(packet, subject="Nội dung khác"), office.home, office.other)
    follow(office)
    assert [one.state for one in arrivals(office)] == ["arrived", "held"]


def test_a_packet_for_somebody_else_goes_back(small_office: Office) -> None:
    office = small_office
    told = issue(office)
    packet = packet_of(office, told)
    take_queue(office)
    send(office, replace(packet, to=(organ(office.home),)), office.home, office.other)
    round_trip(office)
    (arrived,) = arrivals(office)
    assert (arrived.state, arrived.fields.reason[:17]) == ("refused", "Gửi sai nơi nhận:")
    assert outcome(office, told) == INCIDENT


@pytest.mark.parametrize("how", ["appended", "changed"])
def test_an_altered_pdf_goes_back(small_office: Office, how: str) -> None:
    office = small_office
    told = issue(office)
    document, pdf = issued_pdf(office, told)
    take_queue(office)
    altered = pdf + b"\n% x" if how == "appended" else pdf.replace(b"/Type /Page", b"/Type /Pagf", 1)
    assert altered != pdf
    packet = document_packet(office.exchange, document, pdf)
    reference, attachment = pack(document.fields.file_name, altered)
    send(
        office, replace(packet, references=(reference,), attachments=(attachment,)), office.home, office.other
    )
    round_trip(office)
    (arrived,) = arrivals(office)
    assert arrived.state == "refused"
    assert outcome(office, told) == INCIDENT


def test_a_mark_of_secrecy_is_held_and_nothing_is_kept(small_office: Office) -> None:
    office = small_office
    told = issue(office)
    packet = packet_of(office, told)
    take_queue(office)
    send(office, replace(packet, subject="TUYỆT MẬT"), office.home, office.other)
    round_trip(office)
    (arrived,) = arrivals(office)
    assert (arrived.state, arrived.fields.subject, arrived.fields.number) == ("held", "", "")
    with office.exchange.database.reading() as conn:
        assert files.listing(conn, office.exchange.seal, arrived.ref) == []
    assert outcome(office, told) == INCIDENT


def test_an_unsigned_pdf_is_for_information_only(small_office: Office) -> None:
    office = small_office
    told = issue(office)
    document, pdf = issued_pdf(office, told)
    take_queue(office)
    with office.exchange.database.reading() as conn:
        draft = files.newest(conn, office.exchange.seal, document.ref, "draft")
    opened = office.exchange.document_key(document.fields.key_code, document.wrapped_key, "open", "test")
    plain = office.exchange.files.read(opened.key, draft)
    reference, attachment = pack("van-ban.pdf", plain)
    packet = document_packet(office.exchange, document, pdf)
    send(
        office, replace(packet, references=(reference,), attachments=(attachment,)), office.home, office.other
    )
    follow(office)
    (arrived,) = arrivals(office)
    assert (arrived.state, arrived.fields.official) == ("arrived", False)
    assert any(one.startswith("R-SIG-18") for one in arrived.fields.remarks)


def test_a_signer_that_is_down_makes_the_follower_wait(small_office: Office) -> None:
    office = small_office
    issue(office)
    carry(office)
    box = office.province.store.find(office.other.registry, "INBOX")
    assert box is not None
    before = cursor(office.exchange, box)
    down = replace(office.exchange, signer=SignerClient(office.folder / "nobody.sock", timeout=1))
    for _ in range(2):
        with pytest.raises(Unavailable):
            Follower(down).follow()
    assert cursor(office.exchange, box) == before
    assert arrivals(office) == []
    follow(office)
    assert [one.state for one in arrivals(office)] == ["arrived"]
    mailbox = office.province.store.mailbox(box)
    assert mailbox is not None
    assert cursor(office.exchange, box) == mailbox.highestmodseq


def test_a_status_from_a_stranger_changes_nothing(small_office: Office) -> None:
    """The home agency's document; the home agency itself is no recipient of it."""
    office = small_office
    told = issue(office)
    packet = packet_of(office, told)
    take_queue(office)
    lie = answer(packet, organ(office.home), "03", now_us())
    packed = seal_packet(office.exchange, lie, office.home, [office.home], name="status.edxml")
    deliver(office, office.home.registry_address, office.home.registry_address, packed.built.mail)
    follow(office)
    assert outcome(office, told)[0] == "pending"
    assert "document.status-unmatched" in ledger_kinds(office)


def test_a_status_without_a_receipt_is_claimed_not_proved(small_office: Office) -> None:
    office = small_office
    told = issue(office)
    packet = packet_of(office, told)
    take_queue(office)
    claim = answer(packet, organ(office.other), "03", now_us())
    packed = seal_packet(office.exchange, claim, office.other, [office.home], name="status.edxml")
    deliver(office, office.other.registry_address, office.home.registry_address, packed.built.mail)
    follow(office)
    office.sequencer.sequence_once()
    assert outcome(office, told) == ("accepted", [("sent", True), ("registered", False)])


def test_a_receipt_of_another_document_proves_nothing(small_office: Office) -> None:
    office = small_office
    first, second = issue(office), issue(office)
    carry(office)
    follow(office)
    office.sequencer.sequence_once()
    assert answers.send_due(office.exchange) == 2
    receipts = _receipts(office)
    packet = packet_of(office, second)
    lie = answer(packet, organ(office.other), "01", now_us())
    stolen = next(data for data in receipts if first["document_id"].encode() in data)
    packed = seal_packet(
        office.exchange,
        lie,
        office.other,
        [office.home],
        name="status.edxml",
        receipts=(("01-H12.02-1.receipt.json", stolen),),
    )
    deliver(office, office.other.registry_address, office.home.registry_address, packed.built.mail)
    follow(office)
    assert outcome(office, second)[1][-1] == ("arrived", False)


def _receipts(office: Office) -> list[bytes]:
    """The receipts in the queued statuses, which are taken out of the queue."""
    found: list[bytes] = []
    opener = Unwrapping(office.exchange, office.home, "open", "test").openers[0]
    for _, _, mail in take_queue(office):
        found += [data for _, data in open_packet(mail, [opener], judging(office.exchange)).receipts]
    return found


def _edxml_of(office: Office, told: dict[str, Any]) -> bytes:
    document, _ = issued_pdf(office, told)
    opened = office.exchange.document_key(document.fields.key_code, document.wrapped_key, "open", "test")
    with office.exchange.database.reading() as conn:
        stored = files.newest(conn, office.exchange.seal, document.ref, "edxml")
    return office.exchange.files.read(opened.key, stored)


def _resend(office: Office, edxml: bytes) -> None:
    """The very same edXML in a packet of its own."""
    exchange, home, other = office.exchange, office.home, office.other
    certificate = exchange.trust.encryption_certificate_of_agency(other.code)
    assert certificate is not None
    seal = Sender(
        home.registry_address,
        signing_chain(exchange, home.code),
        lambda attributes: exchange.signer.sign_packet(home.code, attributes).signature,
    )
    built = build_packet(edxml, seal, [(other.registry_address, certificate)], name="document.edxml")
    deliver(office, home.registry_address, other.registry_address, built.mail)
