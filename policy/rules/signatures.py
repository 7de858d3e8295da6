# SPDX-License-Identifier: AGPL-3.0-or-later
"""R-SIG: signatures of the competent person and of the organisation (D30 Art. 5, 13, 32, 33)."""

from __future__ import annotations

from policy.basis import CRYPTO, D23, D30, OWN, QD28, TT41, read, unconfirmed
from policy.facts import DocumentFacts, SignatureFacts
from policy.rule import Parameters, Said, document_rule


def _of(facts: DocumentFacts, role: str) -> list[SignatureFacts]:
    return [one for one in facts.signatures or () if one.role == role]


@document_rule(
    "R-SIG-01",
    "Văn bản điện tử chỉ được phát hành khi có chữ ký số hợp lệ của người có thẩm quyền và của cơ quan.",
    "An electronic document is issued only with a valid signature of a competent person and of the body.",
    bases=(read(D30, "Điều 5(1)"),),
    issue="block",
    send="block",
)
def both_signatures(facts: DocumentFacts, _: Parameters) -> Said | None:
    """Signatures that nobody looked at (None) block like missing ones."""
    missing_vi, missing_en = [], []
    for role, vi, en in (
        ("person", "người có thẩm quyền", "the competent person"),
        ("organisation", "cơ quan", "the body"),
    ):
        if not any(one.verdict == "TOTAL-PASSED" for one in _of(facts, role)):
            missing_vi.append(vi)
            missing_en.append(en)
    if not missing_vi:
        return None
    return Said(
        f"Thiếu chữ ký số hợp lệ của {' và '.join(missing_vi)}. Hãy trình ký và đóng dấu cơ quan trước khi gửi.",
        f"A valid signature of {' and '.join(missing_en)} is missing. Have it signed and sealed before sending.",
    )


@document_rule(
    "R-SIG-02",
    "Chữ ký số của người có thẩm quyền có trước chữ ký số của cơ quan.",
    "The personal signature is earlier than the signature of the body.",
    bases=(read(D30, "Điều 32(2)(d)"),),
    issue="block",
    receive="warn",
)
def person_before_organisation(facts: DocumentFacts, _: Parameters) -> Said | None:
    """Judged by order in the file and, where both are known, by time."""
    signatures = facts.signatures or ()
    roles = [one.role for one in signatures]
    wrong = "organisation" in roles and "person" in roles[roles.index("organisation") :]
    people = [one.time_us for one in _of(facts, "person") if one.time_us is not None]
    seals = [one.time_us for one in _of(facts, "organisation") if one.time_us is not None]
    if not wrong and not (people and seals and max(people) > min(seals)):
        return None
    return Said(
        "Cơ quan đã ký số trước người có thẩm quyền. Hãy lập lại bản trình ký: người ký trước, văn thư ký sau.",
        "The body signed before the competent person. Start again: the person signs first, the clerk seals last.",
    )


@document_rule(
    "R-SIG-03",
    "Chữ ký số của cơ quan do văn thư của chính cơ quan đó thực hiện.",
    "The signature of the body is made by a clerk of that body, by an act of that clerk.",
    bases=(read(D30, "Điều 32(2)(c)"), unconfirmed(TT41)),
    issue="block",
)
def sealed_by_the_clerk(facts: DocumentFacts, _: Parameters) -> Said | None:
    """An unknown user blocks."""
    if facts.actor_role in {"clerk", "registry"} and facts.actor_agency_code == facts.agency_code:
        return None
    return Said(
        "Chỉ văn thư của cơ quan ban hành được ký số của cơ quan. Hãy chuyển cho văn thư thực hiện.",
        "Only a clerk of the issuing body may seal. Hand the document to the clerk.",
    )


