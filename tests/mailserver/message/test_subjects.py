# SPDX-License-Identifier: AGPL-3.0-or-later
"""Base subjects (RFC 5256 §2.1) and the collation of sorting (RFC 5051)."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.message.subjects import base_subject, casemap


@pytest.mark.parametrize(
    ("subject", "base", "answer"),
    [
        ("Công văn số 12", "Công văn số 12", False),
        ("Re: Công văn số 12", "Công văn số 12", True),
        ("RE:re: Fw: FWD: x", "x", True),
        ("Re [2]: x", "x", True),
        ("Re[2]: x", "x", True),
        ("[vp] x", "x", False),
        ("[vp] [sở] Re: [vp] x (fwd)", "x", True),
        ("Re: [vp]", "[vp]", True),
        ("[vp]", "[vp]", False),
        ("[vp] (fwd) (FWD)  ", "[vp]", True),
        ("[Fwd: Re: x (fwd)]", "x", True),
        ("fwd: [fwd: [fwd: x]]", "x", True),
        ("Rework: x", "Rework: x", False),
        ("Re:", "", True),
        ("   ", "", False),
        ("a\t \tb", "a b", False),
    ],
)
def test_base_subject(subject: str, base: str, answer: bool) -> None:
    """Each step of the extraction."""
    assert base_subject(subject) == (base, answer)


@given(st.text(alphabet="[]() reRE:fwd1ă", max_size=60))
def test_base_subject_is_stable(subject: str) -> None:
    """What is extracted has nothing left to extract."""
    base, _ = base_subject(subject)
    assert base_subject(base) == (base, False)


@pytest.mark.parametrize("hostile", ["[a]" * 5000, "(fwd)" * 4000 + "x", "[fwd:" * 4000, "re [" * 5000])
def test_hostile_subjects_are_cheap(hostile: str) -> None:
    """S5: nesting costs no more than a moment."""
    start = time.thread_time()
    base_subject(hostile)
    assert time.thread_time() - start < 1.0


def test_casemap_orders_letters_with_their_marks() -> None:
    """Case does not count, a letter with a mark comes behind the bare one, đ behind d and its marked kin."""
    assert casemap("Công VĂN") == casemap("công văn") == casemap("công văn")
    assert sorted(["cố", "CO", "cô", "cò", "cu"], key=casemap) == ["CO", "cò", "cô", "cố", "cu"]
