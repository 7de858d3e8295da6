# SPDX-License-Identifier: AGPL-3.0-or-later
"""The office fixtures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Province
from tests.exchange.documents.office import Office, office


@pytest.fixture
def small_office(small_province: Province, tmp_path: Path) -> Iterator[Office]:
    """An office on SQLite."""
    with office(small_province, tmp_path) as made:
        yield made


@pytest.fixture
def any_office(province: Province, tmp_path: Path) -> Iterator[Office]:
    """An office on each engine in turn."""
    with office(province, tmp_path) as made:
        yield made
