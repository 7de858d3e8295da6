# SPDX-License-Identifier: AGPL-3.0-or-later
"""What is wrong with a packet, as remarks with rule ids (R-MET-01 … 16, R-NUM commas; edxml.md section 2).

Strict when sending, lenient when receiving: the table gives cardinality and length for both. A remark is
``block`` or ``warn``; nothing here raises. Lengths are characters of the NFC form.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from typing import Literal

from config.clock import today_local
from exchange.edxml.attachments import unpack
from exchange.edxml.codes import id_form, is_code, read_date, read_moment
from exchange.edxml.model import (
    NEW,
    RECALL,
    REPLACEMENT,
    UPDATE,
    DocumentPacket,
    Organ,
    Packet,
    Problem,
    StatusPacket,
)
from exchange.edxml.statuses import NEEDS_REASON, STATUS_NAMES

Moment = Literal["send", "receive"]
_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


@dataclass(frozen=True, slots=True)
class _Field:
    element: str
    text: str
    longest: int
    rule: str
    send: bool
    """Required on sending."""
    receive: bool
    """Required on receiving."""


class _Remarks:
    def __init__(self, moment: Moment) -> None:
        self.moment = moment
        self.found: list[Problem] = []

    def add(self, element: str, rule: str, vi: str, en: str, severity: str | None = None) -> None:
        """Without ``severity``: block when sending, warn when receiving."""
        severity = severity or ("block" if self.moment == "send" else "warn")
        self.found.append(Problem(element, rule, severity, f"{element}: {vi}", f"{element}: {en}"))

    def field(self, one: _Field) -> None:
        if not one.text:
            if one.receive or (one.send and self.moment == "send"):
                self.add(one.element, one.rule, "thiếu.", "is missing.", "block")
            return
        length = len(unicodedata.normalize("NFC", one.text))
        if length > one.longest:
            self.add(
                one.element,
                one.rule,
                f"dài {length} ký tự, tối đa {one.longest}.",
                f"has {length} characters, at most {one.longest}.",
            )


def check(packet: Packet, moment: Moment = "receive", today: date | None = None) -> tuple[Problem, ...]:
    """All remarks on ``packet``; ``today`` is Vietnam's date when absent."""
    remarks = _Remarks(moment)
    if isinstance(packet, StatusPacket):
        _status(packet, remarks)
    else:
        _document(packet, remarks, today or today_local())
    return tuple(remarks.found)


def _organ(organ: Organ, group: str, remarks: _Remarks) -> None:
    for one in (
        _Field(f"{group}/OrganId", organ.organ_id, 50, "R-MET-05", True, True),
        _Field(f"{group}/OrganName", organ.name, 200, "R-MET-03", True, False),
        _Field(f"{group}/OrganizationInCharge", organ.in_charge, 200, "R-MET-03", False, False),
        _Field(f"{group}/OrganAdd", organ.address, 250, "R-MET-03", False, False),
        _Field(f"{group}/Email", organ.email, 100, "R-MET-03", False, False),
        _Field(f"{group}/Telephone", organ.telephone, 50, "R-MET-03", False, False),
        _Field(f"{group}/Fax", organ.fax, 50, "R-MET-03", False, False),
        _Field(f"{group}/Website", organ.website, 100, "R-MET-03", False, False),
    ):
        remarks.field(one)
    if organ.organ_id and not is_code(organ.organ_id):
        remarks.add(
            f"{group}/OrganId", "R-MET-05", "không theo mẫu mã định danh.", "is no known form of code."
        )
    if organ.email and not _MAIL.fullmatch(organ.email):
        remarks.add(f"{group}/Email", "R-MET-03", "không phải địa chỉ thư.", "is no mail address.", "warn")


