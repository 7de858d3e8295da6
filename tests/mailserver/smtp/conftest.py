# SPDX-License-Identifier: AGPL-3.0-or-later
"""A server over a small province."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from config.settings import Mail
from tests.conftest import Province
from tests.mailserver.smtp.serving import Serving, serving


@pytest.fixture
def mail(small_province: Province, tmp_path: Path) -> Iterator[Serving]:
    """All three listeners."""
    with serving(small_province, tmp_path) as made:
        yield made


@pytest.fixture
def roomy(small_province: Province, tmp_path: Path) -> Iterator[Serving]:
    """With the limits of a real installation."""
    real = Mail()
    with serving(
        small_province,
        tmp_path,
        max_message_bytes=real.max_message_bytes,
        max_recipients=real.max_recipients,
    ) as made:
        yield made
