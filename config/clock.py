# SPDX-License-Identifier: AGPL-3.0-or-later
"""Time: microseconds since 1970 UTC in the database, Vietnam time (+07:00, no summer time) for people."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta, timezone

VIETNAM = timezone(timedelta(hours=7), "+07:00")
"""QĐ28/2018 Art. 14(4): all times in the Vietnam zone."""


def now_us() -> int:
    """Now, in microseconds since 1970 UTC."""
    return time.time_ns() // 1000


def to_local(us: int) -> datetime:
    """The aware Vietnam time of ``us`` microseconds."""
    return datetime.fromtimestamp(us / 1_000_000, VIETNAM)


def to_utc(us: int) -> datetime:
    """The aware UTC time of ``us`` microseconds."""
    return datetime.fromtimestamp(us / 1_000_000, UTC)


def from_datetime(moment: datetime) -> int:
    """Microseconds of an aware ``moment``."""
    return round(moment.timestamp() * 1_000_000)


def iso_local(us: int) -> str:
    """ISO 8601 with seconds, in Vietnam time: ``2026-01-05T08:30:00+07:00``."""
    return to_local(us).isoformat(timespec="seconds")


def today_local() -> date:
    """Today's date in Vietnam."""
    return to_local(now_us()).date()
