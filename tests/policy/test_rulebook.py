# SPDX-License-Identifier: AGPL-3.0-or-later
"""The rulebook is read strictly; the shipped one holds every rule."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.rule import RULES
from policy.rulebook import RulebookWrong, load, parse


def test_the_shipped_rulebook_holds_every_rule_today() -> None:
    book = load()
    assert {one.rule.id for one in book.holdings if one.holds(date(2026, 11, 24))} == set(RULES)


def test_periods(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        '[[rule]]\nid = "R-MET-01"\nto = 2026-01-01\nparameters = { longest = 300 }\n'
        '[[rule]]\nid = "R-MET-01"\nfrom = 2026-01-01\nseverity = { compose = "warn" }\n'
    )
    book = load(path)
    [(old, severity)] = book.asked("compose", date(2025, 12, 31))
    assert (old.parameters["longest"], severity) == (300, "block")
    [(new, severity)] = book.asked("compose", date(2026, 1, 1))
    assert (new.parameters["longest"], severity) == (500, "warn")
    assert [one for one, _ in book.asked("send", date(2026, 1, 1))] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[rule]", "rulebook.toml"),
        ("x = 1", "x"),
        ("rule = 1", "only"),
        ("rule = [1]", "only"),
        ('[[rule]]\nid = "R-XXX-01"', "no such rule"),
        ("[[rule]]", "no id"),
        ('[[rule]]\nid = "R-MET-01"\nform = 2020-01-01', "unknown key form"),
        ('[[rule]]\nid = "R-MET-01"\nfrom = "2020-01-01"', "from is not a date"),
        ('[[rule]]\nid = "R-MET-01"\nfrom = 2020-01-01T00:00:00', "from is not a date"),
        ('[[rule]]\nid = "R-MET-01"\nfrom = 2020-13-01', "rulebook.toml"),
        ('[[rule]]\nid = "R-MET-01"\nfrom = 2020-01-02\nto = 2020-01-02', "ends before"),
        ('[[rule]]\nid = "R-MET-01"\nseverity = "stop"', "'stop'"),
        ('[[rule]]\nid = "R-MET-01"\nseverity = 1', "severity"),
        ('[[rule]]\nid = "R-MET-01"\nseverity = { send = "warn" }', "not asked at send"),
        ('[[rule]]\nid = "R-MET-01"\nparameters = 1', "parameters"),
        ('[[rule]]\nid = "R-MET-01"\nparameters = { longst = 1 }', "longst"),
        ('[[rule]]\nid = "R-MET-01"\nparameters = { longest = "1" }', "type int"),
        ('[[rule]]\nid = "R-MET-01"\nparameters = { longest = true }', "type int"),
        ('[[rule]]\nid = "R-MAIL-01"\nparameters = { public_domains = [1] }', "list of str"),
        ('[[rule]]\nid = "R-MET-01"\n[[rule]]\nid = "R-MET-01"\nfrom = 2026-01-01', "overlap"),
    ],
)
def test_mistakes_are_named(text: str, words: str) -> None:
    with pytest.raises(RulebookWrong) as caught:
        parse(text)
    assert words in caught.value.en


@given(st.text(max_size=100))
def test_garbage_is_refused(text: str) -> None:
    try:
        parse(text)
    except RulebookWrong:
        return
    assert "rule" not in text or not parse(text).holdings
