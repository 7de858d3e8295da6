# SPDX-License-Identifier: AGPL-3.0-or-later
"""Kinds of administrative documents, their notation and the id of a document (ND30/2020 Art. 7, App. III).

The table is data (``document-types.csv``, 29 rows). A kind is decided by its declared name, never by its
abbreviation, because a body's abbreviation may equal one (``TTr``, ``TC``).
"""

from __future__ import annotations

import csv
import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files

from config.refusal import Refused

NOTATION_LENGTH = 30
"""CodeNotation, at most (ND30/2020 App. VI Part II)."""

_GROUP = re.compile(r"[^\W_]+(?:[.&][^\W_]+)*")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind: its row number (1 … 29), Vietnamese name, abbreviation ("" for letters), English name."""

    number: int
    name: str
    abbreviation: str
    english: str

    @property
    def is_letter(self) -> bool:
        """An official letter (công văn, thư công): its notation names a unit, not a kind."""
        return not self.abbreviation


@cache
def kinds() -> tuple[Kind, ...]:
    """All kinds in the order of the decree."""
    text = files("exchange.documents").joinpath("document-types.csv").read_text(encoding="utf-8")
    return tuple(
        Kind(int(row["no"]), nfc(row["name_vi"]), nfc(row["abbreviation"]), row["name_en"])
        for row in csv.DictReader(text.splitlines())
    )


def kind_named(name: str) -> Kind:
    """The kind with this name, “(cá biệt)” left out or not, in any case. Raises `Refused` (R-ISS-01)."""
    found = find_kind(name)
    if found is None:
        known = ", ".join(plain_name(one) for one in kinds())
        raise Refused(
            "unknown-kind",
            f"“{name[:60]}” không phải loại văn bản hành chính. Chọn một trong: {known}.",
            f"“{name[:60]}” is no kind of administrative document. Choose one of: {known}.",
            rule="R-ISS-01",
        )
    return found


def find_kind(name: str) -> Kind | None:
    """As `kind_named`, None when there is none (documents from elsewhere)."""
    return _by_name().get(_fold(name))


def kind_numbered(number: int) -> Kind | None:
    """The kind in row ``number``; None for 0 and unknown numbers."""
    return next((one for one in kinds() if one.number == number), None)


def plain_name(kind: Kind) -> str:
    """The name as documents print it: without “(cá biệt)”."""
    return kind.name.replace(" (cá biệt)", "")


def notation(kind: Kind, agency_short: str, unit: str) -> str:
    """``TB-VP`` for a named kind, ``VP-<unit>`` for a letter (R-NUM-06).

    Raises `Refused`: ``unit-needed``, or ``bad-notation`` (blank, comma, slash, over 30 characters).
    """
    body, part = nfc(agency_short.strip()), nfc(unit.strip())
    if kind.is_letter:
        if not part:
            raise Refused(
                "unit-needed",
                "Công văn cần ký hiệu đơn vị soạn thảo (--unit), ví dụ VP.",
                "An official letter needs the notation of the drafting unit (--unit), for example VP.",
                rule="R-NUM-06",
            )
        groups = [body, *part.split("-")]
    else:
        groups = [kind.abbreviation, body]
    made = "-".join(groups)
    if not all(_GROUP.fullmatch(one) for one in groups) or len(made) > NOTATION_LENGTH:
        raise Refused(
            "bad-notation",
            f"Ký hiệu “{made[:60]}” không hợp lệ: chỉ chữ và số, nối bằng gạch ngang, tối đa 30 ký tự.",
            f"The notation “{made[:60]}” is not valid: letters and digits joined by hyphens, 30 at most.",
            rule="R-NUM-06",
        )
    return made


def shown_number(number: int) -> str:
    """A number as it is written: below 10 with a leading zero (R-NUM-07)."""
    return f"{number:02d}"


def shown(number: int, notation_text: str) -> str:
    """``05/TB-VP``."""
    return f"{shown_number(number)}/{notation_text}"


def shown_date(day: date) -> str:
    """``ngày 05 tháng 01 năm 2026``: days below 10 and months 1 and 2 with a leading zero (R-NUM-08)."""
    month = f"{day.month:02d}" if day.month <= 2 else str(day.month)
    return f"ngày {day.day:02d} tháng {month} năm {day.year}"


def nfc(text: str) -> str:
    """The one Unicode form that is compared (Đ is U+0110)."""
    return unicodedata.normalize("NFC", text)


def _fold(name: str) -> str:
    return " ".join(nfc(name).casefold().split())


@cache
def _by_name() -> dict[str, Kind]:
    found = {_fold(one.name): one for one in kinds()}
    return found | {_fold(plain_name(one)): one for one in kinds()}
