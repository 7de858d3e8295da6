# SPDX-License-Identifier: AGPL-3.0-or-later
"""R-ISS: drafting, checking, approving and issuing (D30 Art. 7–18)."""

from __future__ import annotations

import unicodedata

from policy.basis import D30, OWN, QD28, read
from policy.facts import DocumentFacts
from policy.rule import Parameters, Said, document_rule

KINDS = (
    "nghị quyết", "quyết định", "chỉ thị", "quy chế", "quy định", "thông cáo", "thông báo", "hướng dẫn",
    "chương trình", "kế hoạch", "phương án", "đề án", "dự án", "báo cáo", "biên bản", "tờ trình", "hợp đồng",
    "công văn", "công điện", "bản ghi nhớ", "bản thỏa thuận", "giấy ủy quyền", "giấy mời", "giấy giới thiệu",
    "giấy nghỉ phép", "phiếu gửi", "phiếu chuyển", "phiếu báo", "thư công",
)  # fmt: skip
"""The 29 kinds of administrative documents (D30 Art. 7)."""


@document_rule(
    "R-ISS-01",
    "Tên loại văn bản hành chính là một trong 29 loại theo quy định.",
    "The kind of an administrative document is one of the 29 kinds.",
    bases=(read(D30, "Điều 7"),),
    compose="block",
    issue="block",
)
def known_kind(facts: DocumentFacts, _: Parameters) -> Said | None:
    """A missing kind blocks at issue; normative documents have kinds of their own."""
    if facts.normative or (facts.kind is None and facts.moment == "compose"):
        return None
    kind = unicodedata.normalize("NFC", facts.kind or "").split("(")[0].strip().casefold()
    if kind in KINDS:
        return None
    return Said(
        f"“{facts.kind or ''}” không phải tên loại văn bản hành chính. Hãy chọn một trong 29 loại.",
        f"“{facts.kind or ''}” is not a kind of administrative document. Choose one of the 29.",
    )


@document_rule(
    "R-ISS-03",
    "Bản thảo do chính người ký (hoặc người có thẩm quyền đó) duyệt trước khi ký.",
    "A draft is approved by the person who is to sign it before it is signed.",
    bases=(read(D30, "Điều 11(1)"),),
    issue="block",
)
def approved_by_the_signer(facts: DocumentFacts, _: Parameters) -> Said | None:
    """A missing approval or signer blocks."""
    signer = facts.signer.address if facts.signer else None
    if signer and any(one.by.casefold() == signer.casefold() for one in facts.approvals):
        return None
    return Said(
        "Bản thảo chưa được người ký duyệt. Hãy trình người có thẩm quyền duyệt trước khi ký.",
        "The draft was not approved by its signer. Submit it for approval before signing.",
    )


@document_rule(
    "R-ISS-04",
    "Sửa bản thảo sau khi duyệt thì phải duyệt lại.",
    "Any change to the text after approval voids the approval.",
    bases=(read(D30, "Điều 11(2)"),),
    issue="block",
)
def unchanged_since_approval(facts: DocumentFacts, _: Parameters) -> Said | None:
    """Says nothing without approvals (R-ISS-03 does); an unknown digest of the text blocks."""
    signer = facts.signer.address.casefold() if facts.signer and facts.signer.address else None
    theirs = [one for one in facts.approvals if signer is None or one.by.casefold() == signer]
    if not theirs or theirs[-1].digest == facts.draft_digest:
        return None
    return Said(
        "Nội dung đã thay đổi sau khi duyệt. Hãy trình duyệt lại đúng bản này.",
        "The text was changed after its approval. Have exactly this text approved again.",
    )


@document_rule(
    "R-ISS-05",
    "Trước khi ký có kiểm tra nội dung của người đứng đầu đơn vị soạn thảo.",
    "Before signing there is a recorded content check by the head of the drafting unit.",
    bases=(read(D30, "Điều 12(1)"),),
    issue="block",
)
def content_checked(facts: DocumentFacts, _: Parameters) -> Said | None:
    """A missing record blocks."""
    if facts.content_check:
        return None
    return Said(
        "Chưa có ghi nhận kiểm tra nội dung. Người đứng đầu đơn vị soạn thảo hãy kiểm tra và xác nhận.",
        "No content check is recorded. The head of the drafting unit checks and confirms it.",
    )


@document_rule(
    "R-ISS-06",
    "Trước khi ký có kiểm tra thể thức, kỹ thuật trình bày.",
    "Before signing there is a recorded check of form and layout.",
    bases=(read(D30, "Điều 12(2)"),),
    issue="block",
)
def form_checked(facts: DocumentFacts, _: Parameters) -> Said | None:
    """A missing record blocks."""
    if facts.form_check:
        return None
    return Said(
        "Chưa có ghi nhận kiểm tra thể thức. Người được giao hãy kiểm tra và xác nhận.",
        "No check of form and layout is recorded. The person charged with it checks and confirms.",
    )


@document_rule(
    "R-ISS-14",
    "Nơi nhận trên gói tin và trên văn bản phải khớp nhau.",
    "Recipients of the packet and of the document agree.",
    bases=(read(QD28, "Điều 8(2)"), OWN),
    send="block",
)
def recipients_agree(facts: DocumentFacts, _: Parameters) -> Said | None:
    """Compares the structured lists of the document and the packet; lines of free text are not judged."""
    if facts.packet is None or not facts.receivers or facts.packet.kind == "status":
        return None
    wanted, packed = {one.code for one in facts.receivers}, set(facts.packet.to_codes)
    if wanted == packed:
        return None
    odd = ", ".join(sorted(wanted ^ packed))
    return Said(
        f"Nơi nhận của văn bản và gói tin không khớp ({odd}). Hãy sửa danh sách nơi nhận rồi tạo lại gói tin.",
        f"Recipients of document and packet differ ({odd}). Mend the list and build the packet again.",
    )


@document_rule(
    "R-ISS-24",
    "Địa danh trên văn bản là tên đơn vị hành chính nơi cơ quan đóng trụ sở.",
    "The place name of the document is the administrative unit where the body sits.",
    bases=(read(D30, "Phụ lục I, II.4.a"),),
    compose="warn",
)
def right_place(facts: DocumentFacts, _: Parameters) -> Said | None:
    """Warns only: the place may be read out of free text."""
    if not facts.place or not facts.agency_place:
        return None
    written = unicodedata.normalize("NFC", facts.place).strip().casefold()
    if written == unicodedata.normalize("NFC", facts.agency_place).strip().casefold():
        return None
    return Said(
        f"Địa danh “{facts.place}” khác nơi cơ quan đóng trụ sở ({facts.agency_place}). Hãy kiểm tra lại.",
        f"Place “{facts.place}” is not where the body sits ({facts.agency_place}). Please check.",
    )
