# SPDX-License-Identifier: AGPL-3.0-or-later
"""Wrong PINs of persons' tokens are bounded, so that a thief of a session neither guesses one nor locks the token."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from config.refusal import Unavailable

MOST = 3
MINUTES = 10


@dataclass
class WrongPins:
    """Three in ten minutes for each key; kept in memory only."""

    _at: dict[str, list[float]] = field(default_factory=dict)

    def ask(self, key: str) -> None:
        """Raises `Unavailable` when there were too many."""
        if len(self._recent(key)) >= MOST:
            raise Unavailable(
                "token-pin-wait",
                f"Mã PIN đã sai {MOST} lần. Để thiết bị không bị khóa, hãy chờ {MINUTES} phút rồi nhập lại.",
                f"The PIN was wrong {MOST} times. Wait {MINUTES} minutes before the next try, so the token is not locked.",
            )

    def count(self, key: str) -> None:
        """Another wrong one."""
        self._at[key] = [*self._recent(key), time.monotonic()]

    def _recent(self, key: str) -> list[float]:
        since = time.monotonic() - MINUTES * 60
        recent = [one for one in self._at.pop(key, []) if one > since]
        if recent:
            self._at[key] = recent
        return recent