def _document(packet: DocumentPacket, remarks: _Remarks, today: date) -> None:
    _organ(packet.sender, "From", remarks)
    if not packet.to:
        remarks.add("To", "R-MET-06", "thiếu.", "is missing.", "block")
    for organ in packet.to:
        _organ(organ, "To", remarks)
    codes = [organ.organ_id for organ in packet.to if organ.organ_id]
    for twice in sorted({code for code in codes if codes.count(code) > 1} if len(codes) < 3000 else ()):
        remarks.add("To", "R-MET-06", f"{twice} có hai lần.", f"{twice} stands twice.", "block")
    for one in _fields(packet):
        remarks.field(one)
    if packet.code_number and not packet.code_number.isdigit():
        remarks.add("Code/CodeNumber", "R-MET-02", "không phải chữ số.", "is not digits.")
    if "," in packet.code_notation:
        remarks.add("Code/CodeNotation", "R-MET-02", "có dấu phẩy.", "has a comma.")
    _dates(packet, remarks, today)
    _codes(packet, remarks)
    _business(packet, remarks)
    _attachments(packet, remarks)


def _fields(packet: DocumentPacket) -> tuple[_Field, ...]:
    fields = (
        _Field("Code/CodeNumber", packet.code_number, 11, "R-MET-02", True, True),
        _Field("Code/CodeNotation", packet.code_notation, 30, "R-MET-02", True, True),
        _Field("PromulgationInfo/Place", packet.place, 50, "R-MET-03", True, False),
        _Field("PromulgationInfo/PromulgationDate", packet.promulgation_date, 30, "R-MET-08", True, True),
        _Field("DocumentType/Type", packet.type_code, 10, "R-MET-03", True, False),
        _Field("DocumentType/TypeName", packet.type_name, 100, "R-MET-03", True, True),
        _Field("Subject", packet.subject, 500, "R-MET-01", True, True),
        _Field("Content", packet.content, 500, "R-MET-03", False, False),
        _Field("SignerInfo/Competence", packet.competence, 100, "R-MET-03", False, False),
        _Field("SignerInfo/Position", packet.position, 100, "R-MET-03", True, False),
        _Field("SignerInfo/FullName", packet.full_name, 50, "R-MET-03", True, True),
        _Field("OtherInfo/Priority", packet.priority, 1, "R-MET-07", True, False),
        _Field("OtherInfo/SphereOfPromulgation", packet.sphere, 100, "R-MET-03", False, False),
        _Field("OtherInfo/TyperNotation", packet.typer_notation, 10, "R-MET-03", False, False),
        _Field("OtherInfo/PromulgationAmount", packet.copies, 3, "R-MET-03", False, False),
        _Field("OtherInfo/PageAmount", packet.pages, 3, "R-MET-03", True, False),
        _Field("SteeringType", packet.steering_type, 2, "R-MET-03", True, False),
        _Field("DocumentId", packet.document_id, 200, "R-MET-04", True, True),
    )
    places = tuple(_Field("ToPlaces/Place", text, 150, "R-MET-03", False, False) for text in packet.to_places)
    appendixes = tuple(
        _Field("Appendixes/Appendix", text, 250, "R-MET-03", False, False) for text in packet.appendixes
    )
    return fields + places + appendixes


def _dates(packet: DocumentPacket, remarks: _Remarks, today: date) -> None:
    element = "PromulgationInfo/PromulgationDate"
    issued = read_date(packet.promulgation_date)
    if packet.promulgation_date and issued is None:
        remarks.add(element, "R-MET-08", "không phải ngày.", "is no date.")
    if issued and issued > today:
        remarks.add(element, "R-MET-08", "là ngày trong tương lai.", "is in the future.")
    if packet.due_date and read_date(packet.due_date) is None:
        remarks.add("DueDate", "R-MET-08", "không phải ngày.", "is no date.")
    if packet.document_id and id_form(packet.document_id) != "dated":
        remarks.add(
            "DocumentId",
            "R-MET-04",
            "không theo mẫu “mã,yyyy/MM/dd,số/ký hiệu”.",
            'is not of the form "code,yyyy/MM/dd,number/notation".',
        )
    for hop in packet.traces:
        if hop.timestamp and read_moment(hop.timestamp) is None:
            remarks.add("TraceHeader/Timestamp", "R-MET-15", "không phải thời điểm.", "is no time.", "warn")


