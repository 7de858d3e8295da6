# SPDX-License-Identifier: AGPL-3.0-or-later
"""Threads: the examples of RFC 5256 §4 and §5, hostile references, deep threads."""

from __future__ import annotations

import time

import pytest

from mailserver.search.columns import Threads, hashed
from mailserver.search.threads import Forest, ordered_subject, references, write

Letter = tuple[str, str, list[str]]  # id, subject, references


def thread(letters: list[Letter], dates: list[int] | None = None) -> str:
    """The THREAD=REFERENCES list of letters numbered from 1."""
    facts = Threads()
    base = []
    for uid, (identity, subject, refs) in enumerate(letters, 1):
        answer = subject.startswith("Re: ")
        base.append(subject.removeprefix("Re: ").encode())
        facts.add(uid, hashed(identity) if identity else 0, answer, [hashed(one) for one in refs])
    moments = dates or list(range(len(letters)))
    roots = references(range(len(letters)), facts, None, base, moments)
    return write(roots, range(1, len(letters) + 1)).decode()


@pytest.mark.parametrize(
    ("letters", "wanted"),
    [
        ([("a", "x", []), ("b", "Re: x", ["a"]), ("c", "Re: x", ["a", "b"])], "(1 2 3)"),
        ([("a", "x", []), ("b", "Re: x", ["a"]), ("c", "Re: x", ["a"])], "(1 (2)(3))"),
        # The root is missing: a dummy holds its two answers together (RFC 5256 §5).
        ([("b", "Re: x", ["a"]), ("c", "Re: x", ["a"])], "((1)(2))"),
        # A missing one between is left out.
        ([("a", "x", []), ("c", "Re: x", ["a", "b"])], "(1 2)"),
        # Step 5: an answer without references goes to the subject's root.
        ([("a", "x", []), ("b", "Re: x", [])], "(1 2)"),
        ([("a", "x", []), ("b", "x", [])], "((1)(2))"),
        ([("b", "Re: x", []), ("a", "x", [])], "(2 1)"),
        ([("a", "x", []), ("b", "y", [])], "(1)(2)"),
        ([("a", "", []), ("b", "", [])], "(1)(2)"),
        # The same id twice: the second has none.
        ([("a", "x", []), ("a", "y", []), ("b", "Re: x", ["a"])], "(1 3)(2)"),
        # Loops are not made.
        ([("a", "x", ["b"]), ("b", "y", ["a"])], "(2 1)"),
        ([("a", "x", ["a"])], "(1)"),
        ([("a", "x", ["b", "a", "b"]), ("b", "y", [])], "(2 1)"),
        # A later message corrects a parent that was guessed from another's references.
        ([("c", "z", ["a", "b"]), ("b", "z", ["q"]), ("a", "z", [])], "((2 1)(3))"),
    ],
)
def test_references(letters: list[Letter], wanted: str) -> None:
    """The steps, one by one."""
    assert thread(letters) == wanted


def test_siblings_stand_by_date() -> None:
    """Steps 4 and 6: by sent date, a dummy by its first child."""
    letters: list[Letter] = [("a", "x", []), ("b", "Re: x", ["a"]), ("c", "Re: x", ["a"]), ("d", "y", [])]
    assert thread(letters, [10, 30, 20, 5]) == "(4)(1 (3)(2))"


def test_the_example_of_the_response() -> None:
    """RFC 5256 §5: ``(2)(3 6 (4 23)(44 7 96))``."""
    found = Forest()
    node = {number: found.add(number) for number in (2, 3, 6, 4, 23, 44, 7, 96)}
    for above, below in ((3, [6]), (6, [4, 44]), (4, [23]), (44, [7]), (7, [96])):
        found.children[node[above]] = [node[one] for one in below]
    found.roots = [node[2], node[3]]
    assert write(found, range(100)) == b"(2)(3 6 (4 23)(44 7 96))"


def test_ordered_subject() -> None:
    """One level of children by date (RFC 5256 §4)."""
    roots = ordered_subject(range(5), [b"x", b"y", b"x", b"x", b""], [5, 1, 9, 7, 8])
    assert write(roots, range(1, 6)) == b"(2)(1 (4)(3))(5)"


def test_deep_and_wide_threads_are_linear() -> None:
    """S5: 20,000 answers in a row, or to one letter, need no stack and little time."""
    chain: list[Letter] = [(str(n), "Re: x", [str(n - 1)] if n else []) for n in range(20_000)]
    star: list[Letter] = [("0", "x", []), *((str(n), "Re: x", ["0"]) for n in range(1, 20_000))]
    start = time.thread_time()
    assert thread(chain).startswith("(1 2 3 ")
    assert thread(star).startswith("(1 (2)(3)")
    assert time.thread_time() - start < 10