@document_rule(
    "R-SIG-04",
    "Chữ ký số của cơ quan chỉ dùng cho văn bản do cơ quan đó ban hành và bản sao do cơ quan đó thực hiện.",
    "The signature of the body is used only on documents it issued and on copies it made from paper.",
    bases=(read(D30, "Điều 32(2)(d), 33(2)"),),
    issue="block",
    receive="block",
)
def own_documents_only(facts: DocumentFacts, _: Parameters) -> Said | None:
    """Compares the codes of the sealing certificates with that of the issuing body, where both are known.

    A document issued jointly also bears the seals of those other bodies.
    """
    codes = {one.organisation_code for one in _of(facts, "organisation")} | {facts.seal_code}
    codes -= set(facts.joint_codes)
    others = sorted(code for code in codes if code and facts.agency_code and code != facts.agency_code)
    if not others:
        return None
    return Said(
        f"Dấu của {others[0]} không được dùng cho văn bản của {facts.agency_code}. Dùng chứng thư số của cơ quan ban hành.",
        f"The seal of {others[0]} may not stand on a document of {facts.agency_code}. Use the issuing body's key.",
    )


@document_rule(
    "R-SIG-05",
    "Người ký có thẩm quyền vào ngày ký (đứng đầu, hoặc KT., TM., TL., TUQ., Q. có căn cứ).",
    "On the date of signing the signer holds a power that covers the document: head, or KT., TM., TL., TUQ., Q.",
    bases=(read(D30, "Điều 13(1)–(4)"),),
    issue="block",
)
def competent_signer(facts: DocumentFacts, _: Parameters) -> Said | None:
    """An unknown competence blocks."""
    competence = facts.signer.competence if facts.signer else None
    if competence is not None and competence.valid and (competence.form in {"", "TM."} or competence.basis):
        day = facts.dated or facts.date_local
        in_time = (competence.start is None or competence.start <= day) and (
            competence.end is None or day <= competence.end
        )
        if in_time:
            return None
    return Said(
        "Chưa có căn cứ thẩm quyền ký còn hiệu lực vào ngày ký. Hãy ghi nhận căn cứ (quy chế, giấy ủy quyền) hoặc đổi người ký.",
        "No power to sign is on record for that day. Record its basis (working rules, authorisation) or change the signer.",
    )


@document_rule(
    "R-SIG-06",
    "Thừa ủy quyền phải có văn bản, thời hạn, phạm vi và không được ủy quyền lại.",
    "A TUQ. power has a written basis, a start, an end and a scope, and is not passed on.",
    bases=(read(D30, "Điều 13(3)"),),
    compose="block",
    issue="block",
)
def written_authorisation(facts: DocumentFacts, _: Parameters) -> Said | None:
    """Says nothing when the form of the power is not TUQ."""
    power = facts.signer.competence if facts.signer else None
    if power is None or power.form != "TUQ.":
        return None
    if power.basis and power.start and power.end and power.scope and not power.passed_on:
        return None
    return Said(
        "Giấy ủy quyền (TUQ.) thiếu văn bản, thời hạn, phạm vi, hoặc đã bị ủy quyền lại. Hãy bổ sung trước khi ký.",
        "The TUQ. power lacks a written basis, dates or scope, or was passed on. Complete it before signing.",
    )


@document_rule(
    "R-SIG-13",
    "Giữa chữ ký cá nhân và chữ ký cơ quan chỉ được thêm số, ngày, dữ liệu xác thực và dấu của cơ quan.",
    "Between both signatures only number, date, validation data and the seal's appearance were added.",
    bases=(read(D30, "Điều 11(2), 15(3)"), OWN),
    issue="block",
    receive="block",
)
def nothing_else_added(facts: DocumentFacts, _: Parameters) -> Said | None:
    """Also: the organisation's signature is the last thing in the file and covers all of it."""
    seals = _of(facts, "organisation")
    changed = not all(one.allowed_changes_only for one in facts.signatures or ())
    if not changed and (not seals or seals[-1].covers_whole_file):
        return None
    return Said(
        "Tệp đã bị thêm hoặc sửa nội dung sau khi ký. Không sử dụng; hãy lập và ký lại văn bản.",
        "Something else was added or changed after signing. Don't use the file; prepare and sign it again.",
    )


