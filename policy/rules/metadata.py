# SPDX-License-Identifier: AGPL-3.0-or-later
"""R-MET: fields of the document and its edXML packet (D30 App. VI, QĐ28 Art. 10, QCVN 102:2016)."""

from __future__ import annotations

import re
from collections import Counter

from policy.basis import D30, OWN, QCVN, QD20, QD28, read, unconfirmed
from policy.facts import DocumentFacts
from policy.rule import Parameters, Said, Severity, document_rule

STATUS_CODES = frozenset({"01", "02", "03", "04", "05", "06", "13", "15", "16"})
_DATED_ID = re.compile(r"[A-Z0-9.]{3,35},[0-9]{4}/[0-9]{2}/[0-9]{2},[0-9]{1,11}/[^,\s]{1,40}")
_OLD_CODE = re.compile(r"[0-9A-Z]{3}\.[0-9A-Z]{2}\.[0-9A-Z]{2}\.[A-Z][0-9]{2}")
_NEW_CODE = re.compile(r"[A-Z][0-9A-Z]{2}(\.[0-9A-Z]{1,10}){0,8}")


def _on_receiving(facts: DocumentFacts, severity: Severity) -> Severity | None:
    return severity if facts.moment == "receive" else None


@document_rule(
    "R-MET-01",
    "Trích yếu không trống và không quá 500 ký tự.",
    "The subject is not empty and at most 500 characters.",
    bases=(read(D30, "Phụ lục VI"), OWN),
    parameters={"longest": 500},
    compose="block",
    issue="block",
    receive="block",
)
def subject_given(facts: DocumentFacts, settings: Parameters) -> Said | None:
    """Empty blocks always; too long warns when receiving. A status has no subject."""
    if facts.packet is not None and facts.packet.kind == "status":
        return None
    subject = (facts.subject if facts.subject is not None else "") or (
        facts.packet.subject if facts.packet and facts.packet.subject else ""
    )
    if not subject.strip():
        return Said("Thiếu trích yếu nội dung. Hãy ghi trích yếu.", "The subject is missing. Write one.")
    if len(subject) <= settings["longest"]:
        return None
    return Said(
        f"Trích yếu dài {len(subject)} ký tự, tối đa {settings['longest']}. Hãy viết gọn lại.",
        f"The subject has {len(subject)} characters, at most {settings['longest']} are allowed. Shorten it.",
        _on_receiving(facts, "warn"),
    )


@document_rule(
    "R-MET-02",
    "Số tối đa 11, ký hiệu tối đa 30 ký tự, không trống.",
    "The number has at most 11, the notation at most 30 characters; neither is empty.",
    bases=(read(D30, "Phụ lục VI"),),
    issue="block",
    receive="warn",
)
def code_fits(facts: DocumentFacts, _: Parameters) -> Said | None:
    """At issue a missing number or notation blocks."""
    if facts.packet is not None and facts.packet.kind == "status":
        return None
    number = facts.number if facts.number is not None else facts.packet.number if facts.packet else None
    notation = (
        facts.notation if facts.notation is not None else facts.packet.notation if facts.packet else None
    )
    if number and notation and len(number) <= 11 and len(notation) <= 30 and "," not in notation:
        return None
    return Said(
        "Số, ký hiệu bị thiếu, quá dài (số ≤ 11, ký hiệu ≤ 30 ký tự) hoặc có dấu phẩy. Hãy sửa lại.",
        "Number or notation is missing, too long (11 and 30 characters) or holds a comma. Mend it.",
    )


@document_rule(
    "R-MET-03",
    "Tên cơ quan ≤ 200, tên loại ≤ 100, chức vụ ≤ 100, họ tên ≤ 50 ký tự; số trang, số bản ≤ 3 chữ số.",
    "Body ≤ 200, kind ≤ 100, post ≤ 100, name ≤ 50 characters; pages and copies ≤ 3 digits.",
    bases=(read(D30, "Phụ lục VI"),),
    issue="block",
    receive="warn",
)
def fields_fit(facts: DocumentFacts, _: Parameters) -> Said | None:
    """Fields of the document first, else those of the packet."""
    packet, signer = facts.packet, facts.signer
    texts = (
        ("OrganName", facts.agency_name or (packet.organ_name if packet else None), 200),
        ("TypeName", facts.kind or (packet.type_name if packet else None), 100),
        ("Position", (signer.title if signer else None) or (packet.position if packet else None), 100),
        ("FullName", (signer.name if signer else None) or (packet.full_name if packet else None), 50),
    )
    for field, value, longest in texts:
        if value is not None and len(value) > longest:
            return Said(
                f"{field} dài {len(value)} ký tự, tối đa {longest}. Hãy viết gọn lại.",
                f"{field} has {len(value)} characters, at most {longest}. Shorten it.",
            )
    for field, digits in (
        ("PageAmount", packet.page_amount if packet else None),
        ("IssuedAmount", packet.copies if packet else None),
    ):
        if digits and not re.fullmatch(r"[0-9]{1,3}", digits.strip()):
            return Said(
                f"{field} phải là số có tối đa 3 chữ số.", f"{field} must be a number of at most 3 digits."
            )
    return None


