# SPDX-License-Identifier: AGPL-3.0-or-later
"""Migrations lead to the very schema the program uses, on both engines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from congvan import migrate, schema_version
from congvan.demo.create import demo_settings
from congvan.supervisor import Supervisor

_WITHOUT_ROWID = {"flag_range", "counter", "throttle", "message", "change", "vault", "answered"}


def _empty(url: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as conn:
        conn.exec_driver_sql("DROP SCHEMA public CASCADE")
        conn.exec_driver_sql("CREATE SCHEMA public")
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/x.db"
        return
    server: str = request.getfixturevalue("postgres_url")
    _empty(server)
    yield server
    _empty(server)


def test_upgrading_gives_the_programs_schema(url: str) -> None:
    migrate.upgrade(url)
    migrate.upgrade(url)
    migrate.check(url)
    if not url.startswith("sqlite"):
        return
    engine = sa.create_engine(url)
    with engine.connect() as conn:
        made = conn.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'table'").all()
    engine.dispose()
    assert {row.name for row in made if "WITHOUT ROWID" in row.sql} == _WITHOUT_ROWID


def test_an_older_database_is_brought_up_and_a_newer_one_left_alone(url: str) -> None:
    migrate.upgrade(url, "0011")
    assert schema_version.is_behind(url)
    migrate.upgrade(url)
    assert schema_version.revision(url) == schema_version.newest()
    assert not schema_version.is_behind(url)
    engine = sa.create_engine(url)
    with engine.begin() as conn:
        conn.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(schema_version.NewerSchema, match="newer"):
        schema_version.is_behind(url)
    with engine.begin() as conn:
        conn.execute(sa.text(f"UPDATE alembic_version SET version_num = '{schema_version.newest()}'"))
    engine.dispose()


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    """A table of the last migration is there already: all of the way to it is undone."""
    url = f"sqlite:///{tmp_path}/x.db"
    migrate.upgrade(url, "0011")
    engine = sa.create_engine(url)
    with engine.begin() as conn:
        conn.exec_driver_sql("CREATE TABLE flag_range (x)")
    with pytest.raises(sa.exc.OperationalError, match="already exists"):
        migrate.upgrade(url)
    with engine.connect() as conn:
        tables = set(conn.exec_driver_sql("SELECT name FROM sqlite_master").scalars())
    engine.dispose()
    assert schema_version.revision(url) == "0011"
    assert "document_turn" not in tables


def test_starting_brings_the_database_of_an_older_program_up(tmp_path: Path) -> None:
    settings = demo_settings(tmp_path, 1)
    settings.data_dir.mkdir(parents=True)
    migrate.upgrade(settings.database_url, "0011")
    supervisor = Supervisor(settings)
    supervisor.bring_schema()
    assert schema_version.revision(settings.database_url) == schema_version.newest()
