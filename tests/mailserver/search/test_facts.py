# SPDX-License-Identifier: AGPL-3.0-or-later
"""Columns and pages: the same answers from pages, summaries and both; pages follow deletions."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from mailserver.message import fold_line
from mailserver.search import pages, schema
from mailserver.search.columns import KINDS, Numbers, Texts, Threads, column_type
from mailserver.search.keys import Key
from mailserver.search.order import sort
from mailserver.search.searching import Searcher, Searches
from tests.mailserver.search.conftest import Box, letter

line = st.text(alphabet="aăb đ\U0001f600", max_size=20)


@given(st.lists(line, max_size=20), st.text(alphabet="aăb đ", min_size=1, max_size=3))
def test_texts(lines: list[str], wanted: str) -> None:
    """Packing, joining and finding agree with the plain list."""
    whole = Texts.of(range(1, len(lines) + 1), lines)
    half = len(lines) // 2
    first = Texts.of(range(1, half + 1), lines[:half])
    rest = Texts.of(range(half + 1, len(lines) + 1), lines[half:])
    joined = Texts.joined([first.pack(), rest])
    assert joined.values() == whole.values() == [one.encode() for one in lines]
    assert list(joined.uids) == list(range(1, len(lines) + 1))
    assert joined.find(wanted.encode()) == [at for at, one in enumerate(lines) if wanted in one]


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.booleans(), st.lists(st.integers(1, 9), max_size=3))))
def test_threads_and_numbers(facts: list[tuple[int, bool, list[int]]]) -> None:
    """Packed and read again."""
    made = Threads()
    for uid, one in enumerate(facts, 1):
        made.add(uid, *one)
    read = Threads.joined([made.pack()])
    assert (read.uids, read.ids, read.answers, read.counts, read.refs) == (
        *(made.uids, made.ids, made.answers, made.counts),
        made.refs,
    )
    numbers = Numbers.of(made.uids, [-one for one in made.uids])
    assert Numbers.joined([numbers.pack()]).values == numbers.values


def _all_answers(box: Box) -> list[object]:
    uids = box.uids
    job = Searcher(Searches(box.store), box)
    out: list[object] = [
        [uids[at] for at in job.match(Key(name, text=text), range(len(uids)))]
        for name, text in (
            ("SUBJECT", "so 1"),
            ("FROM", "nguyễn"),
            ("TO", "vp@"),
            ("TEXT", "hồ"),
            ("CC", "x"),
        )
    ]
    for name in ("SUBJECT", "DATE", "ARRIVAL", "SIZE", "FROM", "DISPLAYTO"):
        order = sort(range(len(uids)), [(name, True)], job.values, job.texts, lambda _: 1)
        out.append([uids[at] for at in order])
    return out


def test_pages_change_no_answer(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before and after pages are written, with a tail behind them, after deletions and after all is gone."""
    monkeypatch.setattr(pages, "PAGE", 8)
    uids = box.put(*(letter(f"số {number % 7}", f"hồ {number}") for number in range(20)))
    before = _all_answers(box)
    box.builder.catch_up()
    with box.store.database.reading() as conn:
        rows = conn.execute(sa.select(sa.func.count()).select_from(schema.page)).scalar()
    assert rows == 2 * len(KINDS)
    assert _all_answers(box) == before
    box.remove(uids[2], uids[17])
    left = _all_answers(box)
    assert uids[2] not in box.uids
    box.builder.catch_up()
    assert _all_answers(box) == left
    with box.store.database.reading() as conn:
        held = conn.execute(
            sa.select(schema.page.c.count)
            .where(schema.page.c.kind == "blob")
            .order_by(schema.page.c.first_uid)
        )
        assert list(held.scalars()) == [7, 8]
    box.remove(*box.uids)
    box.builder.catch_up()
    with box.store.database.reading() as conn:
        assert conn.execute(sa.select(sa.func.count()).select_from(schema.page)).scalar() == 0


def test_columns_grow_with_the_mailbox(small_box: Box) -> None:
    """A kept column takes in what came since; positions hold after deletions in between."""
    box = small_box
    first = box.put(letter("a 1", "x"), letter("a 2", "x"), letter("b", "x"))
    assert box.found(Key("SUBJECT", text="a")) == first[:2]
    more = box.put(letter("a 3", "x"))
    assert box.found(Key("SUBJECT", text="a")) == [*first[:2], *more]
    box.remove(first[0])
    assert box.found(Key("SUBJECT", text="a")) == [first[1], *more]
    assert box.found(Key("NOT", (Key("SUBJECT", text=fold_line("A")),))) == [first[2]]
    for kind in KINDS:
        assert column_type(kind).joined([]).uids.tolist() == []
