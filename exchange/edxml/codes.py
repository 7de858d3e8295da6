# SPDX-License-Identifier: AGPL-3.0-or-later
"""Codes, ids and dates of a packet: both forms read, one written (edxml.md section 3).

The code of a body is never parsed to find its parent: patterns serve warnings only.
"""

from __future__ import annotations

import re
from datetime import date, datetime

from config.clock import VIETNAM, from_datetime, to_local

_OLD_CODE = re.compile(r"[0-9A-Z]{3}\.[0-9A-Z]{2}\.[0-9A-Z]{2}\.[A-Z][0-9]{2}")
_NEW_CODE = re.compile(r"[A-Z][0-9]{2}(?:\.[0-9A-Z]{1,8}){0,8}")
_YEAR_FIRST = re.compile(r"(\d{4})[/-](\d{1,2})[/-](\d{1,2})(?:[ T].*)?")
_DAY_FIRST = re.compile(r"(\d{1,2})[/-](\d{1,2})[/-](\d{4})(?:[ T].*)?")
_MOMENT = "%Y/%m/%d %H:%M:%S"


def is_code(text: str) -> bool:
    """A code of the old form (Decision 28/2018, 13 characters) or the new (Decision 20/2020, up to 35)."""
    return len(text) <= 35 and bool(_OLD_CODE.fullmatch(text) or _NEW_CODE.fullmatch(text))


def to_new_code(text: str) -> str:
    """``000.01.11.H12`` → ``H12.11.01``: zero groups dropped from the right. Other texts come back as is.

    Not reversible when a middle group is zero, so the table of agencies keeps both codes.
    """
    if not _OLD_CODE.fullmatch(text):
        return text
    groups = text.split(".")[::-1]
    while len(groups) > 1 and not groups[-1].strip("0"):
        groups.pop()
    return ".".join(groups)


def read_date(text: str) -> date | None:
    """``yyyy/MM/dd`` (the samples) or ``dd/MM/yyyy`` (an older checker); ``None`` for no such day."""
    if match := _YEAR_FIRST.fullmatch(text):
        year, month, day = match.groups()
    elif match := _DAY_FIRST.fullmatch(text):
        day, month, year = match.groups()
    else:
        return None
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def write_date(day: date) -> str:
    """``yyyy/MM/dd``."""
    return f"{day.year:04d}/{day.month:02d}/{day.day:02d}"


def read_moment(text: str) -> int | None:
    """``yyyy/MM/dd HH:mm:ss`` in Vietnam time → µs UTC; ``None`` when it is no time."""
    try:
        return from_datetime(datetime.strptime(text, _MOMENT).replace(tzinfo=VIETNAM))
    except (ValueError, OverflowError):
        return None


def write_moment(us: int) -> str:
    """µs UTC → ``yyyy/MM/dd HH:mm:ss`` in Vietnam time."""
    return to_local(us).strftime(_MOMENT)


def dated_id(organ_id: str, day: date, number: str) -> str:
    """The dated DocumentId ``H12.01,2026/11/24,12/TB-VP``: what live partners match on. No commas inside."""
    return f"{organ_id},{write_date(day)},{number}"


def rule_id(organ_id: str, year: int, running: int) -> str:
    """The form of Decision 28/2018 Art. 10(2)(b): code of the body, year of issue, running number."""
    return f"{organ_id},{year},{running}"


def id_form(document_id: str) -> str:
    """``"dated"``, ``"rule"`` or ``"other"``. A date that is no day (30 February) is still the dated form."""
    parts = document_id.split(",")
    if len(parts) == 3 and all(parts):
        if re.fullmatch(r"\d{4}/\d{2}/\d{2}", parts[1]) and "/" in parts[2]:
            return "dated"
        if re.fullmatch(r"\d{4}", parts[1]) and parts[2].isdigit():
            return "rule"
    return "other"
