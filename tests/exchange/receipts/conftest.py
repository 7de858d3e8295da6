# SPDX-License-Identifier: AGPL-3.0-or-later
"""One trust world for the module's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.exchange.sealing.province import Province


@pytest.fixture(scope="session")
def province() -> Province:
    return Province()


@pytest.fixture
def folder(tmp_path: Path, province: Province) -> Path:
    province.write_files(tmp_path)
    return tmp_path