@document_rule(
    "R-SIG-14",
    "Chứng thư số còn hiệu lực, không bị thu hồi khi ký và thuộc chuỗi tin cậy.",
    "The certificate was valid and not revoked at signing and chains to a trusted root.",
    bases=(read(D30, "Điều 5(2)"), unconfirmed(D23)),
    issue="block",
    receive="block",
)
def valid_certificates(facts: DocumentFacts, _: Parameters) -> Said | None:
    """Failed or revoked blocks; not decidable (INDETERMINATE) blocks at issue and warns at receiving."""
    for one in facts.signatures or ():
        if one.verdict == "TOTAL-PASSED" and one.revocation != "revoked":
            continue
        failed = one.verdict == "TOTAL-FAILED" or one.revocation == "revoked"
        reason = one.sub_indication or ("REVOKED" if one.revocation == "revoked" else one.verdict)
        return Said(
            f"Chữ ký của {one.signer} không hợp lệ ({reason}). Kiểm tra chứng thư số và ký lại, hoặc trả lại nơi gửi.",
            f"The signature of {one.signer} is not valid ({reason}). Check the certificate and sign again, or return it.",
            None if failed or facts.moment == "issue" else "warn",
        )
    return None


@document_rule(
    "R-SIG-15",
    "Chữ ký gửi đi có dấu thời gian; thiếu thì dấu thời gian bổ sung được giữ trong hồ sơ bằng chứng.",
    "A signature sent out carries a time-stamp; when it could not be had, a late stamp is kept in the evidence.",
    bases=(unconfirmed(TT41), OWN),
    send="warn",
    periodic="record",
)
def time_stamped(facts: DocumentFacts, _: Parameters) -> Said | None:
    """Says nothing about signatures that were not looked at."""
    if all(one.timestamped for one in facts.signatures or ()):
        return None
    return Said(
        "Có chữ ký chưa có dấu thời gian. Văn bản vẫn gửi được; hệ thống sẽ bổ sung dấu thời gian vào bằng chứng.",
        "A signature has no time-stamp. The document may leave; a late stamp will be kept in the evidence.",
    )


@document_rule(
    "R-SIG-18",
    "Văn bản không có chữ ký số hợp lệ chỉ để biết, tham khảo, không thay bản giấy.",
    "A document without valid signatures is for information only and replaces no paper.",
    bases=(read(QD28, "Điều 4(2)"),),
    receive="warn",
)
def for_information_only(facts: DocumentFacts, _: Parameters) -> Said | None:
    """None means that signatures were not looked at: R-REC-01 sees to that."""
    if facts.signatures is None or (facts.packet is not None and facts.packet.kind == "status"):
        return None
    seals = [one for one in _of(facts, "organisation") if one.verdict == "TOTAL-PASSED"]
    if seals:
        return None
    return Said(
        "Văn bản không có chữ ký số hợp lệ của cơ quan: chỉ ghi “để biết, tham khảo”, yêu cầu nơi gửi gửi bản có ký số.",
        "No valid signature of the body: mark it “for information only” and ask the sender for a signed one.",
    )


@document_rule(
    "R-SIG-20",
    "Không ký mới bằng SHA-1 hoặc RSA dưới 2048 bit.",
    "New signatures with SHA-1 or RSA below 2048 bits are refused.",
    bases=(unconfirmed(CRYPTO),),
    issue="block",
    receive="warn",
)
def sound_algorithms(facts: DocumentFacts, _: Parameters) -> Said | None:
    """Judged by whoever read the signature; the name of the algorithm is shown."""
    for one in facts.signatures or ():
        if not one.algorithm_ok:
            name = one.algorithm or "SHA-1/RSA<2048"
            return Said(
                f"Chữ ký của {one.signer} dùng thuật toán yếu ({name}). Hãy ký lại bằng chứng thư số mới.",
                f"The signature of {one.signer} uses a weak algorithm ({name}). Sign again with a new certificate.",
            )
    return None
