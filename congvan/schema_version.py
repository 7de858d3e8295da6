# SPDX-License-Identifier: AGPL-3.0-or-later
"""Which schema a database has and which this program needs: looked at before serving, without the migrations' code."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from config.refusal import Refused
from config.writer import DatabaseUnavailable

_VERSIONS = Path(__file__).parent / "migrations" / "versions"


class NewerSchema(Refused):
    """The database was brought up by a newer program."""

    def __init__(self, found: str) -> None:
        super().__init__(
            "newer-schema",
            f"Cơ sở dữ liệu (phiên bản {found}) mới hơn chương trình này ({newest()}). Cài lại bản congvan mới hơn.",
            f"The database (version {found}) is newer than this program ({newest()}). Install the newer congvan.",
        )


def newest() -> str:
    """The version this program needs."""
    return max(_known())


def revision(url: str) -> str:
    """The version a database is at. Raises what the database raises."""
    engine = sa.create_engine(url)
    try:
        with engine.connect() as conn:
            return str(conn.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one())
    finally:
        engine.dispose()


def is_behind(url: str) -> bool:
    """Whether the database has to be brought up. Raises `NewerSchema`, `DatabaseUnavailable`."""
    try:
        found = revision(url)
    except sa.exc.DBAPIError as problem:
        raise DatabaseUnavailable from problem
    if found not in _known():
        raise NewerSchema(found)
    return found != newest()


def _known() -> set[str]:
    return {path.name[:4] for path in _VERSIONS.glob("[0-9]*_*.py")}
