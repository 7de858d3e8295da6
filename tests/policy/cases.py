# SPDX-License-Identifier: AGPL-3.0-or-later
"""Facts that comply with the rules, and for each rule facts against it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from policy.facts import (
    Approval,
    Attachment,
    CertificateFacts,
    Competence,
    DocumentFacts,
    Facts,
    MailFacts,
    Numbering,
    PacketFacts,
    Receiver,
    Recipient,
    SenderFacts,
    SignatureFacts,
    Signer,
)

DAY = date(2026, 11, 24)
NOW = 1_795_000_000_000_000

PERSON = SignatureFacts(
    "person", "Chánh Văn phòng", "TOTAL-PASSED", "H12.01", NOW, timestamped=True, revocation="good"
)
SEAL = SignatureFacts(
    "organisation", "Văn phòng", "TOTAL-PASSED", "H12.01", NOW + 1, timestamped=True, revocation="good"
)
PACKET = PacketFacts(
    well_formed=True,
    size=1000,
    from_codes=("H12.01",),
    to_codes=("H12.02",),
    document_id="H12.01,2026/11/24,12/TB-VP",
    number="12",
    notation="TB-VP",
    dated=DAY,
    subject="Về việc họp giao ban",
    priority="0",
    business_type="0",
    references=("cid:a",),
    attachments=("a",),
)
ISSUED = DocumentFacts(
    "issue",
    DAY,
    agency_code="H12.01",
    agency_name="Văn phòng Ủy ban nhân dân tỉnh",
    agency_short="VP",
    agency_place="Cà Mau",
    kind="Thông báo",
    kind_abbreviation="TB",
    number="12",
    notation="TB-VP",
    dated=DAY,
    place="Cà Mau",
    subject="Về việc họp giao ban",
    priority=0,
    signer=Signer("ld@vp.example", "Chánh Văn phòng", "H12.01", "leader", None, Competence(True)),
    actor_role="clerk",
    actor_agency_code="H12.01",
    approvals=(Approval("ld@vp.example", b"d", NOW),),
    draft_digest=b"d",
    content_check="tp@vp.example",
    form_check="vt@vp.example",
    signatures=(PERSON, SEAL),
    numbering=Numbering(date(2026, 11, 23), 11, True, False, "numbered", True),
    receivers=(Receiver("H12.02", True, False, None, 1),),
)
DRAFT = DocumentFacts(
    "compose", DAY, kind="Thông báo", subject="Về việc họp giao ban", place="Cà Mau", agency_place="Cà Mau"
)
SENT = replace(
    ISSUED,
    moment="send",
    packet=PACKET,
    numbering=replace(ISSUED.numbering or Numbering(), row_state="issued"),
)
RECEIVED = replace(
    SENT,
    moment="receive",
    own_codes=("H12.02", "000.00.02.H12"),
    integrity_checked=True,
    already_registered=False,
)
STATUS = DocumentFacts(
    "receive",
    DAY,
    packet=PacketFacts(
        "status",
        True,
        from_codes=("H12.02",),
        status_code="03",
        status_organ="H12.01",
        status_document_id="H12.01,2026/11/24,12/TB-VP",
    ),
)
MAIL = MailFacts(
    "send",
    "submission",
    NOW,
    "a@vp.example",
    "vp.example",
    True,
    (Recipient("b@snv.example", "snv.example", True, "H12.02", True),),
    "civil-servant",
    "Họp giao ban",
    "Kính gửi anh chị,\nlịch họp tuần này.",
)
PDF = Attachment("tb.pdf", "application/pdf", "application/pdf", 10, True, True)
GMAIL = Recipient("c@gmail.com", "gmail.com")


def packet(facts: DocumentFacts, **changes: object) -> DocumentFacts:
    return replace(facts, packet=replace(facts.packet or PACKET, **changes))  # type: ignore[arg-type]


def numbered(**changes: object) -> DocumentFacts:
    return replace(ISSUED, numbering=replace(ISSUED.numbering or Numbering(), **changes))  # type: ignore[arg-type]


def signed(*signatures: SignatureFacts, on: DocumentFacts = ISSUED) -> DocumentFacts:
    return replace(on, signatures=signatures)


def powers(power: Competence | None) -> DocumentFacts:
    return replace(ISSUED, signer=replace(ISSUED.signer or Signer(), competence=power))


CERTIFICATE = CertificateFacts("sign", DAY, "ld@vp.example", "valid", 31)
GOOD: tuple[Facts, ...] = (
    DRAFT,
    ISSUED,
    SENT,
    RECEIVED,
    STATUS,
    MAIL,
    CERTIFICATE,
    replace(CERTIFICATE, moment="periodic"),
)


# rule → facts against it, with the severity it must have there
def from_outside(**sender: Any) -> MailFacts:
    known = {"author_domain": "dongnai.example", "proved": False, **sender}
    return replace(MAIL, moment="receive", door="mx", sender_is_ours=False, sender_check=SenderFacts(**known))


def troubled(*troubles: str) -> MailFacts:
    file = Attachment("a.zip", "application/zip", troubles=tuple((one, f"a.zip/{one}") for one in troubles))
    return replace(MAIL, attachments=(file,))


AGAINST: dict[str, list[tuple[Facts, str]]] = {
    "R-SIG-21": [
        (replace(CERTIFICATE, moment="periodic", days_left=30), "warn"),
        (replace(CERTIFICATE, moment="periodic", state="expired", days_left=-1), "warn"),
        (replace(CERTIFICATE, moment="periodic", state="revoked"), "warn"),
    ],
    "R-SIG-22": [
        (replace(CERTIFICATE, state=state), "block")
        for state in ("expired", "revoked", "not-yet", "untrusted", "missing", "unknown")
    ],
    "R-SIG-01": [
        (signed(PERSON), "block"),
        (signed(SEAL), "block"),
        (signed(), "block"),
        (replace(ISSUED, signatures=None), "block"),
        (signed(PERSON, replace(SEAL, verdict="INDETERMINATE"), on=SENT), "block"),
    ],
    "R-SIG-02": [
        (signed(SEAL, PERSON), "block"),
        (signed(replace(PERSON, time_us=NOW + 9), SEAL), "block"),
        (signed(SEAL, PERSON, on=RECEIVED), "warn"),
    ],
    "R-SIG-03": [
        (replace(ISSUED, actor_role="leader"), "block"),
        (replace(ISSUED, actor_role=None), "block"),
        (replace(ISSUED, actor_agency_code="H12.02"), "block"),
    ],
    "R-SIG-04": [
        (signed(PERSON, replace(SEAL, organisation_code="H12.03")), "block"),
        (replace(ISSUED, seal_code="H12.03"), "block"),
    ],
    "R-SIG-05": [
        (powers(None), "block"),
        (powers(Competence(False)), "block"),
        (powers(Competence(True, "KT.")), "block"),
        (powers(Competence(True, "KT.", "QĐ 5", end=date(2026, 1, 1))), "block"),
        (replace(ISSUED, signer=None), "block"),
    ],
    "R-SIG-06": [
        (powers(Competence(True, "TUQ.", "GUQ 1")), "block"),
        (powers(Competence(True, "TUQ.", "GUQ 1", date(2026, 1, 1), DAY, "tài chính", True)), "block"),
    ],
    "R-SIG-13": [
        (signed(replace(PERSON, allowed_changes_only=False), SEAL), "block"),
        (signed(PERSON, replace(SEAL, covers_whole_file=False), on=RECEIVED), "block"),
    ],
    "R-SIG-14": [
        (signed(PERSON, replace(SEAL, verdict="INDETERMINATE")), "block"),
        (signed(PERSON, replace(SEAL, verdict="INDETERMINATE"), on=RECEIVED), "warn"),
        (signed(PERSON, replace(SEAL, revocation="revoked"), on=RECEIVED), "block"),
    ],
    "R-SIG-15": [(signed(PERSON, replace(SEAL, timestamped=False), on=SENT), "warn")],
    "R-SIG-18": [(signed(PERSON, on=RECEIVED), "warn"), (signed(on=RECEIVED), "warn")],
    "R-SIG-20": [(signed(PERSON, replace(SEAL, algorithm_ok=False, algorithm="SHA-1")), "block")],
    "R-NUM-01": [(numbered(pair_exists=True), "block")],
    "R-NUM-03": [(numbered(last_date=date(2026, 11, 25)), "block")],
    "R-NUM-04": [(numbered(given_by_system=False), "block"), (replace(ISSUED, numbering=None), "block")],
    "R-NUM-05": [(numbered(person_signed_before_number=False), "block")],
    "R-NUM-06": [
        (replace(ISSUED, notation="VP"), "block"),
        (replace(ISSUED, notation="QĐ-VP"), "block"),
        (replace(ISSUED, notation="TB-SNV"), "block"),
        (replace(ISSUED, kind="Công văn", kind_abbreviation=None, notation="VP"), "block"),
    ],
    "R-NUM-07": [
        (replace(ISSUED, number="5"), "block"),
        (replace(ISSUED, number="05 "), "block"),
        (replace(ISSUED, number="15a"), "block"),
        (replace(ISSUED, notation="TB - VP"), "block"),
    ],
    "R-REG-01": [(numbered(row_state="void"), "block")],
    "R-REG-08": [(replace(RECEIVED, same_number_registered=True), "warn")],
    "R-ISS-01": [
        (replace(DRAFT, kind="Thông tin"), "block"),
        (replace(ISSUED, kind=None), "block"),
    ],
    "R-ISS-03": [(replace(ISSUED, approvals=()), "block"), (replace(ISSUED, signer=None), "block")],
    "R-ISS-04": [
        (replace(ISSUED, draft_digest=b"e"), "block"),
        (replace(ISSUED, draft_digest=None), "block"),
    ],
    "R-ISS-05": [(replace(ISSUED, content_check=None), "block")],
    "R-ISS-06": [(replace(ISSUED, form_check=None), "block")],
    "R-ISS-14": [(packet(SENT, to_codes=("H12.02", "H12.03")), "block")],
    "R-ISS-24": [(replace(DRAFT, place="Bạc Liêu"), "warn")],
    "R-MET-01": [
        (replace(DRAFT, subject=" "), "block"),
        (replace(ISSUED, subject="x" * 501), "block"),
        (replace(RECEIVED, subject="x" * 501), "warn"),
        (packet(replace(RECEIVED, subject=None), subject=""), "block"),
    ],
    "R-MET-02": [
        (replace(ISSUED, notation="X" * 31), "block"),
        (replace(ISSUED, number=""), "block"),
        (replace(RECEIVED, notation="TB,VP"), "warn"),
    ],
    "R-MET-03": [
        (replace(ISSUED, agency_name="x" * 201), "block"),
        (packet(ISSUED, page_amount="1000"), "block"),
        (packet(RECEIVED, full_name="x" * 51), "warn"),
    ],
    "R-MET-04": [
        (packet(SENT, document_id="9fbfbad2-f1f8-4256-a2eb-50fb1061cddb"), "block"),
        (packet(RECEIVED, document_id="9fbfbad2-f1f8-4256-a2eb-50fb1061cddb"), "warn"),
    ],
    "R-MET-05": [
        (packet(SENT, from_codes=("camau",)), "block"),
        (packet(RECEIVED, from_codes=("vxp.saas.03",)), "warn"),
        (packet(RECEIVED, from_codes=("",)), "block"),
    ],
    "R-MET-06": [
        (packet(SENT, to_codes=()), "block"),
        (packet(RECEIVED, to_codes=("H12.02", "H12.02")), "block"),
        (packet(RECEIVED, from_codes=()), "block"),
    ],
    "R-MET-07": [
        (packet(SENT, priority="5"), "block"),
        (packet(replace(SENT, urgency_stamp=2), priority="1"), "block"),
    ],
    "R-MET-08": [
        (packet(SENT, dated=date(2026, 11, 25)), "block"),
        (packet(RECEIVED, dated=date(2026, 11, 20)), "warn"),
        (packet(RECEIVED, dated=None, dated_text="2026/02/30"), "warn"),
    ],
    "R-MET-09": [
        (packet(SENT, attachments=()), "block"),
        (packet(RECEIVED, references=("a", "a"), attachments=("a", "a")), "block"),
    ],
    "R-MET-10": [
        (packet(SENT, business_type="3"), "block"),
        (packet(RECEIVED, business_type="2"), "block"),
        (packet(RECEIVED, business_type="9"), "block"),
    ],
    "R-MET-13": [
        (packet(STATUS, status_code="99"), "block"),
        (packet(STATUS, status_document_id=None), "block"),
    ],
    "R-MET-16": [
        (packet(RECEIVED, well_formed=False), "block"),
        (packet(RECEIVED, has_doctype=True), "block"),
        (packet(RECEIVED, size=10**9), "block"),
    ],
    "R-CON-01": [(replace(DRAFT, secrecy="Mật"), "block")],
    "R-CON-02": [
        (replace(SENT, secrecy="Tối mật"), "block"),
        (replace(MAIL, secrecy_header="Mật"), "block"),
        (replace(RECEIVED, secrecy="Mật"), "hold"),
    ],
    "R-CON-03": [
        (replace(MAIL, subject="[MẬT] Kế hoạch"), "hold"),
        (replace(MAIL, text="UBND TỈNH\nTỐI MẬT\n"), "hold"),
        (replace(MAIL, attachments=(replace(PDF, first_page_text="TUYỆT MẬT"),)), "hold"),
        (replace(DRAFT, text="Độ mật: Mật"), "hold"),
    ],
    "R-CON-04": [
        (replace(MAIL, moment="receive", door="mx", sender_is_ours=False, text="MẬT\n"), "hold"),
        (replace(RECEIVED, text="TỐI MẬT"), "hold"),
    ],
    "R-CON-06": [(replace(MAIL, text="Tập huấn về bảo mật thông tin"), "record")],
    "R-REC-01": [
        (replace(RECEIVED, integrity_checked=None), "block"),
        (replace(RECEIVED, integrity_checked=False), "block"),
    ],
    "R-REC-02": [(signed(PERSON, replace(SEAL, verdict="TOTAL-FAILED"), on=RECEIVED), "block")],
    "R-REC-03": [(packet(RECEIVED, to_codes=("H12.03",)), "block")],
    "R-REC-05": [(replace(RECEIVED, refusing=True, refusal_reason=" "), "block")],
    "R-REC-11": [(replace(RECEIVED, already_registered=True), "block")],
    "R-REC-13": [
        (replace(RECEIVED, attachments=(replace(PDF, detected_type="application/x-dosexec"),)), "block"),
        (replace(RECEIVED, attachments=(replace(PDF, scan="malware"),)), "block"),
        (replace(RECEIVED, attachments=(replace(PDF, detected_type="text/xml"),)), "warn"),
        (replace(RECEIVED, attachments=(Attachment("a.doc", "application/xml", "application/xml"),)), "warn"),
        (
            replace(MAIL, attachments=(replace(PDF, is_official_document=False, scan="not-scanned"),)),
            "record",
        ),
    ],
    "R-ORG-01": [
        (replace(SENT, receivers=(Receiver("H12.02", False),)), "block"),
        (replace(SENT, receivers=(Receiver("H12.02", True, codes_valid=2),)), "block"),
    ],
    "R-ORG-03": [
        (replace(ISSUED, agency_closed=True), "block"),
        (replace(SENT, receivers=(Receiver("H12.02", True, True, "H12.09", 1),)), "warn"),
        (replace(SENT, receivers=(Receiver("H12.02", True, True),)), "block"),
        (replace(RECEIVED, agency_closed=True), "record"),
    ],
    "R-MAIL-01": [
        (replace(MAIL, recipients=(GMAIL,)), "warn"),
        (replace(MAIL, recipients=(replace(GMAIL, domain="mail.yahoo.com"),)), "warn"),
        (replace(MAIL, recipients=(GMAIL,), reason="người dân hỏi"), "record"),
    ],
    "R-MAIL-02": [
        (replace(MAIL, recipients=(GMAIL,), attachments=(PDF,)), "block"),
        (
            replace(MAIL, recipients=(GMAIL,), attachments=(replace(PDF, official_by_signature=False),)),
            "warn",
        ),
        (
            replace(MAIL, recipients=(GMAIL,), attachments=(PDF,), reason="trả kết quả cho người dân"),
            "record",
        ),
    ],
    "R-MAIL-03": [(replace(MAIL, attachments=(PDF,)), "block")],
    "R-MAIL-07": [(replace(MAIL, secrecy_header="Tối mật"), "block")],
    "R-MAIL-08": [
        (replace(MAIL, recipients=MAIL.recipients * 101), "block"),
        (replace(MAIL, sent_today=500), "block"),
    ],
    "R-MAIL-11": [(from_outside(dmarc="fail", policy="reject"), "block")],
    "R-MAIL-12": [
        (from_outside(odd_label="cаmau"), "warn"),
        (from_outside(author_domain=None, dmarc="permerror"), "warn"),
    ],
    "R-MAIL-13": [(from_outside(claims_ours=True), "warn")],
    "R-MAIL-14": [
        (replace(MAIL, malware="Win.Test"), "block"),
        (troubled("program"), "block"),
        (troubled("double-extension"), "block"),
        (troubled("bomb"), "block"),
        (troubled("encrypted", "program"), "block"),
        (troubled("macros"), "warn"),
        (troubled("encrypted"), "warn"),
        (replace(troubled("program"), moment="receive", door="mx", sender_is_ours=False), "block"),
    ],
}
