# SPDX-License-Identifier: AGPL-3.0-or-later
"""A packet value → edXML bytes, in the shape of the samples and the order of edxml.md section 2.

The root and the attachments use the default namespace, the envelope declares the prefix ``edXML``, and
``ContentTransferEncoded`` declares it again. Written as text, because an XML library would fold the two
prefixes of one URI together. Absent fields are left out. Raises ``Refused("edxml-text", …)`` for a
character XML cannot carry.
"""

from __future__ import annotations

import base64
import re
from xml.sax.saxutils import escape

from config.refusal import Refused
from exchange.edxml.model import (
    NAMESPACE,
    REPLACEMENT,
    UPDATE,
    Attachment,
    Business,
    DocumentPacket,
    Organ,
    Packet,
    ResponseFor,
    Staff,
    StatusPacket,
)

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class _Lines:
    """Nested elements as indented lines."""

    def __init__(self) -> None:
        self.parts: list[str] = ['<?xml version="1.0" encoding="UTF-8"?>\n']
        self.level = 0

    def open(self, name: str, attributes: str = "") -> None:
        self.parts.append(f"{'  ' * self.level}<{name}{attributes}>\n")
        self.level += 1

    def close(self, name: str) -> None:
        self.level -= 1
        self.parts.append(f"{'  ' * self.level}</{name}>\n")

    def leaf(self, name: str, text: str, attributes: str = "") -> None:
        text = text.strip()
        if not text:
            return
        if _FORBIDDEN.search(text):
            raise Refused(
                "edxml-text",
                f"{name}: có ký tự điều khiển.",
                f"{name}: a control character.",
                rule="R-MET-16",
            )
        safe = escape(text, {"\r": "&#13;"})
        self.parts.append(f"{'  ' * self.level}<{name}{attributes}>{safe}</{name}>\n")

    def e(self, name: str, text: str) -> None:
        self.leaf(f"edXML:{name}", text)

    def start(self, name: str, attributes: str = "") -> None:
        self.open(f"edXML:{name}", attributes)

    def end(self, name: str) -> None:
        self.close(f"edXML:{name}")

    def group(self, name: str, fields: tuple[tuple[str, str], ...]) -> None:
        if any(text.strip() for _, text in fields):
            self.start(name)
            for field, text in fields:
                self.e(field, text)
            self.end(name)

    def several(self, name: str, item: str, texts: tuple[str, ...]) -> None:
        self.group(name, tuple((item, text) for text in texts))

    def bytes(self) -> bytes:
        return "".join(self.parts).encode("utf-8")


def write(packet: Packet) -> bytes:
    """The bytes of a document or status packet, unsigned."""
    out = _Lines()
    out.open("edXML", f' xmlns="{NAMESPACE}"')
    out.start("edXMLEnvelope", f' xmlns:edXML="{NAMESPACE}"')
    out.start("edXMLHeader")
    if isinstance(packet, StatusPacket):
        _status_header(out, packet)
        out.end("edXMLHeader")
        out.end("edXMLEnvelope")
    else:
        _document_header(out, packet)
        _trace(out, packet)
        out.end("edXMLHeader")
        _manifest(out, packet)
        out.end("edXMLEnvelope")
        _attachments(out, packet.attachments)
    out.close("edXML")
    return out.bytes()


def _organ(out: _Lines, name: str, organ: Organ) -> None:
    out.group(
        name,
        (
            ("OrganId", organ.organ_id),
            ("OrganizationInCharge", organ.in_charge),
            ("OrganName", organ.name),
            ("OrganAdd", organ.address),
            ("Email", organ.email),
            ("Telephone", organ.telephone),
            ("Fax", organ.fax),
            ("Website", organ.website),
        ),
    )


def _staff(out: _Lines, staff: Staff | None) -> None:
    if staff is not None:
        out.group(
            "StaffInfo",
            (
                ("Department", staff.department),
                ("Staff", staff.staff),
                ("Email", staff.email),
                ("Mobile", staff.mobile),
            ),
        )


def _response_for(out: _Lines, answered: ResponseFor) -> None:
    out.group(
        "ResponseFor",
        (
            ("OrganId", answered.organ_id),
            ("Code", answered.code),
            ("PromulgationDate", answered.promulgation_date),
            ("DocumentId", answered.document_id),
        ),
    )


def _status_header(out: _Lines, packet: StatusPacket) -> None:
    out.start("MessageHeader")
    _organ(out, "From", packet.sender)
    _response_for(out, packet.response_for)
    _staff(out, packet.staff)
    out.e("StatusCode", packet.status_code)
    out.e("Description", packet.description)
    out.e("Timestamp", packet.timestamp)
    out.end("MessageHeader")


