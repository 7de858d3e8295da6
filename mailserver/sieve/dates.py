# SPDX-License-Identifier: AGPL-3.0-or-later
"""Parts of a date for the ``date`` and ``currentdate`` tests (RFC 5260 §4)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from email.utils import format_datetime

from config.clock import VIETNAM

_ZONE = re.compile(r"([+-])([0-9]{2})([0-9]{2})\Z")
_JULIAN_EPOCH = 678_576  # ordinal of 1858-11-17, the first day of the modified Julian day


def zone_of(text: str) -> tzinfo:
    """``+0700`` as a zone; what is none is Vietnam's."""
    found = _ZONE.match(text)
    if found is None or int(found[2]) > 23 or int(found[3]) > 59:
        return VIETNAM
    minutes = int(found[2]) * 60 + int(found[3])
    return timezone(timedelta(minutes=-minutes if found[1] == "-" else minutes))


def original_zone(value: str) -> tzinfo:
    """The zone a Date field is written in, UTC when it has none."""
    found = re.search(r"[+-][0-9]{4}", value)
    return zone_of(found[0]) if found else UTC


def part(moment: datetime, name: str) -> str | None:
    """The part ``name`` of an aware moment; None for a name that is none."""
    zone = moment.strftime("%z")
    match name:
        case "year":
            return f"{moment.year:04}"
        case "month":
            return f"{moment.month:02}"
        case "day":
            return f"{moment.day:02}"
        case "date":
            return f"{moment:%Y-%m-%d}"
        case "julian":
            return str(moment.astimezone(UTC).toordinal() - _JULIAN_EPOCH)
        case "hour":
            return f"{moment.hour:02}"
        case "minute":
            return f"{moment.minute:02}"
        case "second":
            return f"{moment.second:02}"
        case "time":
            return f"{moment:%H:%M:%S}"
        case "iso8601":
            return moment.isoformat(timespec="seconds")
        case "std11":
            return format_datetime(moment)
        case "zone":
            return zone
        case "weekday":
            return str(moment.isoweekday() % 7)
    return None
