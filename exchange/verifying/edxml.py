# SPDX-License-Identifier: AGPL-3.0-or-later
"""The verdict on an edXML file: its signature, what it says, what is wrong with it."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import Any

from config.refusal import Refused
from exchange.edxml.attachments import unpack
from exchange.edxml.checks import check
from exchange.edxml.codes import to_new_code
from exchange.edxml.model import DocumentPacket, Organ, Packet, Problem
from exchange.edxml.read import Reading, read_tree
from exchange.sealing.judging import Judging
from exchange.sealing.xml_signature import XmlJudgement, verify
from exchange.trust.subject import subject_of
from exchange.trust.verdict import FAILED, INDETERMINATE, PASSED, UNREADABLE, Verdict


def verify_edxml(data: bytes, judging: Judging) -> tuple[Verdict, Reading | None]:
    """The verdict, and what was read from the very tree that the signature covers (``None``: unreadable)."""
    try:
        judgement = verify(data, judging)
        reading = read_tree(judgement.root, judgement.repaired)
    except Refused as problem:
        element = {"edxml-root": "edXML", "edxml-no-header": "MessageHeader"}.get(problem.code, "edXML")
        lines = (_line(Problem(element, problem.rule or "R-MET-16", "block", problem.vi, problem.en)),)
        return Verdict("edxml", UNREADABLE, f"{element}: {problem.en}", problems=lines), None
    problems = [*reading.problems, *check(reading.packet)]
    if judgement.foreign_form:
        vi = "Chữ ký nằm trong không gian tên QCVN nên không phải chữ ký XML: không kiểm tra được."
        en = "The Signature stands in the QCVN namespace, so it is no XML signature: it cannot be verified."
        problems.append(Problem("Signature", "R-SIG-18", "warn", vi, en))
    return _verdict(judgement, reading, problems), reading


def _verdict(judgement: XmlJudgement, reading: Reading, problems: list[Problem]) -> Verdict:
    outcome, sub = judgement.outcome, judgement.sub_indication
    signatures = judgement.signatures
    official = False
    if outcome == PASSED and judgement.certificate is not None:
        subject = subject_of(judgement.certificate)
        own = to_new_code(reading.packet.sender.organ_id)
        if subject.role == "organisation" and subject.code and to_new_code(subject.code) != own:
            outcome, sub = FAILED, "SEAL_OF_OTHER_AGENCY"
        public = any(one.authority == "public" for one in signatures)
        official = outcome == PASSED and subject.role == "organisation" and not public
    first = next((one for one in problems if one.severity == "block"), None)
    if outcome == PASSED and first is not None:
        outcome, official = INDETERMINATE, False
    first = first or (problems[0] if problems else None)
    if reading.repaired:
        reason = "repaired"
    elif sub:
        reason = f"Signature: {sub}"
    else:
        reason = first.en if first is not None else ""
    return Verdict(
        "edxml",
        outcome,
        reason,
        official=official,
        signatures=signatures,
        fields=fields_of(reading.packet),
        problems=tuple(_line(one) for one in problems),
        sub_indication=sub,
    )


def fields_of(packet: Packet) -> dict[str, Any]:
    """What a packet says, by the element names of the QCVN; attachments by name, size and digest."""
    if not isinstance(packet, DocumentPacket):
        answered = packet.response_for
        return {
            "From": _organ(packet.sender),
            "ResponseFor": {
                "OrganId": answered.organ_id,
                "Code": answered.code,
                "PromulgationDate": answered.promulgation_date,
                "DocumentId": answered.document_id,
            },
            "StaffInfo": asdict(packet.staff) if packet.staff else None,
            "StatusCode": packet.status_code,
            "Description": packet.description,
            "Timestamp": packet.timestamp,
        }
    return {
        "From": _organ(packet.sender),
        "To": [_organ(one) for one in packet.to],
        "CodeNumber": packet.code_number,
        "CodeNotation": packet.code_notation,
        "Place": packet.place,
        "PromulgationDate": packet.promulgation_date,
        "Type": packet.type_code,
        "TypeName": packet.type_name,
        "Subject": packet.subject,
        "Content": packet.content,
        "Competence": packet.competence,
        "Position": packet.position,
        "FullName": packet.full_name,
        "DueDate": packet.due_date,
        "ToPlaces": list(packet.to_places),
        "Priority": packet.priority,
        "PromulgationAmount": packet.copies,
        "PageAmount": packet.pages,
        "SteeringType": packet.steering_type,
        "DocumentId": packet.document_id,
        "BussinessDocType": packet.business.kind,
        "BussinessDocReason": packet.business.reason,
        "Attachments": [
            _attachment(one.name, unpack(one).data, one.content_type) for one in packet.attachments
        ],
    }


def _organ(organ: Organ) -> dict[str, str]:
    return {"OrganId": organ.organ_id, "OrganName": organ.name, "Email": organ.email}


def _attachment(name: str, data: bytes, declared: str) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    return {"AttachmentName": name, "ContentType": declared, "size": len(data), "sha256": digest}


def _line(problem: Problem) -> dict[str, str]:
    return {
        "element": problem.element,
        "rule": problem.rule,
        "severity": problem.severity,
        "text": problem.en,
        "vi": problem.vi,
    }
