# SPDX-License-Identifier: AGPL-3.0-or-later
"""Strings and dates as IMAP writes them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from mailserver.imap.grammar.names import encode_name

_SAFE = re.compile(rb"[\x20-\x7e]{0,900}\Z")
_ATOM = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z^_`a-z|}~]+\Z")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NUMBER = {name.upper(): number for number, name in enumerate(_MONTHS, 1)}
_DATE_TIME = re.compile(
    rb"[ ]?(\d{1,2})-([A-Za-z]{3})-(\d{4}) (\d{2}):(\d{2}):(\d{2}) ([+-])(\d{2})(\d{2})\Z"
)
_DATE = re.compile(rb"(\d{1,2})-([A-Za-z]{3})-(\d{4})\Z")
_ZONE_S = 7 * 3600
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def quoted(value: bytes) -> bytes:
    """A quoted string where that is possible, else a literal."""
    if _SAFE.match(value):
        return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return literal(value)


def literal(value: bytes) -> bytes:
    """A literal."""
    return b"{%d}\r\n%b" % (len(value), value)


def literal8(value: bytes) -> bytes:
    """A literal, marked as one of any octets where it has NUL (RFC 3516 §4.5)."""
    return (b"~" if b"\0" in value else b"") + literal(value)


def astring(value: bytes) -> bytes:
    """An atom where that is possible, else a quoted string or literal."""
    return value if _ATOM.match(value) and value.upper() != b"NIL" else quoted(value)


def mailbox(name: str, *, utf8: bool = False) -> bytes:
    """A mailbox name, quoted unless it is an atom: modified UTF-7, or UTF-8 where that is enabled."""
    if not utf8:
        return astring(encode_name(name))
    raw = name.encode()
    if raw.isascii():
        return astring(raw)
    return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def internaldate(us: int) -> bytes:
    """A date-time in Vietnam's zone, quoted (RFC 9051 §9 ``date-time``)."""
    day, second = divmod(us // 1_000_000 + _ZONE_S, 86_400)
    return b'"%b %02d:%02d:%02d +0700"' % (_date(day), second // 3600, second // 60 % 60, second % 60)


@lru_cache(maxsize=4096)
def _date(day: int) -> bytes:
    """The date of a day counted from 1970."""
    found = date.fromordinal(_EPOCH.toordinal() + day)
    return b"%2d-%b-%04d" % (found.day, _MONTHS[found.month - 1].encode(), found.year)


def parse_date_time(text: bytes) -> int | None:
    """µs UTC of a date-time (without its quotes), None when it is not one."""
    match = _DATE_TIME.match(text)
    if match is None:
        return None
    day, month, year, hour, minute, second, sign, hours, minutes = match.groups()
    shift = timedelta(hours=int(hours), minutes=int(minutes))
    try:
        moment = datetime(
            int(year),
            _NUMBER[month.decode().upper()],
            int(day),
            int(hour),
            int(minute),
            int(second),
            tzinfo=UTC,
        )
        moment = moment - shift if sign == b"+" else moment + shift
    except (ValueError, KeyError, OverflowError):
        return None
    return (moment - _EPOCH) // timedelta(microseconds=1)


def parse_day(text: bytes) -> int | None:
    """The number of days since 1970-01-01 of a date like ``1-Feb-2026``, None when it is not one."""
    match = _DATE.match(text)
    if match is None:
        return None
    try:
        moment = datetime(int(match[3]), _NUMBER[match[2].decode().upper()], int(match[1]), tzinfo=UTC)
    except (ValueError, KeyError):
        return None
    return (moment - _EPOCH).days


def local_day(us: int) -> int:
    """The number of days since 1970-01-01 of a moment, counted in Vietnam's zone."""
    return (us + 7 * 3_600_000_000) // 86_400_000_000
