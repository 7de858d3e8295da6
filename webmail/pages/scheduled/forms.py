# SPDX-License-Identifier: AGPL-3.0-or-later
"""When a letter is to go, as people type it: ``dd/mm/yyyy hh:mm``, Vietnam time."""

from __future__ import annotations

import re
from datetime import date, datetime

from flask import request

from config.clock import VIETNAM, from_datetime, now_us
from config.refusal import Refused
from webmail.errors import NotThere

_TYPED = re.compile(r"\s*(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})(?:[ ,]+(\d{1,2})[:hg](\d{2}))?\s*\Z")


def day(text: str) -> date:
    """``dd/mm/yyyy``. Raises `Refused` (``bad-date``)."""
    found = _TYPED.match(text)
    if found is None or found[4] is not None:
        raise _bad()
    try:
        return date(int(found[3]), int(found[2]), int(found[1]))
    except ValueError as problem:
        raise _bad() from problem


def moment(text: str, most_days: int) -> int | None:
    """µs UTC of ``dd/mm/yyyy hh:mm``, None for an empty text. Raises `Refused` (``bad-date``) also for the past."""
    if not text.strip():
        return None
    found = _TYPED.match(text)
    if found is None or found[4] is None:
        raise _bad()
    numbers = [int(found[one]) for one in (3, 2, 1, 4, 5)]
    try:
        at = from_datetime(datetime(*numbers, tzinfo=VIETNAM))  # type: ignore[misc, arg-type]
    except ValueError as problem:
        raise _bad() from problem
    now = now_us()
    if not now < at <= now + most_days * 86_400_000_000:
        raise Refused(
            "bad-date",
            f"Giờ gửi phải ở phía trước, trong vòng {most_days} ngày.",
            f"The time must lie ahead, within {most_days} days.",
        )
    return at


def number() -> int:
    """The submission this request names. Raises `NotThere`."""
    text = request.form.get("number", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise NotThere
    return int(text)


def _bad() -> Refused:
    return Refused(
        "bad-date",
        "Ghi ngày theo dạng 27/11/2026 hoặc ngày giờ theo dạng 27/11/2026 07:30.",
        "Write the date as 27/11/2026, or date and time as 27/11/2026 07:30.",
    )