def _document_header(out: _Lines, packet: DocumentPacket) -> None:
    out.start("MessageHeader")
    _organ(out, "From", packet.sender)
    for organ in packet.to:
        _organ(out, "To", organ)
    out.group("Code", (("CodeNumber", packet.code_number), ("CodeNotation", packet.code_notation)))
    out.group("PromulgationInfo", (("Place", packet.place), ("PromulgationDate", packet.promulgation_date)))
    out.group(
        "DocumentType",
        (("Type", packet.type_code), ("TypeDetail", packet.type_detail), ("TypeName", packet.type_name)),
    )
    out.e("Subject", packet.subject)
    out.e("Content", packet.content)
    out.group(
        "SignerInfo",
        (("Competence", packet.competence), ("Position", packet.position), ("FullName", packet.full_name)),
    )
    out.e("DueDate", packet.due_date)
    out.several("ToPlaces", "Place", packet.to_places)
    _other_info(out, packet)
    for answered in packet.response_for:
        _response_for(out, answered)
    for task in packet.task_codes:
        out.group("ResponseForTask", (("TaskCode", task),))
    out.e("SteeringType", packet.steering_type)
    out.e("DocumentId", packet.document_id)
    out.e("ApplicationType", packet.application_type)
    out.end("MessageHeader")


def _other_info(out: _Lines, packet: DocumentPacket) -> None:
    fields = (
        ("Priority", packet.priority),
        ("SphereOfPromulgation", packet.sphere),
        ("TyperNotation", packet.typer_notation),
        ("PromulgationAmount", packet.copies),
        ("PageAmount", packet.pages),
        ("Direction", packet.direction),
    )
    if any(text.strip() for _, text in fields) or packet.appendixes:
        out.start("OtherInfo")
        for name, text in fields:
            out.e(name, text)
        out.several("Appendixes", "Appendix", packet.appendixes)
        out.end("OtherInfo")


def _trace(out: _Lines, packet: DocumentPacket) -> None:
    out.start("TraceHeaderList")
    for hop in packet.traces:
        out.group("TraceHeader", (("OrganId", hop.organ_id), ("Timestamp", hop.timestamp)))
    _business(out, packet.business)
    out.end("TraceHeaderList")


def _business(out: _Lines, business: Business) -> None:
    out.start("Bussiness")
    out.e("BussinessDocType", business.kind)
    out.e("BussinessDocReason", business.reason)
    if business.kind == UPDATE or business.document_info or business.document_receiver or business.receivers:
        out.start("BussinessDocumentInfo")
        out.e("DocumentInfo", business.document_info)
        out.e("DocumentReceiver", business.document_receiver)
        if business.receivers:
            out.start("ReceiverList")
            for one in business.receivers:
                out.group("Receiver", (("OrganId", one.organ_id), ("ReceiverType", one.receiver_type)))
            out.end("ReceiverList")
        out.end("BussinessDocumentInfo")
    out.e("DocumentId", business.document_id)
    _staff(out, business.staff)
    out.e("Paper", business.paper)
    if business.kind == REPLACEMENT or business.replacements:
        out.start("ReplacementInfoList")
        for replaced in business.replacements:
            out.start("ReplacementInfo")
            out.e("DocumentId", replaced.document_id)
            out.several("OrganIdList", "OrganId", replaced.organ_ids)
            out.end("ReplacementInfo")
        out.end("ReplacementInfoList")
    out.end("Bussiness")


def _manifest(out: _Lines, packet: DocumentPacket) -> None:
    out.start("edXMLBody")
    out.start("edXMLManifest", ' version="1.0"')
    for reference in packet.references:
        out.group(
            "Reference",
            (
                ("ContentId", f"cid:{reference.content_id}"),
                ("ContentType", reference.content_type),
                ("Description", reference.description),
                ("AttachmentName", reference.name),
            ),
        )
    out.end("edXMLManifest")
    out.end("edXMLBody")


def _attachments(out: _Lines, attachments: tuple[Attachment, ...]) -> None:
    if not attachments:
        return
    out.open("AttachmentEncoded")
    for attachment in attachments:
        out.open("Attachment")
        out.leaf("ContentId", f"cid:{attachment.content_id}")
        out.leaf("AttachmentName", attachment.name)
        out.leaf("Description", attachment.description)
        out.leaf("ContentType", attachment.content_type)
        encoded = base64.b64encode(attachment.data).decode("ascii")
        out.leaf("edXML:ContentTransferEncoded", encoded, f' xmlns:edXML="{NAMESPACE}"')
        out.close("Attachment")
    out.close("AttachmentEncoded")
