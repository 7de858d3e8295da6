# SPDX-License-Identifier: AGPL-3.0-or-later
"""edXML bytes → a packet value. Lenient as live packets need it, never guessing.

Any order of children, any prefix (elements match by namespace URI and local name), blanks stripped,
all-empty groups absent, both spellings of ``Bussiness…``. What is odd but readable is left to
``checks``; what cannot be a packet at all raises ``Refused`` (edxml.md sections 2, 5, 7, 8).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import TypeVar

from lxml import etree

from exchange.edxml.model import (
    NAMESPACE,
    NEW,
    Attachment,
    Business,
    DocumentPacket,
    Organ,
    Packet,
    Problem,
    Receiver,
    Reference,
    Replacement,
    ResponseFor,
    Staff,
    StatusPacket,
    Trace,
)
from exchange.edxml.tree import not_readable, parse

T = TypeVar("T")
_Q = f"{{{NAMESPACE}}}"
MAX_ATTACHMENTS = 100
MAX_ORGANS = 2_000


@dataclass(frozen=True, slots=True)
class Reading:
    """What came out of a file: the packet, whether the repair rule was needed, remarks of the reader."""

    packet: Packet
    repaired: bool
    problems: tuple[Problem, ...] = ()


def read(data: bytes) -> Reading:
    """Read a document or status packet. Raises ``Refused`` and nothing else, whatever the bytes are."""
    root, repaired = parse(data)
    return read_tree(root, repaired)


def read_tree(root: etree._Element, repaired: bool = False) -> Reading:
    """As ``read``, for a tree that ``tree.parse`` gave (or that a signature check gave back)."""
    reader = _Reader()
    envelope = reader.child(root, "edXMLEnvelope")
    header = reader.child(envelope, "edXMLHeader")
    message = reader.child(header, "MessageHeader")
    if envelope is None or header is None or message is None:
        raise not_readable(
            "edxml-no-header",
            "Thiếu edXMLEnvelope, edXMLHeader hoặc MessageHeader.",
            "edXMLEnvelope, edXMLHeader or MessageHeader is missing.",
        )
    sender = reader.organ(reader.child(message, "From"))
    if reader.child(message, "StatusCode") is not None:
        packet: Packet = reader.status(sender, message)
    else:
        body = reader.child(envelope, "edXMLBody")
        packet = reader.document(sender, message, header, body, reader.child(root, "AttachmentEncoded"))
    return Reading(packet, repaired, tuple(reader.problems))


class _Reader:
    """Helpers that note what they stumble over."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def child(self, parent: etree._Element | None, *names: str) -> etree._Element | None:
        found = self.children(parent, *names)
        if len(found) > 1:
            name = etree.QName(found[0]).localname
            self._note(name, f"{name} có {len(found)} lần.", f"{name} stands {len(found)} times.")
        return found[0] if found else None

    def children(self, parent: etree._Element | None, *names: str) -> list[etree._Element]:
        if parent is None:
            return []
        return [node for name in names for node in parent.iterchildren(_Q + name)]

    def text(self, parent: etree._Element | None, *names: str) -> str:
        return self.leaf(self.child(parent, *names))

    def leaf(self, node: etree._Element | None) -> str:
        if node is None:
            return ""
        if len(node):
            name = etree.QName(node).localname
            self._note(name, f"{name} có phần tử con.", f"{name} has child elements.")
        return (node.text or "").strip()

    def texts(self, parent: etree._Element | None, name: str) -> tuple[str, ...]:
        return tuple(text for text in map(self.leaf, self.children(parent, name)) if text)

    def group(
        self, nodes: list[etree._Element], make: Callable[[etree._Element], T], empty: T
    ) -> tuple[T, ...]:
        if len(nodes) > MAX_ORGANS:
            raise not_readable("edxml-too-many", "Quá nhiều phần tử lặp.", "Too many repeated elements.")
        return tuple(value for value in map(make, nodes) if value != empty)

    def _note(self, element: str, vi: str, en: str) -> None:
        self.problems.append(Problem(element, "R-MET-16", "block", vi, en))

    def organ(self, node: etree._Element | None) -> Organ:
        names = ("OrganId", "OrganName", "OrganizationInCharge", "OrganAdd")
        return Organ(*(self.text(node, name) for name in (*names, "Email", "Telephone", "Fax", "Website")))

    def staff(self, node: etree._Element | None) -> Staff | None:
        value = Staff(*(self.text(node, name) for name in ("Department", "Staff", "Email", "Mobile")))
        return value if any(astuple(value)) else None

    def response_for(self, node: etree._Element | None) -> ResponseFor:
        names = ("OrganId", "Code", "PromulgationDate", "DocumentId")
        return ResponseFor(*(self.text(node, name) for name in names))

    def status(self, sender: Organ, message: etree._Element) -> StatusPacket:
        return StatusPacket(
            sender=sender,
            response_for=self.response_for(self.child(message, "ResponseFor")),
            status_code=self.text(message, "StatusCode"),
            description=self.text(message, "Description"),
            timestamp=self.text(message, "Timestamp"),
            staff=self.staff(self.child(message, "StaffInfo")),
        )

    def document(
        self,
        sender: Organ,
        message: etree._Element,
        header: etree._Element,
        body: etree._Element | None,
        attached: etree._Element | None,
    ) -> DocumentPacket:
        code = self.child(message, "Code")
        issued = self.child(message, "PromulgationInfo")
        kind = self.child(message, "DocumentType")
        signer = self.child(message, "SignerInfo")
        other = self.child(message, "OtherInfo")
        tasks = self.children(message, "ResponseForTask")
        trace = self.child(header, "TraceHeaderList")
        return DocumentPacket(
            sender=sender,
            to=self.group(self.children(message, "To"), self.organ, Organ()),
            code_number=self.text(code, "CodeNumber"),
            code_notation=self.text(code, "CodeNotation"),
            place=self.text(issued, "Place"),
            promulgation_date=self.text(issued, "PromulgationDate"),
            type_code=self.text(kind, "Type"),
            type_detail=self.text(kind, "TypeDetail"),
            type_name=self.text(kind, "TypeName"),
            subject=self.text(message, "Subject"),
            content=self.text(message, "Content"),
            competence=self.text(signer, "Competence"),
            position=self.text(signer, "Position", "Function"),
            full_name=self.text(signer, "FullName"),
            due_date=self.text(message, "DueDate"),
            to_places=self.texts(self.child(message, "ToPlaces"), "Place"),
            priority=self.text(other, "Priority"),
            sphere=self.text(other, "SphereOfPromulgation"),
            typer_notation=self.text(other, "TyperNotation"),
            copies=self.text(other, "PromulgationAmount"),
            pages=self.text(other, "PageAmount"),
            direction=self.text(other, "Direction"),
            appendixes=self.texts(self.child(other, "Appendixes"), "Appendix"),
            response_for=self.group(self.children(message, "ResponseFor"), self.response_for, ResponseFor()),
            task_codes=tuple(code for task in tasks for code in self.texts(task, "TaskCode")),
            steering_type=self.text(message, "SteeringType"),
            document_id=self.text(message, "DocumentId"),
            application_type=self.text(message, "ApplicationType"),
            traces=self.group(self.children(trace, "TraceHeader"), self.trace, Trace()),
            business=self.business(self.child(trace, "Bussiness", "Business")),
            references=self.group(
                self.children(self.child(body, "edXMLManifest"), "Reference"), self.reference, Reference()
            ),
            attachments=self.attachments(attached),
        )

    def trace(self, node: etree._Element) -> Trace:
        return Trace(self.text(node, "OrganId"), self.text(node, "Timestamp"))

    def business(self, node: etree._Element | None) -> Business:
        if node is None:
            return Business()
        info = self.child(node, "BussinessDocumentInfo", "BusinessDocumentInfo")
        listed = self.children(self.child(info, "ReceiverList"), "Receiver")
        replaced = self.children(self.child(node, "ReplacementInfoList"), "ReplacementInfo")
        return Business(
            kind=self.text(node, "BussinessDocType", "BusinessDocType") or NEW,
            reason=self.text(node, "BussinessDocReason", "BusinessDocReason"),
            document_id=self.text(node, "DocumentId"),
            document_info=self.text(info, "DocumentInfo"),
            document_receiver=self.text(info, "DocumentReceiver"),
            receivers=self.group(listed, self.receiver, Receiver()),
            staff=self.staff(self.child(node, "StaffInfo")),
            paper=self.text(node, "Paper"),
            replacements=self.group(replaced, self.replacement, Replacement()),
        )

    def receiver(self, node: etree._Element) -> Receiver:
        return Receiver(self.text(node, "OrganId"), self.text(node, "ReceiverType"))

    def replacement(self, node: etree._Element) -> Replacement:
        organs = self.texts(self.child(node, "OrganIdList"), "OrganId")
        return Replacement(self.text(node, "DocumentId"), organs)

    def reference(self, node: etree._Element) -> Reference:
        return Reference(
            self.text(node, "ContentId").removeprefix("cid:"),
            self.text(node, "ContentType"),
            self.text(node, "AttachmentName"),
            self.text(node, "Description"),
        )

    def attachments(self, node: etree._Element | None) -> tuple[Attachment, ...]:
        nodes = self.children(node, "Attachment")
        if len(nodes) > MAX_ATTACHMENTS:
            raise not_readable(
                "edxml-too-many-attachments",
                f"Quá {MAX_ATTACHMENTS} tệp đính kèm.",
                f"More than {MAX_ATTACHMENTS} attachments.",
            )
        found = (self.attachment(one) for one in nodes)
        return tuple(one for one in found if one != Attachment())

    def attachment(self, node: etree._Element) -> Attachment:
        try:
            text = "".join(self.text(node, "ContentTransferEncoded").split())
            data, sound = base64.b64decode(text, validate=True), True
        except (binascii.Error, ValueError):
            data, sound = b"", False
        return Attachment(
            self.text(node, "ContentId").removeprefix("cid:"),
            self.text(node, "AttachmentName"),
            self.text(node, "ContentType"),
            self.text(node, "Description"),
            data,
            sound,
        )
