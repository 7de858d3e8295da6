# SPDX-License-Identifier: AGPL-3.0-or-later
"""The one verdict: what every check of a signed thing answers (DESIGN §5 ``verify``).

Verdicts and sub-indications are those of EN 319 102-1, with a few of our own where the law of this
country asks for an order of signatures (``ND30/2020 Art. 32``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

Outcome = Literal["TOTAL-PASSED", "INDETERMINATE", "TOTAL-FAILED", "UNSIGNED", "UNREADABLE"]
Role = Literal["person", "organisation", "timestamp"]
Revocation = Literal["good", "revoked", "not-checked"]
Authority = Literal["installation", "government", "public"]
"""Whose authority a certificate hangs on, by the trust lists (ND23/2025: official seals hang on the government's)."""
Encryption = Literal["none", "decrypted", "failed"]

PASSED: Outcome = "TOTAL-PASSED"
INDETERMINATE: Outcome = "INDETERMINATE"
FAILED: Outcome = "TOTAL-FAILED"
UNSIGNED: Outcome = "UNSIGNED"
UNREADABLE: Outcome = "UNREADABLE"

NO_WORD = "TRY_LATER"
"""Sub-indication: nothing is known of a certificate's revocation."""

_SEVERITY: dict[Outcome, int] = {PASSED: 0, INDETERMINATE: 1, FAILED: 2, UNSIGNED: 3, UNREADABLE: 4}


@dataclass(frozen=True, slots=True)
class SignatureVerdict:
    """One signature. ``time`` is ISO 8601: the time-stamp's, else the claimed one, else "".

    ``certificate`` (DER), ``stamped`` (whether a sound time-stamp gives the time) and ``initials`` (ký nháy:
    the person answers for the draft but does not approve it) are for callers and do not appear in the JSON. ``sub_indication`` is "" when the signature is sound.
    """

    signer: str
    organisation: str
    role: Role
    time: str
    verdict: Outcome
    sub_indication: str = ""
    revocation: Revocation = "not-checked"
    covers_whole_file: bool = True
    changed_after: bool = False
    certificate: bytes = b""
    stamped: bool = False
    opinions: tuple[tuple[str, Outcome], ...] = ()
    """What other validators said: (name, outcome); for the stored report."""
    initials: bool = False
    authority: Authority = "installation"
    """By a public authority (of businesses and citizens) a signature is sound, but never an agency's official one."""

    def as_json(self) -> dict[str, Any]:
        """The nine keys of DESIGN §5."""
        return {
            "signer": self.signer,
            "organisation": self.organisation,
            "role": self.role,
            "time": self.time,
            "verdict": self.verdict,
            "sub_indication": self.sub_indication,
            "revocation": self.revocation,
            "covers_whole_file": self.covers_whole_file,
            "changed_after": self.changed_after,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """The whole answer. ``fields``, ``problems`` and ``not_covered`` appear in the JSON when given."""

    kind: str
    verdict: Outcome
    reason: str
    encryption: Encryption = "none"
    official: bool = False
    signatures: tuple[SignatureVerdict, ...] = ()
    fields: dict[str, Any] | None = None
    problems: tuple[dict[str, str], ...] | None = None
    not_covered: tuple[tuple[int, int], ...] | None = None
    sub_indication: str = field(default="")

    @property
    def attachment(self) -> bool:
        """A sound PDF with the organisation's mark alone: an attachment or copy, official beside its document."""
        roles = {one.role for one in self.signatures if one.role != "timestamp"}
        return self.passed and self.kind == "pdf" and not self.official and roles == {"organisation"}

    @property
    def passed(self) -> bool:
        """True for TOTAL-PASSED (exit code 0)."""
        return self.verdict == PASSED

    def as_json(self) -> dict[str, Any]:
        """The object that ``congvan verify --json`` prints."""
        answer: dict[str, Any] = {
            "kind": self.kind,
            "verdict": self.verdict,
            "reason": self.reason,
            "encryption": self.encryption,
            "official": self.official,
            "signatures": [one.as_json() for one in self.signatures],
        }
        if self.fields is not None:
            answer["fields"] = self.fields
        if self.problems is not None:
            answer["problems"] = list(self.problems)
        if self.not_covered is not None:
            answer["not_covered"] = [list(span) for span in self.not_covered]
        return answer

    def words(self, language: str) -> tuple[str, str]:
        """(what it means, what to do) in ``language`` (``"vi"``, else English)."""
        meaning = meaning_of(self.verdict, language)
        return meaning, advice(self.sub_indication or first_sub_indication(self.signatures), language)


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The worst of several outcomes; TOTAL-PASSED of none."""
    return max(outcomes, key=_SEVERITY.__getitem__, default=PASSED)


def first_sub_indication(signatures: Iterable[SignatureVerdict]) -> str:
    """The sub-indication of the worst signature, "" when all are sound."""
    faulty = [one for one in signatures if one.sub_indication]
    return max(faulty, key=lambda one: _SEVERITY[one.verdict]).sub_indication if faulty else ""


def meaning_of(verdict: Outcome, language: str) -> str:
    """The verdict in a person's words."""
    vi, en = _MEANING[verdict]
    return vi if language == "vi" else en


def advice(sub_indication: str, language: str) -> str:
    """What a sub-indication means and what to do about it; "" for none."""
    if not sub_indication:
        return ""
    vi, en = _ADVICE.get(sub_indication, _OTHER)
    return vi if language == "vi" else en


_MEANING: dict[Outcome, tuple[str, str]] = {
    PASSED: ("Hợp lệ", "Valid"),
    INDETERMINATE: ("Chưa kết luận được", "Can't be decided yet"),
    FAILED: ("Không hợp lệ", "Not valid"),
    UNSIGNED: ("Không có chữ ký số", "Not signed"),
    UNREADABLE: ("Không đọc được", "Not readable"),
}

_OTHER = (
    "Chữ ký không kiểm tra được trọn vẹn. Hỏi lại cơ quan gửi.",
    "The signature could not be checked completely. Ask the sending agency.",
)

_ADVICE: dict[str, tuple[str, str]] = {
    "CHANGED_AFTER_SEAL": (
        "Tệp đã bị thêm hoặc sửa sau khi cơ quan ký số. Không sử dụng; đề nghị cơ quan gửi phát hành lại.",
        "It was added to or changed after the organisation signed. Don't use it; ask the sender again.",
    ),
    "HASH_FAILURE": (
        "Nội dung đã bị sửa sau khi ký. Không sử dụng; đề nghị gửi lại bản gốc.",
        "The content was changed after signing. Don't use it; ask for the original again.",
    ),
    "SIG_CRYPTO_FAILURE": (
        "Giá trị chữ ký không khớp với chứng thư. Không sử dụng; đề nghị gửi lại bản gốc.",
        "The signature value does not fit the certificate. Don't use it; ask for the original again.",
    ),
    "FORMAT_FAILURE": (
        "Chữ ký bị hỏng hoặc sai định dạng. Đề nghị gửi lại bản gốc.",
        "The signature is damaged or malformed. Ask for the original again.",
    ),
    "REVOKED": (
        "Chứng thư đã bị thu hồi trước khi ký. Không tiếp nhận; báo cho cơ quan gửi.",
        "The certificate was revoked before it was used to sign. Don't accept; tell the sending agency.",
    ),
    "EXPIRED": (
        "Chứng thư đã hết hạn khi ký. Đề nghị cơ quan gửi ký lại bằng chứng thư còn hạn.",
        "The certificate had expired when it was used to sign. Ask the sender to sign with a valid one.",
    ),
    "NOT_YET_VALID": (
        "Chứng thư chưa có hiệu lực khi ký. Kiểm tra đồng hồ và chứng thư của bên gửi.",
        "The certificate was not valid yet when used to sign. Check the sender's clock and certificate.",
    ),
    "TRY_LATER": (
        "Chưa có thông tin thu hồi của chứng thư. Thử lại khi có danh sách thu hồi (CRL) mới.",
        "There is no word on the certificate's revocation. Try again with a fresh revocation list (CRL).",
    ),
    "NO_CERTIFICATE_CHAIN_FOUND": (
        "Chứng thư không dẫn về gốc tin cậy đã chọn. Kiểm tra nơi cấp; nếu tin cậy, thêm chứng thư gốc.",
        "The certificate does not lead to a trusted root. Check its issuer; if you trust it, add its root.",
    ),
    "NO_SIGNING_CERTIFICATE_FOUND": (
        "Chữ ký không kèm chứng thư của người ký. Hỏi lại cơ quan gửi.",
        "The signer's certificate is not there. Ask the sending agency.",
    ),
    "CHAIN_CONSTRAINTS_FAILURE": (
        "Chứng thư không được cấp cho mục đích này. Đề nghị ký lại bằng đúng chứng thư.",
        "The certificate was not issued for this use. Ask for a signature with the right certificate.",
    ),
    "CRYPTO_CONSTRAINTS_FAILURE": (
        "Thuật toán hoặc độ dài khóa đã lỗi thời. Đề nghị ký lại bằng thuật toán mạnh.",
        "The algorithm or key length is out of date. Ask for a signature with a strong one.",
    ),
    "ORDER_OF_SIGNATURES": (
        "Cơ quan ký trước người có thẩm quyền: sai thứ tự ký số. Trả lại cơ quan gửi.",
        "The organisation signed before the competent person: the order of the law is broken. Return it.",
    ),
    "NO_PERSON_SIGNATURE": (
        "Chỉ có chữ ký số của cơ quan, thiếu chữ ký số của người có thẩm quyền. Trả lại cơ quan gửi.",
        "Only the organisation signed; the competent person's signature is missing. Return it.",
    ),
    "SEAL_OF_OTHER_AGENCY": (
        "Chữ ký số của cơ quan không cùng cơ quan với người ký. Trả lại cơ quan gửi.",
        "The organisation that signed is not the signer's. Return it.",
    ),
    "TIMESTAMP_INVALID": (
        "Dấu thời gian không hợp lệ. Hỏi lại cơ quan gửi.",
        "The time-stamp is not valid. Ask the sending agency.",
    ),
    "SIGNER_IS_NOT_SENDER": (
        "Người ký không phải là người gửi. Xác minh qua kênh khác trước khi sử dụng.",
        "The signer is not the sender. Verify by another way before using it.",
    ),
    "APPROVAL_MISSING": (
        "Hồ sơ thiếu xác nhận bằng khóa truy cập của người ký. Xin lại hồ sơ chứng cứ đầy đủ.",
        "The signer's approval by passkey is missing. Ask for the complete evidence.",
    ),
    "REVOKED_NO_POE": (
        "Chứng thư đã bị thu hồi và không có dấu thời gian chứng minh chữ ký có trước đó. Hỏi lại cơ quan gửi.",
        "The certificate is revoked and no time-stamp proves that it signed before. Ask the sending agency.",
    ),
    "OUT_OF_BOUNDS_NO_POE": (
        "Chứng thư đã hết hạn và không có dấu thời gian chứng minh chữ ký có trước đó. Hỏi lại cơ quan gửi.",
        "The certificate has expired and no time-stamp proves that it signed before. Ask the sending agency.",
    ),
    "TIMESTAMP_ORDER_FAILURE": (
        "Thời gian ký nằm trong tương lai hoặc sai thứ tự. Kiểm tra đồng hồ của bên gửi.",
        "The time of signing lies in the future or out of order. Check the sender's clock.",
    ),
    "VALIDATORS_DISAGREE": (
        "Hai chương trình kiểm tra kết luận khác nhau về chữ ký này. Chưa sử dụng; báo quản trị hệ thống.",
        "Two validators disagree about this signature. Don't use it yet; tell the system officer.",
    ),
    "ILLEGAL_CHANGES": (
        "Sau khi người có thẩm quyền ký, tệp bị sửa ngoài ô số và ngày. Không sử dụng; trả lại cơ quan gửi.",
        "After the person signed, more than number and date was changed. Don't use it; return it.",
    ),
}
