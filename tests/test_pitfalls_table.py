# SPDX-License-Identifier: AGPL-3.0-or-later
"""docs/pitfalls.md is what the tests say, and every row has a test or the reason why it needs none."""

from __future__ import annotations

from tests import pitfalls_table
from tests.pitfalls_table import NOT_HERE, ROWS


def test_every_row_has_a_test() -> None:
    shown = pitfalls_table.tests()
    assert set(ROWS) - set(shown) - set(NOT_HERE) == set()
    assert set(shown) <= set(ROWS)


def test_the_page_is_current() -> None:
    assert pitfalls_table.PAGE.read_text(encoding="utf-8") == pitfalls_table.page(), "run `make docs`"


def test_rows_are_read_in_their_one_form() -> None:
    assert pitfalls_table.claims("S4, S5: x. S2, RFC 9051 §6.2.1: y; the S3 store, S9's neighbour") == {
        2,
        4,
        5,
    }
