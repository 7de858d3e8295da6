# SPDX-License-Identifier: AGPL-3.0-or-later
"""The spam filter learns from what people move, on both engines; what it knows is bounded and says no word."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.database import Database
from config.seal import Seal
from mailserver.hygiene import spam
from mailserver.hygiene.features import MOST, features
from mailserver.hygiene.learning import Learner
from mailserver.hygiene.spam import SpamFilter, combined
from mailserver.message import scan
from tests.conftest import Province

WANTED = [
    "kính",
    "gửi",
    "phòng",
    "họp",
    "giao",
    "ban",
    "báo",
    "cáo",
    "kế",
    "hoạch",
    "công",
    "tác",
    "tuần",
    "dự",
    "thảo",
    "góp",
    "ý",
    "văn",
    "bản",
    "phê",
    "duyệt",
    "trình",
    "ký",
]
UNWANTED = [
    "khuyến",
    "mại",
    "giảm",
    "giá",
    "trúng",
    "thưởng",
    "vay",
    "tiền",
    "nhanh",
    "lãi",
    "suất",
    "nhấp",
    "vào",
    "liên",
    "kết",
    "nhận",
    "quà",
    "miễn",
    "phí",
]


def letter(junk: bool, seed: int) -> bytes:
    chance = random.Random(seed)
    words = UNWANTED if junk else WANTED
    text = " ".join(chance.choices([*words, "và", "của", "ngày", "tháng"], k=40))
    host = "qua.example" if junk else "so.example"
    return (
        f"From: a{seed % 7}@{host}\r\nTo: b@c.example\r\nSubject: {' '.join(chance.choices(words, k=4))}\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n{seed}\r\n"
    ).encode()


def seen(data: bytes) -> list[str]:
    return features(data, scan(data))


def taught(database: Database, seal: Seal, count: int = 40) -> SpamFilter:
    chosen = SpamFilter(seal)
    for seed in range(count):
        for junk in (True, False):
            data = letter(junk, seed)
            database.write(lambda conn, d=data, j=junk: chosen.learn(conn, d, seen(d), j, 1))  # type: ignore[misc]
    return chosen


def test_it_tells_them_apart(database: Database, seal: Seal) -> None:
    chosen = taught(database, seal)
    with database.reading() as conn:
        model = chosen.model(conn)
    junk = [model.probability(seen(letter(True, seed))) or 0 for seed in range(100, 130)]
    wanted = [model.probability(seen(letter(False, seed))) or 0 for seed in range(100, 130)]
    assert min(junk) > 0.95
    assert max(wanted) < 0.05
    assert 0.3 < (model.probability(["chưa thấy bao giờ"]) or 0) < 0.7


def test_it_says_nothing_before_it_knows_enough(sqlite_database: Database, seal: Seal) -> None:
    chosen = taught(sqlite_database, seal, spam.LEAST - 1)
    with sqlite_database.reading() as conn:
        assert chosen.probability(conn, seen(letter(True, 1))) is None


def test_learning_twice_is_once_and_the_other_way_takes_it_back(database: Database, seal: Seal) -> None:
    chosen = taught(database, seal)
    data = letter(True, 7)
    with database.reading() as conn:
        before = chosen.model(conn).totals
    assert not database.write(lambda conn: chosen.learn(conn, data, seen(data), True, 2))
    assert database.write(lambda conn: chosen.learn(conn, data, seen(data), False, 3))
    with database.reading() as conn:
        model = chosen.model(conn)
    assert model.totals == (before[0] - 1, before[1] + 1)


def test_the_table_stays_bounded(
    sqlite_database: Database, seal: Seal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spam, "MOST_WORDS", 50)
    chosen = taught(sqlite_database, seal, 25)
    for _ in range(10):
        sqlite_database.write(lambda conn: chosen.tidy(conn, 5))
    with sqlite_database.reading() as conn:
        model = chosen.model(conn)
    assert len(model._names) <= 50
    assert model.totals == (25, 25)


def test_no_word_lies_in_the_database(sqlite_database: Database, seal: Seal, tmp_path: object) -> None:
    taught(sqlite_database, seal, 20)
    raw = b"".join(one.read_bytes() for one in tmp_path.glob("congvan.db*"))  # type: ignore[attr-defined]
    for word in ("khuyen mai", "giao ban", "qua.example"):
        assert word.encode() not in raw


def test_moving_teaches(province: Province) -> None:
    """Into Thư rác and out of it, as IMAP and the pages move; also a letter moved by 1,000 others at once is bounded."""
    store, owner = province.store, next(iter(province.people.values()))
    inbox, junk = store.find(owner.ref, "INBOX"), store.find(owner.ref, "Thư rác")
    trash, archive = store.find(owner.ref, "Thùng rác"), store.find(owner.ref, "Lưu trữ")
    assert inbox and junk and trash and archive  # noqa: PT018

    async def go() -> list[tuple[int, int]]:
        learner = Learner(store, province.wake)
        totals = []

        async def learned() -> None:
            while await learner.once():
                pass
            with store.database.reading() as conn:
                totals.append(SpamFilter(store.seal).model(conn).totals)

        uid = await store.append(inbox, letter(True, 1), 0, 1)
        ((_, uid),) = await store.move(inbox, [uid], junk)
        await learned()
        ((_, uid),) = await store.move(junk, [uid], inbox)
        await learned()
        ((_, uid),) = await store.move(inbox, [uid], trash)
        await learned()
        uid = await store.append(inbox, letter(False, 2), 0, 1)
        await store.move(inbox, [uid], archive)
        uid = await store.append(junk, letter(True, 3), 0, 1)
        await store.move(junk, [uid], trash)
        await learned()
        return totals

    assert asyncio.run(go()) == [(1, 0), (0, 1), (0, 1), (0, 2)]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=3000))
def test_any_bytes_have_features(data: bytes) -> None:
    found = seen(data)
    assert len(found) <= MOST
    assert len(set(found)) == len(found)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0.01, 0.99), max_size=300))
def test_a_combination_is_a_probability(chances: list[float]) -> None:
    assert 0.0 <= combined(chances) <= 1.0
