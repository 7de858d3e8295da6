# SPDX-License-Identifier: AGPL-3.0-or-later
"""Dates of header fields (RFC 5322 §3.3 and the obsolete forms) → µs UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_DATE = re.compile(
    rb"(?:[A-Za-z]{2,9},?\s*)?(\d{1,2})[\s-]+([A-Za-z]{3})[A-Za-z]*[\s-]+(\d{2,4})\s+(\d{1,2}):(\d{2})(?::(\d{2}))?"
    rb"\s*(?:([+-]\d{4})|([A-Za-z]{1,5}))?"
)
MONTHS = {
    one: number
    for number, one in enumerate(
        (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"), 1
    )
}
_ZONES = {b"EST": -300, b"EDT": -240, b"CST": -360, b"CDT": -300, b"MST": -420, b"MDT": -360, b"PST": -480}
_ZONES |= {b"PDT": -420, b"ICT": 420}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_date(value: bytes) -> int | None:
    """µs UTC of a Date field, or None when it can't be read."""
    match = _DATE.match(value[:128].strip())
    if match is None:
        return None
    day, month, year, hour, minute, second, offset, zone = match.groups()
    number = int(year)
    if len(year) == 2:
        number += 2000 if number < 50 else 1900
    elif len(year) == 3:
        number += 1900
    minutes = _ZONES.get(zone.upper(), 0) if zone else 0
    if offset:
        minutes = int(offset[1:3]) * 60 + int(offset[3:5])
        minutes = -minutes if offset[:1] == b"-" else minutes
    try:
        moment = datetime(
            number,
            MONTHS[month.lower()],
            int(day),
            int(hour),
            int(minute),
            min(int(second or 0), 59),
            tzinfo=UTC,
        ) - timedelta(minutes=minutes)
    except (ValueError, KeyError, OverflowError):
        return None
    return (moment - _EPOCH) // timedelta(microseconds=1)
