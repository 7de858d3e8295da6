# SPDX-License-Identifier: AGPL-3.0-or-later
"""A document as it is issued: a PDF signed by a person and sealed, its signed edXML, packet, evidence."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from config.clock import now_us
from exchange.edxml.codes import write_moment
from exchange.edxml.model import DocumentPacket, Trace
from exchange.edxml.write import write
from exchange.receipts.evidence import make_evidence
from exchange.receipts.receipt import Event, file_name, write_receipt
from exchange.sealing.packet import Built, build_packet
from exchange.sealing.xml_signature import sign
from exchange.signing.pdf.compose import Draft, compose_draft
from exchange.signing.pdf.fields import date_line, fill, number_line
from exchange.signing.pdf.layout import ORGANISATION, PERSON
from exchange.signing.pdf.prepare import prepare
from exchange.signing.pdf.sign import begin, finish
from exchange.trust import authority as ca
from tests.exchange.edxml.samples import document
from tests.exchange.receipts.ledger import receipt
from tests.exchange.sealing.province import Agency, Province


class Issued:
    """Everything of one issued document, from H12.01 to H12.11."""

    def __init__(self, province: Province, seal: Agency | None = None) -> None:
        self.province = province
        self.pdf = _signed_pdf(province, seal or province.a)
        sender = province.a
        self.edxml = sign(write(_now(document(self.pdf))), sender.chain, sender.sign)
        self.built = self.pack(self.edxml)
        self.receipts = [self.receipt("arrived", "01"), self.receipt("registered", "03")]

    def pack(self, edxml: bytes, receipts: tuple[tuple[str, bytes], ...] = ()) -> Built:
        b, a = self.province.b, self.province.a
        return build_packet(edxml, a.sender, [(b.address, b.encryption)], receipts=receipts)

    def receipt(self, name: str, status: str) -> tuple[str, bytes]:
        event = Event(name, status, self.built.digest, "H12.01", "H12.11", "H12.11")
        by = self.province.b if event.personal else None
        made = receipt(self.province, event, by=by, at_us=now_us())
        return file_name(event, made.proof.index), write_receipt(made)

    def evidence(self, crls: tuple[x509.CertificateRevocationList, ...] = ()) -> bytes:
        built = self.built
        return make_evidence(built.mail, built.content_key, self.edxml, self.receipts, (), crls)


def _now(packet: DocumentPacket) -> DocumentPacket:
    return replace(packet, traces=(Trace(packet.sender.organ_id, write_moment(now_us())),))


def person(province: Province, agency: str) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """A person of ``agency`` (its name) with the address ``lanh.dao@a.example``."""
    key = ca.new_key()
    certificate = ca.person_certificate(
        province.issuing,
        key.public_key(),
        agency=agency,
        title="Chánh Văn phòng",
        name="Chánh Văn phòng",
        address="lanh.dao@a.example",
    )
    return key, certificate


def _signed_pdf(province: Province, agency: Agency) -> bytes:
    issuer = (province.issuing.certificate,)
    key, certificate = person(province, f"Cơ quan {agency.code}")
    text = Draft(
        f"Cơ quan {agency.code}", "Thử", ("Một đoạn.",), "Chánh Văn phòng", "Người ký", kind="Thông báo"
    )
    data = prepare(compose_draft(text))
    begun = begin(data, PERSON, certificate, issuer)
    data, _ = finish(begun, key.sign(begun.signed_attrs, ec.ECDSA(hashes.SHA256())))
    data = fill(data, number_line("12/TB-VP"), date_line("Cà Mau", date(2026, 1, 5)))
    begun = begin(data, ORGANISATION, agency.chain[0], issuer)
    return finish(begun, agency.sign(begun.signed_attrs))[0]
