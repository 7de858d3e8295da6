# SPDX-License-Identifier: AGPL-3.0-or-later
"""R-REC and R-ORG: incoming documents, and the bodies at both ends (D30 Art. 21, QĐ28 Art. 9)."""

from __future__ import annotations

from policy.basis import D30, OWN, QD28, read
from policy.facts import Attachment, Content, DocumentFacts
from policy.rule import Parameters, Said, common_rule, document_rule

_PROGRAMS = frozenset(
    {
        "application/x-dosexec",
        "application/vnd.microsoft.portable-executable",
        "application/x-executable",
        "application/x-elf",
        "application/x-sharedlib",
        "application/x-mach-binary",
        "application/x-msdownload",
        "application/x-msi",
        "application/java-archive",
        "text/x-shellscript",
        "application/x-bat",
        "application/hta",
        "application/x-ms-shortcut",
    }
)
_OFFICE = ("application/zip", "application/vnd.")
_OLD_OFFICE = (
    "application/x-ole",
    "application/msword",
    "application/vnd.ms-",
    "application/rtf",
    "text/rtf",
)
_CONTENT_OF: dict[str, tuple[str, ...]] = {
    "pdf": ("application/pdf",),
    **dict.fromkeys(("doc", "xls", "ppt"), _OLD_OFFICE),
    **dict.fromkeys(("docx", "xlsx", "pptx", "odt", "ods", "odp"), _OFFICE),
    "zip": ("application/zip", "application/x-zip"),
    "png": ("image/png",),
    **dict.fromkeys(("jpg", "jpeg"), ("image/jpeg", "image/jpg")),
    **dict.fromkeys(("xml", "edxml"), ("application/xml", "text/")),
}
"""What the content of a file may be by the end of its name (beginnings of media types)."""
_ANYTHING = frozenset({"", "application/octet-stream"})
_PROGRAM_NAMES = (
    ".exe", ".scr", ".com", ".bat", ".cmd", ".pif", ".msi", ".vbs", ".js", ".jse", ".wsf", ".hta", ".lnk", ".ps1",
    ".jar", ".cpl", ".dll", ".iso", ".img",
)  # fmt: skip


@document_rule(
    "R-REC-01",
    "Trước khi tiếp nhận phải kiểm tra tính đầy đủ, toàn vẹn, xác thực và ghi nhận kết quả.",
    "Before acceptance completeness, integrity and authenticity are checked and recorded.",
    bases=(read(D30, "Điều 21(2)(a)"), read(QD28, "Điều 9(1)")),
    receive="block",
)
def checked_before_acceptance(facts: DocumentFacts, _: Parameters) -> Said | None:
    """An unknown result blocks acceptance. Statuses are no documents."""
    if facts.integrity_checked or (facts.packet is not None and facts.packet.kind == "status"):
        return None
    return Said(
        "Chưa có kết quả kiểm tra tính xác thực, toàn vẹn. Hãy kiểm tra chữ ký số trước khi tiếp nhận.",
        "Integrity and authenticity were not checked. Check the signatures before accepting.",
    )


@document_rule(
    "R-REC-02",
    "Văn bản không đạt kiểm tra được trả lại nơi gửi trên hệ thống kèm lý do.",
    "A document that fails the check is returned to the sender with a reason (status 02).",
    bases=(read(D30, "Điều 21(2)(b)"), read(QD28, "Điều 5(4), 9(1)")),
    receive="block",
)
def failed_is_returned(facts: DocumentFacts, _: Parameters) -> Said | None:
    """A signature that failed means return; not decidable does not."""
    failed = [one for one in facts.signatures or () if one.verdict == "TOTAL-FAILED"]
    if not failed:
        return None
    return Said(
        f"Văn bản không đạt kiểm tra ({failed[0].sub_indication or 'chữ ký không hợp lệ'}). Trả lại nơi gửi (02) kèm lý do.",
        f"The document failed the check ({failed[0].sub_indication or 'invalid signature'}). Return it (02) with a reason.",
    )


@document_rule(
    "R-REC-03",
    "Văn bản gửi sai nơi nhận được trả lại nơi gửi trên hệ thống.",
    "A document sent to the wrong body is returned to the sender (status 02).",
    bases=(read(D30, "Điều 21(2)(b)"),),
    receive="block",
)
def meant_for_us(facts: DocumentFacts, _: Parameters) -> Said | None:
    """Says nothing when our own codes or the list are not known; a status has no To."""
    packet = facts.packet
    if packet is None or packet.kind == "status" or not facts.own_codes or not packet.to_codes:
        return None
    if set(packet.to_codes) & set(facts.own_codes):
        return None
    return Said(
        f"Văn bản gửi cho {', '.join(packet.to_codes[:3])}, không phải cơ quan này. Trả lại nơi gửi (02).",
        f"The document is for {', '.join(packet.to_codes[:3])}, not for this body. Return it (02).",
    )


@document_rule(
    "R-REC-05",
    "Từ chối tiếp nhận phải nêu lý do, người và thời điểm.",
    "A refusal names its reason, the person and the time.",
    bases=(read(QD28, "Điều 5(4)"), OWN),
    receive="block",
)
def refusal_has_a_reason(facts: DocumentFacts, _: Parameters) -> Said | None:
    """Asked when the act is a refusal."""
    if not facts.refusing or (facts.refusal_reason or "").strip():
        return None
    return Said("Từ chối tiếp nhận phải có lý do. Hãy ghi lý do.", "A refusal needs a reason. Give one.")


