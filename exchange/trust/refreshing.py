# SPDX-License-Identifier: AGPL-3.0-or-later
"""Words on revocation that were fetched once are renewed by the worker, so that they are here when the next packet comes.

Each certificate that was asked about (``asked`` in the trust folder) is asked about again every six hours, and when its word ends
within the hour. It is forgotten when the certificate has ended a month ago; a word that was fetched stays.
"""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from config.refusal import Refused
from exchange.trust.anchors import read_certificates
from exchange.trust.fetching import ASKED, Fetcher

_EVERY_S = 1800.0
_AGE = timedelta(hours=6)
_LEFT_BEHIND = timedelta(days=30)
_ROUND_S = 60.0


async def run(fetcher: Fetcher) -> None:
    """A round every half hour until cancelled, beside receiving: who never answers delays nothing."""
    while True:
        await asyncio.to_thread(refresh, fetcher)
        await asyncio.sleep(_EVERY_S)


def refresh(fetcher: Fetcher, now: datetime | None = None) -> int:
    """One round, of a minute at most, those that waited longest first; how many words came."""
    moment, until, got = now or datetime.now(UTC), time.monotonic() + _ROUND_S, 0
    for file in _oldest_first(fetcher.directory.path / ASKED):
        if time.monotonic() >= until:
            break
        try:
            leaf, *between = read_certificates(file.read_bytes(), file.name)
        except (Refused, OSError, ValueError):
            file.unlink(missing_ok=True)
            continue
        if leaf.not_valid_after_utc + _LEFT_BEHIND < moment:
            file.unlink(missing_ok=True)
            continue
        got += fetcher.fetch([leaf], between, moment - _AGE).got
        if file.exists():
            os.utime(file)
    return got


def _oldest_first(folder: Path) -> list[Path]:
    try:
        return sorted(folder.glob("*.pem"), key=lambda one: one.stat().st_mtime)
    except OSError:
        return []
