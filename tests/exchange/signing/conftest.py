# SPDX-License-Identifier: AGPL-3.0-or-later
"""The province of `house`, running for the whole session."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.exchange.signing.house import House, build, running


@pytest.fixture(scope="session")
def house() -> Iterator[House]:
    """Provisioned once; its signer runs in a thread."""
    with tempfile.TemporaryDirectory(prefix="cvsg") as folder, running(build(Path(folder))) as made:
        yield made


@pytest.fixture(scope="session")
def issued(house: House) -> bytes:
    """An issued document."""
    return house.issued()
