# SPDX-License-Identifier: AGPL-3.0-or-later
"""R-NUM: numbers, notations, dates (D30 Art. 15, App. I II.3)."""

from __future__ import annotations

import re
import unicodedata

from policy.basis import D30, OWN, read
from policy.facts import DocumentFacts
from policy.rule import Parameters, Said, document_rule

_NUMBER = re.compile(r"0[1-9]|[1-9][0-9]{1,10}")
_NOTATION = re.compile(r"[0-9A-ZĐƯÂÊÔƠĂa-zđ]+(-[0-9A-ZĐƯÂÊÔƠĂ&a-zđ.]+)*")
_LETTERS = ("công văn", "thư công")


@document_rule(
    "R-NUM-01",
    "Số và ký hiệu của một cơ quan là duy nhất trong năm, chung cho văn bản giấy và điện tử.",
    "Number and notation of a body occur once in a year, over paper and electronic.",
    bases=(read(D30, "Điều 15(1)"),),
    issue="block",
)
def unique_pair(facts: DocumentFacts, _: Parameters) -> Said | None:
    """Says nothing when the register was not asked."""
    if facts.numbering is None or not facts.numbering.pair_exists:
        return None
    return Said(
        f"Số {facts.number}/{facts.notation} đã có trong sổ năm nay. Hãy lấy số mới từ hệ thống.",
        f"{facts.number}/{facts.notation} already stands in this year's register. Take a new number.",
    )


@document_rule(
    "R-NUM-03",
    "Ngày văn bản không sớm hơn ngày của số liền trước trong cùng dãy số.",
    "The date of issue is not earlier than that of the previous number in the sequence.",
    bases=(read(D30, "Điều 15(1)"),),
    issue="block",
)
def dates_in_order(facts: DocumentFacts, _: Parameters) -> Said | None:
    """Says nothing for the first number of a sequence."""
    last = facts.numbering.last_date if facts.numbering else None
    if last is None or facts.dated is None or facts.dated >= last:
        return None
    return Said(
        f"Ngày {facts.dated:%d/%m/%Y} sớm hơn ngày của số trước ({last:%d/%m/%Y}). Không cấp số lùi ngày, số chèn.",
        f"{facts.dated.isoformat()} is earlier than the previous number's date {last.isoformat()}. No back-dating.",
    )


@document_rule(
    "R-NUM-04",
    "Số của văn bản điện tử do hệ thống cấp, không gõ tay.",
    "The number of an electronic document is given by the system, never typed.",
    bases=(read(D30, "Điều 15(3)"),),
    issue="block",
)
def given_by_the_system(facts: DocumentFacts, _: Parameters) -> Said | None:
    """An unknown origin of the number blocks."""
    if facts.numbering is not None and facts.numbering.given_by_system:
        return None
    return Said(
        "Số văn bản không do hệ thống cấp. Hãy để văn thư lấy số từ sổ đăng ký.",
        "The number was not given by the system. Let the clerk take it from the register.",
    )


@document_rule(
    "R-NUM-05",
    "Chỉ cấp số sau khi người có thẩm quyền đã ký.",
    "A number is given only after the signature of the competent person.",
    bases=(read(D30, "Điều 15(2)"), OWN),
    issue="block",
)
def numbered_after_signing(facts: DocumentFacts, _: Parameters) -> Said | None:
    """Says nothing when the order is not known."""
    if facts.numbering is None or facts.numbering.person_signed_before_number is not False:
        return None
    return Said(
        "Số đã được cấp trước khi người có thẩm quyền ký. Hủy số này (ghi lý do) và cấp số sau khi ký.",
        "The number was given before the competent person signed. Void it with a reason and number after signing.",
    )


@document_rule(
    "R-NUM-06",
    "Ký hiệu văn bản có tên loại: <viết tắt tên loại>-<viết tắt cơ quan>; công văn: <cơ quan>-<đơn vị, lĩnh vực>.",
    "The notation of a named kind is <kind>-<body>; of an official letter <body>-<unit or field>.",
    bases=(read(D30, "Phụ lục I, II.3.b"),),
    issue="block",
)
def notation_fits_the_kind(facts: DocumentFacts, _: Parameters) -> Said | None:
    """Decided by the declared kind, never by the notation alone (an agency may be called like a kind)."""
    if facts.kind is None or facts.notation is None or facts.normative:
        return None
    groups = unicodedata.normalize("NFC", facts.notation).split("-")
    kind = unicodedata.normalize("NFC", facts.kind).strip().casefold()
    short = unicodedata.normalize("NFC", facts.agency_short or "")
    if kind in _LETTERS:
        wanted = f"{short or '<cơ quan>'}-<đơn vị>"
        fits = len(groups) >= 2 and (not short or groups[0] == short)
    elif facts.kind_abbreviation:
        wanted = f"{facts.kind_abbreviation}-{short or '<cơ quan>'}"
        named = unicodedata.normalize("NFC", facts.kind_abbreviation)
        fits = len(groups) == 2 and groups[0] == named and (not short or groups[1] == short)
    else:
        return None
    if fits:
        return None
    return Said(
        f"Ký hiệu “{facts.notation}” không đúng với {facts.kind}. Phải có dạng {wanted}.",
        f"Notation “{facts.notation}” does not fit the kind {facts.kind}. It must read {wanted}.",
    )


@document_rule(
    "R-NUM-07",
    "Số dưới 10 có số 0 ở trước; giữa số và ký hiệu có dấu “/”, giữa các nhóm chữ có dấu “-”, không cách chữ.",
    "Numbers below 10 have a leading zero; “/” joins number and notation, “-” joins groups, no spaces.",
    bases=(read(D30, "Phụ lục I, II.3.c"),),
    issue="block",
)
def written_properly(facts: DocumentFacts, _: Parameters) -> Said | None:
    """Says nothing before there is a number."""
    if facts.number is None or facts.notation is None:
        return None
    notation = unicodedata.normalize("NFC", facts.notation)
    if facts.normative:
        notation = re.sub(r"^[0-9]{4}/", "", notation)
    if _NUMBER.fullmatch(facts.number) and _NOTATION.fullmatch(notation):
        return None
    return Said(
        f"“{facts.number}/{facts.notation}” viết không đúng thể thức. Ví dụ đúng: 05/TB-VP.",
        f"“{facts.number}/{facts.notation}” is not written in the right form. Right: 05/TB-VP.",
    )
