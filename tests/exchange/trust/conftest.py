# SPDX-License-Identifier: AGPL-3.0-or-later
"""The same province as for signing."""

from __future__ import annotations

from tests.exchange.signing.conftest import house, issued

__all__ = ["house", "issued"]
