# SPDX-License-Identifier: AGPL-3.0-or-later
"""Bringing a database to the schema of this program (Alembic)."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config

import exchange.schema  # noqa: F401 - its tables belong to the metadata
import mailserver.hygiene.schema
import mailserver.search.schema
import mailserver.senderauth.schema
import mailserver.sieve.schema  # noqa: F401

_FOLDER = Path(__file__).parent / "migrations"


def configuration(url: str) -> Config:
    """Alembic's configuration for the database at ``url``."""
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["url"] = url
    return config


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database at ``url`` to the newest schema, or to a revision."""
    command.upgrade(configuration(url), revision)


def check(url: str) -> None:
    """Raises alembic's error when the database does not have the program's schema."""
    command.check(configuration(url))
