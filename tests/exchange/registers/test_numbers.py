# SPDX-License-Identifier: AGPL-3.0-or-later
"""Numbers have no gaps and no twins, whoever takes them at once and whatever fails (DESIGN 4.16)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from config.database import Database
from config.refusal import Refused
from config.seal import Seal
from exchange.documents.kinds import kind_named, kinds
from exchange.registers import numbers, rows
from exchange.registers.columns import complete
from exchange.registers.rows import Entry, RowKey
from exchange.registers.schema import register_row
from policy.ledger import schema as ledger

DAY = date(2026, 3, 2)


def add(
    conn: sa.Connection,
    seal: Seal,
    sequence: str = "khac",
    notation: str = "TB-VP",
    dated: date = DAY,
    register: numbers.Register = "outgoing",
) -> RowKey:
    return rows.add_row(
        conn,
        seal,
        agency=1,
        register=register,
        sequence=sequence,
        dated=dated,
        state="numbered",
        notation=notation,
        entry=Entry(complete(register, {"subject": "Trích yếu"}), "vt1@a.example"),
    )


@contextmanager
def several(database: Database, folder: Path, count: int) -> Iterator[list[Database]]:
    """Databases as other processes have them: each with its own writer."""
    made = [Database(database.url, folder / "write.lock") for _ in range(count)]
    try:
        yield made
    finally:
        for one in made:
            one.close()


class Stumble(Exception):
    """A job that fails after it took its number."""


def test_many_hands_take_every_number_once(database: Database, seal: Seal, tmp_path: Path) -> None:
    taken: list[int] = []
    guard = threading.Lock()

    def job(conn: sa.Connection, fails: bool) -> int:
        key = add(conn, seal)
        if fails:
            raise Stumble
        return key.number

    def work(mine: Database, seed: int) -> None:
        for turn in range(6):
            fails = (turn + seed) % 3 == 0
            try:
                number = mine.write(lambda conn, fails=fails: job(conn, fails))
            except Stumble:
                continue
            with guard:
                taken.append(number)

    with several(database, tmp_path, 4) as processes:
        threads = [threading.Thread(target=work, args=(processes[seed % 4], seed)) for seed in range(16)]
        for one in threads:
            one.start()
        for one in threads:
            one.join(60)
    assert sorted(taken) == list(range(1, 16 * 4 + 1))
    with database.reading() as conn:
        kept = conn.execute(sa.select(register_row.c.number).order_by(register_row.c.number)).scalars().all()
        entries = conn.execute(
            sa.select(sa.func.count())
            .select_from(ledger.pending)
            .where(ledger.pending.c.kind == "register.numbered")
        ).scalar()
    assert list(kept) == sorted(taken)
    assert entries == len(taken)


def test_number_order_is_time_order(database: Database, seal: Seal) -> None:
    database.write(lambda conn: add(conn, seal))
    with pytest.raises(Refused) as refused:
        database.write(lambda conn: add(conn, seal, dated=DAY - timedelta(days=1)))
    assert (refused.value.code, refused.value.rule) == ("earlier-date", "R-NUM-03")
    assert database.write(lambda conn: add(conn, seal, dated=DAY + timedelta(days=1))).number == 2


def test_every_year_begins_with_one(database: Database, seal: Seal) -> None:
    assert database.write(lambda conn: add(conn, seal)).number == 1
    assert database.write(lambda conn: add(conn, seal, dated=date(2027, 1, 1))).number == 1


def test_sequences_are_apart_and_the_pair_is_unique(database: Database, seal: Seal) -> None:
    one = database.write(lambda conn: add(conn, seal, "khac", "TB-VP"))
    two = database.write(lambda conn: add(conn, seal, "cong-van", "VP-TH"))
    assert (one.number, two.number) == (1, 1)
    with pytest.raises(Refused) as refused:  # a second sequence would give 1/TB-VP again
        database.write(lambda conn: add(conn, seal, "thua", "TB-VP"))
    assert refused.value.rule == "R-NUM-01"
    values = {"agency": 1, "register": "outgoing", "year": 2026, "sequence": "z", "number": 1}
    digest = rows.notation_digest(seal, "outgoing", "z", "TB-VP", "numbered")
    twin = sa.insert(register_row).values(
        **values, state="numbered", medium="paper", dated=DAY, notation_digest=digest, version=1
    )
    with pytest.raises(sa.exc.IntegrityError):  # and the database itself says no
        database.write(lambda conn: conn.execute(twin))


def test_arrivals_are_one_running_number_beside_the_outgoing(database: Database, seal: Seal) -> None:
    database.write(lambda conn: add(conn, seal))
    found = [
        database.write(lambda conn: add(conn, seal, numbers.ARRIVAL, "", register="incoming")).number
        for _ in range(3)
    ]
    assert found == [1, 2, 3]


def test_reserved_numbers_of_two_sequences_do_not_clash(database: Database, seal: Seal) -> None:
    def job(conn: sa.Connection, sequence: str) -> RowKey:
        entry = Entry(complete("outgoing", {}), "vt1@a.example", "giữ cho kỳ họp")
        return rows.reserve(conn, seal, agency=1, sequence=sequence, dated=DAY, entry=entry)

    keys = [database.write(lambda conn, name=name: job(conn, name)) for name in ("khac", "cong-van")]
    assert [key.number for key in keys] == [1, 1]
    with pytest.raises(Refused):
        database.write(
            lambda conn: rows.reserve(
                conn, seal, agency=1, sequence="khac", dated=DAY, entry=Entry({}, "vt1@a.example")
            )
        )


def test_rows_change_by_versions_only(database: Database, seal: Seal) -> None:
    key = database.write(lambda conn: add(conn, seal))
    void = Entry(complete("outgoing", {"number": "01/TB-VP"}), "vt2@a.example", "ký nhầm")
    with pytest.raises(Refused):
        database.write(lambda conn: rows.set_state(conn, seal, key, "void", Entry({}, "vt2@a.example")))
    database.write(lambda conn: rows.set_state(conn, seal, key, "void", void))
    with pytest.raises(Refused):
        database.write(lambda conn: rows.set_state(conn, seal, key, "issued", void))
    database.write(
        lambda conn: rows.correct(conn, seal, key, Entry({"note": "x"}, "vt1@a.example", "ghi thiếu"))
    )
    with database.reading() as conn:
        kept = rows.history(conn, seal, key)
        now = rows.read(conn, seal, key)
    assert [(version, state, entry.reason) for version, state, _, entry in kept] == [
        (1, "numbered", ""),
        (2, "void", "ký nhầm"),
        (3, "void", "ghi thiếu"),
    ]
    assert now is not None
    assert (now.state, now.version, now.actor) == ("void", 3, "vt1@a.example")
    assert database.write(lambda conn: add(conn, seal)).number == 2  # a void number is never used again


def test_policy_is_data_and_fixed_once_the_year_has_numbers(database: Database, seal: Seal) -> None:
    notice, decision, letter = (kind_named(name) for name in ("Thông báo", "Quyết định", "Công văn"))
    with database.reading() as conn:
        found = [numbers.sequence_of(conn, 1, 2026, one) for one in (notice, decision, letter)]
    assert found == ["khac", "quyet-dinh", "cong-van"]
    one_for_all = {one.number: "chung" for one in kinds()}
    database.write(lambda conn: numbers.set_policy(conn, 1, 2026, one_for_all))
    with database.reading() as conn:
        assert numbers.sequence_of(conn, 1, 2026, letter) == "chung"
        assert numbers.sequence_of(conn, 1, 2027, letter) == "cong-van"
    database.write(lambda conn: add(conn, seal, "chung"))
    with pytest.raises(Refused) as refused:
        database.write(lambda conn: numbers.set_policy(conn, 1, 2026, {}))
    assert refused.value.rule == "R-NUM-11"


def test_a_closed_register_gives_no_number(database: Database, seal: Seal) -> None:
    database.write(lambda conn: add(conn, seal))
    assert database.write(lambda conn: numbers.close(conn, 1, 2026, 1)) == 1
    with pytest.raises(Refused) as refused:
        database.write(lambda conn: add(conn, seal))
    assert refused.value.rule == "R-ORG-04"