def _codes(packet: DocumentPacket, remarks: _Remarks) -> None:
    if packet.priority and packet.priority not in ("0", "1", "2", "3", "4"):
        remarks.add("OtherInfo/Priority", "R-MET-07", "không trong 0–4.", "is not 0–4.", "block")
    elif packet.priority == "4" and remarks.moment == "send":
        remarks.add("OtherInfo/Priority", "R-MET-07", "không gửi mức 4.", "4 is not sent.", "block")
    for element, text in (
        ("OtherInfo/PageAmount", packet.pages),
        ("OtherInfo/PromulgationAmount", packet.copies),
        ("SteeringType", packet.steering_type),
        ("DocumentType/Type", packet.type_code),
    ):
        if text and not text.isdigit():
            remarks.add(element, "R-MET-03", "không phải số.", "is no number.")


def _business(packet: DocumentPacket, remarks: _Remarks) -> None:
    business = packet.business
    element = "Bussiness/BussinessDocType"
    if business.kind not in (NEW, RECALL, UPDATE, REPLACEMENT):
        remarks.add(element, "R-MET-10", "không trong 0–3.", "is not 0–3.", "block")
        return
    if business.kind != NEW and not business.reason:
        remarks.add("Bussiness/BussinessDocReason", "R-MET-10", "thiếu.", "is missing.")
    named = business.document_id or (packet.document_id if business.kind == RECALL else "")
    if business.kind in (RECALL, UPDATE) and not (
        named if remarks.moment == "receive" else business.document_id
    ):
        severity = "block" if business.kind == UPDATE or not named else None
        remarks.add("Bussiness/DocumentId", "R-MET-10", "thiếu.", "is missing.", severity)
    if business.kind == UPDATE and "1" not in (business.document_info, business.document_receiver):
        vi, en = "không nói điều gì thay đổi.", "does not say what changed."
        remarks.add("Bussiness/BussinessDocumentInfo", "R-MET-10", vi, en, "block")
    if business.kind == REPLACEMENT and not any(one.document_id for one in business.replacements):
        remarks.add("Bussiness/ReplacementInfoList", "R-MET-10", "thiếu.", "is missing.", "block")


def _attachments(packet: DocumentPacket, remarks: _Remarks) -> None:
    referenced = [reference.content_id for reference in packet.references]
    attached = [attachment.content_id for attachment in packet.attachments]
    if sorted(referenced) != sorted(attached) or len(set(attached)) != len(attached):
        remarks.add(
            "edXMLManifest",
            "R-MET-09",
            "không khớp từng tệp với phần đính kèm.",
            "does not match the attachments one to one.",
            "block",
        )
    if packet.kind == NEW and not attached:
        remarks.add("AttachmentEncoded", "R-MET-09", "văn bản mới phải có tệp.", "is empty.", "block")
    for attachment in packet.attachments:
        remarks.found.extend(unpack(attachment).problems)


def _status(packet: StatusPacket, remarks: _Remarks) -> None:
    _organ(packet.sender, "From", remarks)
    answered = packet.response_for
    for one in (
        _Field("ResponseFor/OrganId", answered.organ_id, 50, "R-MET-13", True, True),
        _Field("ResponseFor/Code", answered.code, 60, "R-MET-13", True, True),
        _Field("ResponseFor/PromulgationDate", answered.promulgation_date, 30, "R-MET-13", True, True),
        _Field("ResponseFor/DocumentId", answered.document_id, 200, "R-MET-13", True, True),
        _Field("StatusCode", packet.status_code, 2, "R-MET-13", True, True),
        _Field("Description", packet.description, 1000, "R-MET-13", False, False),
        _Field("Timestamp", packet.timestamp, 30, "R-MET-15", True, False),
    ):
        remarks.field(one)
    if packet.status_code and packet.status_code not in STATUS_NAMES:
        remarks.add("StatusCode", "R-MET-13", "không có mã này.", "is no known code.", "block")
    if packet.status_code in NEEDS_REASON and not packet.description:
        remarks.add("Description", "R-REC-05", "phải nêu lý do.", "must give the reason.", "block")
    if packet.timestamp and read_moment(packet.timestamp) is None:
        remarks.add("Timestamp", "R-MET-15", "không phải thời điểm.", "is no time.", "warn")