@document_rule(
    "R-MET-04",
    "Mã định danh văn bản có dạng “mã cơ quan,yyyy/MM/dd,số/ký hiệu”.",
    "DocumentId is written “code,yyyy/MM/dd,number/notation”; any other form is an opaque string.",
    bases=(read(QD28, "Điều 10(2)(b)"), unconfirmed(QCVN)),
    issue="block",
    send="block",
    receive="warn",
)
def document_id_form(facts: DocumentFacts, _: Parameters) -> Said | None:
    """Says nothing without a packet. Never judged by whether its date exists (samples hold 30 February)."""
    if facts.packet is None or facts.packet.kind == "status" or facts.packet.document_id is None:
        return None
    if _DATED_ID.fullmatch(facts.packet.document_id.strip()):
        return None
    return Said(
        "DocumentId không đúng dạng “mã cơ quan,yyyy/MM/dd,số/ký hiệu”. Hệ thống nơi gửi cần ghi đúng dạng này.",
        "DocumentId is not of the form “code,yyyy/MM/dd,number/notation”. The sending system should write that form.",
    )


@document_rule(
    "R-MET-05",
    "Mã định danh cơ quan là mã đã đăng ký, đúng dạng cũ (13 ký tự) hoặc dạng mới.",
    "The code of the body is a registered one, of the old form (13 characters) or the new form.",
    bases=(read(QD28, "Điều 10(2)(a)"), unconfirmed(QD20)),
    send="block",
    receive="block",
)
def organ_code(facts: DocumentFacts, _: Parameters) -> Said | None:
    """The form is judged when sending; whether it is registered where the caller looked it up (R-ORG-01)."""
    codes = list(facts.packet.from_codes) if facts.packet else [facts.agency_code or ""]
    if facts.packet is None and facts.agency_code is None:
        return None
    for code in codes:
        if not (_OLD_CODE.fullmatch(code) or _NEW_CODE.fullmatch(code)):
            return Said(
                f"Mã cơ quan “{code[:40]}” không đúng dạng. Dùng mã theo Quyết định 20/2020/QĐ-TTg, ví dụ H12.01.",
                f"Code “{code[:40]}” is not in the form of an organisation code, e.g. H12.01.",
                _on_receiving(facts, "warn") if code.strip() else None,
            )
    return None


@document_rule(
    "R-MET-06",
    "Gói tin có đúng một nơi gửi, ít nhất một nơi nhận, không nơi nhận nào lặp lại.",
    "A packet has one From, at least one To, and no To twice.",
    bases=(unconfirmed(QCVN),),
    send="block",
    receive="block",
)
def one_sender(facts: DocumentFacts, _: Parameters) -> Said | None:
    """A status has no To."""
    packet = facts.packet
    if packet is None:
        return None
    to_wrong = packet.kind == "document" and (
        not packet.to_codes or len(set(packet.to_codes)) != len(packet.to_codes)
    )
    if len(packet.from_codes) == 1 and not to_wrong:
        return None
    return Said(
        "Gói tin phải có đúng một nơi gửi và ít nhất một nơi nhận, không lặp. Hãy tạo lại gói tin.",
        "A packet needs exactly one sender and at least one receiver, none twice. Build it again.",
    )


@document_rule(
    "R-MET-07",
    "Mức độ khẩn từ 0 đến 4 và khớp với dấu chỉ mức độ khẩn.",
    "Priority is 0–4 and agrees with the urgency stamp.",
    bases=(unconfirmed(QCVN), read(D30, "Phụ lục VI")),
    send="block",
    receive="block",
)
def priority_in_range(facts: DocumentFacts, _: Parameters) -> Said | None:
    """An empty priority is ordinary. The stamp is compared only where it is known."""
    value = facts.packet.priority if facts.packet else None
    text = value.strip() if value else "" if facts.priority is None else str(facts.priority)
    if not text:
        return None
    if text in {"0", "1", "2", "3", "4"} and facts.urgency_stamp in {None, int(text)}:
        return None
    return Said(
        "Mức độ khẩn phải là 0 đến 4 và khớp với dấu trên văn bản. Hãy sửa trường Priority.",
        "Priority must be 0 to 4 and agree with the stamp on the document. Mend the field.",
    )


