# SPDX-License-Identifier: AGPL-3.0-or-later
"""Migrations lead to the very schema the program uses, on both engines."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from congvan import migrate

_WITHOUT_ROWID = {"flag_range", "counter", "throttle", "message", "change", "vault", "answered"}


def _empty(url: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as conn:
        conn.exec_driver_sql("DROP SCHEMA public CASCADE")
        conn.exec_driver_sql("CREATE SCHEMA public")
    engine.dispose()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_upgrading_gives_the_programs_schema(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    if kind == "postgresql":
        url = request.getfixturevalue("postgres_url")
        _empty(url)
    migrate.upgrade(url)
    migrate.upgrade(url)
    migrate.check(url)
    if kind == "postgresql":
        _empty(url)
        return
    engine = sa.create_engine(url)
    with engine.connect() as conn:
        made = conn.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'table'").all()
    engine.dispose()
    assert {row.name for row in made if "WITHOUT ROWID" in row.sql} == _WITHOUT_ROWID
