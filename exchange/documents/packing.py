# SPDX-License-Identifier: AGPL-3.0-or-later
"""The packet of an issued document: edXML, its XML signature, the organisation's CMS, encryption (DESIGN 4.13)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509

from config.clock import now_us
from config.refusal import Refused
from exchange.documents import kinds, openpgp
from exchange.documents.issuers import content_of
from exchange.documents.model import Document
from exchange.edxml.attachments import pack
from exchange.edxml.checks import check
from exchange.edxml.codes import write_date, write_moment
from exchange.edxml.model import Business, DocumentPacket, Organ, Packet, Trace
from exchange.edxml.write import write
from exchange.exchange import Exchange
from exchange.sealing import xml_signature
from exchange.sealing.packet import Built, Sender, build_packet
from mailserver.accounts import Agency

_ROMAN = (
    *("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X"),
    *("XI", "XII", "XIII", "XIV", "XV", "XVI", "XVII", "XVIII", "XIX", "XX"),
)
ADMINISTRATIVE = "2"
"""DocumentType/Type of an administrative document (edxml.md 4.2)."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One packet mail and for whom it is."""

    built: Built
    receivers: tuple[Agency, ...]


@dataclass(frozen=True, slots=True)
class Packed:
    """The edXML as signed, what it says, and the packet mails around it.

    One for all receivers with certificates comes first; a partner that has only OpenPGP gets one of its own.
    """

    edxml: bytes
    packet: Packet
    parcels: tuple[Parcel, ...]

    @property
    def built(self) -> Built:
        """The first packet mail."""
        return self.parcels[0].built


def organ(agency: Agency) -> Organ:
    """An agency as a packet names it."""
    return Organ(organ_id=agency.code, name=agency.name, in_charge=agency.name, email=agency.registry_address)


def document_packet(
    exchange: Exchange,
    document: Document,
    issued: bytes,
    annexes: Sequence[tuple[str, bytes]] = (),
) -> DocumentPacket:
    """What the packet of an issued document says; ``annexes``: its attachments (name, sealed PDF) in order.

    Raises `Refused` when it may not be sent so.
    """
    fields = document.fields
    if document.dated is None or document.serial is None:
        raise Refused("no-number", "Văn bản chưa được cấp số.", "The document has no number yet.")
    sender = exchange.agency(fields.organ_code)
    receivers = [exchange.agency(code) for code in fields.to_codes]
    carried = [pack(name, data) for name, data in ((fields.file_name, issued), *annexes)]
    packet = DocumentPacket(
        sender=organ(sender),
        to=tuple(organ(one) for one in receivers),
        code_number=kinds.shown_number(document.serial),
        code_notation=fields.notation,
        place=fields.place,
        promulgation_date=write_date(document.dated),
        type_code=ADMINISTRATIVE,
        type_name=fields.kind,
        subject=fields.subject,
        content=content_of(exchange, fields),
        competence=fields.competence,
        position=fields.signer_title,
        full_name=fields.signer_name,
        due_date=fields.due_date,
        to_places=("Như trên", f"Lưu: VT{f', {fields.unit}' if fields.unit else ''}"),
        priority=str(document.priority),
        copies="1",
        pages=str(fields.pages),
        steering_type="0",
        document_id=fields.document_id,
        traces=(Trace(sender.code, write_moment(now_us())),),
        business=Business(paper="0"),
        appendixes=_appendixes([name for name, _ in annexes]),
        references=tuple(one for one, _ in carried),
        attachments=tuple(one for _, one in carried),
    )
    must_be_sendable(packet)
    return packet


def _appendixes(names: Sequence[str]) -> tuple[str, ...]:
    """OtherInfo/Appendixes: one is “Phụ lục”, several have Roman numerals (ND30/2020 App. I, III.1.a)."""
    if len(names) == 1:
        return (f"Phụ lục: {names[0]}"[:250],)
    return tuple(f"Phụ lục {_ROMAN[number]}: {name}"[:250] for number, name in enumerate(names))


def must_be_sendable(packet: Packet) -> None:
    """Raises `Refused` with every remark that blocks sending."""
    wrong = [one for one in check(packet, "send") if one.severity == "block"]
    if wrong:
        raise Refused(
            "packet-not-fit",
            " ".join(one.vi for one in wrong),
            " ".join(one.en for one in wrong),
            rule=wrong[0].rule,
        )


def seal_packet(
    exchange: Exchange,
    packet: Packet,
    sender: Agency,
    receivers: list[Agency],
    *,
    name: str,
    receipts: tuple[tuple[str, bytes], ...] = (),
) -> Packed:
    """Write, sign, and encrypt to each receiver and to the sender itself, in the form that each can open.

    Raises `Refused`, `Unavailable`.
    """
    certificates = signing_chain(exchange, sender.code)
    edxml = xml_signature.sign(
        write(packet), certificates, lambda info: exchange.signer.sign_xml(sender.code, info).signature
    )
    apart = [one for one in receivers if openpgp.partner_key(exchange, one.code)]
    together = [one for one in receivers if one not in apart]
    parcels = [
        Parcel(openpgp.seal_openpgp(exchange, edxml, sender, one, name=name, receipts=receipts), (one,))
        for one in apart
    ]
    if together:
        seal = Sender(
            sender.registry_address,
            certificates,
            lambda attributes: exchange.signer.sign_packet(sender.code, attributes).signature,
        )
        built = build_packet(
            edxml,
            seal,
            [(one.registry_address, _encryption(exchange, one)) for one in together],
            name=name,
            receipts=receipts,
            also_for=[_encryption(exchange, sender)],
        )
        parcels.insert(0, Parcel(built, tuple(together)))
    _must_not_be_larger(exchange, max(len(one.built.mail) for one in parcels))
    return Packed(edxml, packet, tuple(parcels))


def _must_not_be_larger(exchange: Exchange, size: int) -> None:
    largest = exchange.settings.mail.max_message_bytes
    if size > largest:
        raise Refused(
            "packet-too-large",
            f"Gói tin {size // 1_000_000} MB vượt giới hạn {largest // 1_000_000} MB của hệ thống thư.",
            f"The packet of {size // 1_000_000} MB exceeds the mail limit of {largest // 1_000_000} MB.",
        )


def signing_chain(exchange: Exchange, code: str) -> tuple[x509.Certificate, ...]:
    """The certificate of an agency's seal with its issuer. Raises `Refused`."""
    own = exchange.trust.signing_certificate_of_agency(code)
    if own is None:
        raise Refused(
            "no-certificate",
            f"Chưa có chứng thư ký số cho {code}.",
            f"There is no signing certificate for {code}.",
            rule="R-SIG-22",
        )
    return (own, *exchange.trust.issuers_of(own))


def _encryption(exchange: Exchange, agency: Agency) -> x509.Certificate:
    found = exchange.trust.encryption_certificate_of_agency(agency.code)
    if found is None:
        raise Refused(
            "no-encryption-certificate",
            f"{agency.name} chưa có chứng thư mã hóa.",
            f"{agency.name} has no encryption certificate.",
            rule="R-ISS-13",
        )
    return found
