# SPDX-License-Identifier: AGPL-3.0-or-later
"""docs/rfc.md is what the source says, and nothing is claimed that no test shows."""

from __future__ import annotations

from tests import rfc_table


def test_every_claim_has_a_test() -> None:
    assert rfc_table.untested() == []


def test_the_page_is_current() -> None:
    assert rfc_table.PAGE.read_text(encoding="utf-8") == rfc_table.page(), "run `make docs`"


def test_sections_are_read_in_their_one_form() -> None:
    assert rfc_table.claims("x (RFC 9051 §6.4.5, §7, RFC 3501) and RFC 7162 §3.1") == {
        (9051, (6, 4, 5)),
        (9051, (7,)),
        (7162, (3, 1)),
    }