@document_rule(
    "R-REC-11",
    "Gói tin có DocumentId đã tiếp nhận, loại mới, không đăng ký lần thứ hai.",
    "A packet with a DocumentId already accepted and type new is not registered a second time.",
    bases=(read(D30, "Phụ lục VI, III.1.h"),),
    receive="block",
)
def not_twice(facts: DocumentFacts, _: Parameters) -> Said | None:
    """Recalls, updates and replacements name an earlier document on purpose."""
    kind = (facts.packet.business_type or "0").strip() if facts.packet else "0"
    if not facts.already_registered or kind != "0" or (facts.packet and facts.packet.kind == "status"):
        return None
    return Said(
        "Văn bản này đã được đăng ký. Không đăng ký lần hai; xem lại sổ văn bản đến.",
        "This document is already registered. It is not registered twice; see the incoming register.",
    )


@common_rule(
    "R-REC-13",
    "Kiểu khai báo của tệp đính kèm khớp nội dung; tệp được quét mã độc khi có máy quét.",
    "Every attachment's declared type equals its content; it is scanned where a scanner is set up.",
    bases=(read(QD28, "Điều 6(1), 13"), OWN),
    send="block",
    receive="block",
)
def safe_attachments(facts: Content, _: Parameters) -> Said | None:
    """Malware and disguised programs block; another type than declared warns; not scanned is recorded."""
    found = [said for said in map(_attachment, facts.attachments) if said is not None]
    order = {None: 0, "warn": 1, "record": 2}
    return min(found, key=lambda said: order.get(said.severity, 0), default=None)


def _attachment(one: Attachment) -> Said | None:
    name = one.filename[:80]
    declared = one.declared_type.split(";")[0].strip().casefold()
    program = one.detected_type in _PROGRAMS
    honest = name.casefold().endswith(_PROGRAM_NAMES) and declared in _PROGRAMS | _ANYTHING
    if one.scan == "malware" or (program and not honest):
        return Said(
            f"Tệp “{name}” có mã độc hoặc là chương trình giấu dưới tên khác. Không mở, không gửi; báo cán bộ CNTT.",
            f"“{name}” holds malware, or is a program under another name. Don't open or send it; tell the IT officer.",
        )
    detected = one.detected_type
    if detected and not program and not (_fits(declared, detected) and _named(name, detected)):
        return Said(
            f"Nội dung tệp “{name}” ({detected}) khác tên hoặc kiểu khai báo ({declared}). Hãy kiểm tra trước khi mở.",
            f"The content of “{name}” ({detected}) is not what its name or type ({declared}) says. Check it first.",
            "warn",
        )
    if one.scan == "not-scanned":
        return Said(f"Tệp “{name}” chưa quét mã độc.", f"“{name}” was not scanned for malware.", "record")
    return None


def _named(name: str, detected: str) -> bool:
    """Does the end of the name agree with the content? Unknown ends say nothing."""
    wanted = _CONTENT_OF.get(name.rpartition(".")[2].casefold())
    return wanted is None or detected in _ANYTHING or detected.startswith(wanted)


def _fits(declared: str, detected: str) -> bool:
    """May a file of `detected` content be declared as `declared`? Office files are ZIP or OLE inside."""
    if declared in {detected, *_ANYTHING} or detected in _ANYTHING:
        return True
    if detected == "image/jpeg":
        return declared in {"image/jpg", "image/pjpeg"}
    if detected == "application/zip":
        return declared.startswith(
            ("application/vnd.", "application/x-zip", "application/epub", "application/java")
        )
    if detected == "application/x-ole-storage":
        return declared.startswith(("application/vnd.ms-", "application/msword", "application/x-ole"))
    return detected.startswith("text/") and (
        declared.startswith("text/") or declared.endswith(("xml", "json"))
    )


@document_rule(
    "R-ORG-01",
    "Mỗi cơ quan tham gia trao đổi có đúng một mã định danh còn hiệu lực.",
    "Each body that exchanges documents has exactly one valid code at a time.",
    bases=(read(QD28, "Điều 10(2)(a)"),),
    send="block",
)
def receivers_exist(facts: DocumentFacts, _: Parameters) -> Said | None:
    """Receivers that were looked up and are not known, or have no single code, block."""
    for one in facts.receivers:
        if one.known is False or one.codes_valid not in {None, 1}:
            return Said(
                f"Không có cơ quan nhận với mã {one.code} còn hiệu lực. Hãy chọn lại trong danh bạ.",
                f"There is no receiving body with the valid code {one.code}. Choose it from the directory.",
            )
    return None


@document_rule(
    "R-ORG-03",
    "Cơ quan đã kết thúc hoạt động không ban hành văn bản; văn bản gửi đến chuyển cho cơ quan kế thừa.",
    "A closed body cannot issue; items for it go to its recorded successor.",
    bases=(OWN,),
    issue="block",
    send="block",
    receive="record",
)
def closed_bodies(facts: DocumentFacts, _: Parameters) -> Said | None:
    """A closed receiver with a successor warns (it is forwarded), without one it blocks."""
    if facts.agency_closed:
        return Said(
            f"Cơ quan {facts.agency_code or ''} đã kết thúc hoạt động. Cơ quan kế thừa thực hiện.",
            f"Body {facts.agency_code or ''} has ended. Its successor acts.",
        )
    for one in facts.receivers:
        if one.closed:
            to_vi = f"gửi cho cơ quan kế thừa {one.successor}" if one.successor else "chọn cơ quan nhận khác"
            to_en = f"goes to its successor {one.successor}" if one.successor else "choose another receiver"
            return Said(
                f"Cơ quan nhận {one.code} đã kết thúc hoạt động: {to_vi}.",
                f"Receiver {one.code} has ended: {to_en}.",
                "warn" if one.successor and facts.moment != "receive" else None,
            )
    return None
