# SPDX-License-Identifier: AGPL-3.0-or-later
"""Kinds, notation and how numbers and dates are written (R-ISS-01, R-NUM-06 to 08)."""

from __future__ import annotations

import unicodedata
from datetime import date

import pytest

from config.refusal import Refused
from exchange.documents.kinds import kind_named, kinds, notation, shown, shown_date
from policy.rules.issuing import KINDS


def test_the_29_kinds_are_those_of_the_rule() -> None:
    assert len(kinds()) == 29
    assert {one.name.split(" (")[0].casefold() for one in kinds()} == set(KINDS)


@pytest.mark.parametrize(
    ("kind", "short", "unit", "wanted"),
    [
        ("Thông báo", "VP", "", "TB-VP"),
        ("quyết định", "UBND", "", "QĐ-UBND"),
        ("Quyết định (cá biệt)", "UBND", "", "QĐ-UBND"),
        ("Tờ trình", "TTr", "", "TTr-TTr"),
        ("Công văn", "VP", "KGVX", "VP-KGVX"),
        ("Công văn", "UBND", "VP-TH", "UBND-VP-TH"),
        (unicodedata.normalize("NFD", "Quyết định"), unicodedata.normalize("NFD", "SGDĐT"), "", "QĐ-SGDĐT"),
    ],
)
def test_notation(kind: str, short: str, unit: str, wanted: str) -> None:
    assert notation(kind_named(kind), short, unit) == wanted


@pytest.mark.parametrize("unit", ["", "A B", "A,B", "A/B", "-A", "A--B", "X" * 40])
def test_units_that_break_a_notation_are_refused(unit: str) -> None:
    with pytest.raises(Refused) as refused:
        notation(kind_named("Công văn"), "VP", unit)
    assert refused.value.rule == "R-NUM-06"


def test_unknown_kind_names_the_rule() -> None:
    with pytest.raises(Refused) as refused:
        kind_named("Thông điệp")
    assert refused.value.rule == "R-ISS-01"


def test_writing() -> None:
    assert shown(5, "TB-VP") == "05/TB-VP"
    assert shown(1234, "UBND-KGVX") == "1234/UBND-KGVX"
    assert shown_date(date(2026, 1, 5)) == "ngày 05 tháng 01 năm 2026"
    assert shown_date(date(2026, 11, 24)) == "ngày 24 tháng 11 năm 2026"