@document_rule(
    "R-MET-08",
    "Ngày văn bản không ở tương lai và bằng ngày ghi trên văn bản.",
    "PromulgationDate is not in the future and equals the date on the document.",
    bases=(unconfirmed(QCVN),),
    send="block",
    receive="warn",
)
def date_agrees(facts: DocumentFacts, _: Parameters) -> Said | None:
    """Says nothing about a status."""
    packet = facts.packet
    if packet is not None and packet.kind == "status":
        return None
    written = packet.dated if packet else facts.dated
    unreadable = packet is not None and packet.dated is None and bool(packet.dated_text)
    future = written is not None and written > facts.date_local
    differs = packet is not None and None not in {packet.dated, facts.dated} and packet.dated != facts.dated
    if not (unreadable or future or differs):
        return None
    return Said(
        "Ngày ban hành không đọc được, ở tương lai, hoặc khác ngày ghi trên văn bản. Hãy kiểm tra lại.",
        "The date is unreadable, in the future, or not the date on the document. Please check.",
    )


@document_rule(
    "R-MET-09",
    "Mỗi tham chiếu trong bảng kê có đúng một tệp đính kèm cùng ContentId, và ngược lại.",
    "Every manifest reference has exactly one attachment with the same content id, and the reverse.",
    bases=(unconfirmed(QCVN),),
    send="block",
    receive="block",
)
def manifest_agrees(facts: DocumentFacts, _: Parameters) -> Said | None:
    """Compared without the prefix “cid:”."""
    packet = facts.packet
    if packet is None or packet.kind == "status":
        return None
    named = Counter(one.strip().removeprefix("cid:") for one in packet.references)
    there = Counter(one.strip().removeprefix("cid:") for one in packet.attachments)
    if named == there and all(count == 1 for count in named.values()):
        return None
    return Said(
        "Bảng kê và tệp đính kèm của gói tin không khớp. Nơi gửi cần tạo lại gói tin.",
        "Manifest and attachments of the packet don't agree. The sender should build the packet again.",
    )


@document_rule(
    "R-MET-10",
    "Loại nghiệp vụ khớp nội dung: 0 mới, 1 thu hồi, 2 cập nhật, 3 thay thế.",
    "The packet type agrees with its content: 0 new, 1 recall, 2 update, 3 replacement.",
    bases=(unconfirmed(QCVN),),
    send="block",
    receive="block",
)
def business_type_agrees(facts: DocumentFacts, _: Parameters) -> Said | None:
    """A packet without the field counts as new."""
    packet = facts.packet
    if packet is None or packet.kind == "status":
        return None
    kind = (packet.business_type or "0").strip()
    fits = {
        "0": True,
        "1": bool(packet.document_id or packet.replaced_ids),
        "2": bool(packet.update_flags),
        "3": bool(packet.replaced_ids),
    }.get(kind, False)
    if fits:
        return None
    return Said(
        f"Loại nghiệp vụ “{kind[:10]}” không khớp nội dung gói tin (thu hồi, cập nhật, thay thế phải nêu văn bản cũ).",
        f"Business type “{kind[:10]}” does not fit the packet (recall, update, replacement name the earlier document).",
    )


@document_rule(
    "R-MET-13",
    "Gói trạng thái nêu rõ văn bản và mã trạng thái là 01–06, 13, 15, 16.",
    "A status names the document by body, code, date and id; its code is one of 01–06, 13, 15, 16.",
    bases=(read(QD28, "Điều 10(2)(h)"), unconfirmed(QCVN)),
    send="block",
    receive="block",
)
def status_is_complete(facts: DocumentFacts, _: Parameters) -> Said | None:
    """Says nothing about documents."""
    packet = facts.packet
    if packet is None or packet.kind != "status":
        return None
    named = packet.status_organ and packet.status_document_id
    if named and packet.status_code in STATUS_CODES:
        return None
    return Said(
        f"Gói trạng thái thiếu thông tin văn bản hoặc mã “{(packet.status_code or '')[:10]}” không đúng.",
        f"The status does not name its document, or its code “{(packet.status_code or '')[:10]}” is not known.",
    )


@document_rule(
    "R-MET-16",
    "Gói tin là XML đúng dạng, không DTD, không thực thể ngoài, trong giới hạn dung lượng.",
    "The packet is well-formed XML without DTD or external entities and below the size limit.",
    bases=(OWN,),
    parameters={"largest_bytes": 73_400_320},
    receive="block",
)
def safe_xml(facts: DocumentFacts, settings: Parameters) -> Said | None:
    """Says nothing without a packet."""
    packet = facts.packet
    if packet is None or (
        packet.well_formed is not False
        and not packet.has_doctype
        and packet.size <= settings["largest_bytes"]
    ):
        return None
    return Said(
        "Gói tin không đọc được an toàn (XML sai dạng, có DTD, hoặc quá lớn). Yêu cầu nơi gửi gửi lại.",
        "The packet can't be read safely (malformed XML, a DTD, or too large). Ask the sender to send it again.",
    )
