# SPDX-License-Identifier: AGPL-3.0-or-later
"""The forms of rules and absences as values; what can't be is refused with what to do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from flask import request

from config.clock import today_local
from config.refusal import Refused
from mailserver.accounts import Account
from mailserver.accounts.model import canonical
from mailserver.sieve.writing import FIELDS, Away, Condition, Rule
from webmail import frame
from webmail.errors import NotThere
from webmail.pages.compose.forms import one_line
from webmail.pages.scheduled.forms import day

_MOST_DAYS = 366


@dataclass(frozen=True, slots=True)
class Absence:
    """What the absence form says: the answer (None: no answer), and who reads the mail meanwhile."""

    away: Away
    answers: bool
    deputy: Account | None


def rule() -> Rule:
    """A new rule. Raises `Refused` for one without condition or act, or a forward to outside."""
    form = request.form
    conditions = tuple(
        Condition(field, text) for field in FIELDS if (text := one_line(form.get(f"if-{field}", ""))[:200])
    )
    folder, forward = one_line(form.get("folder", ""))[:200], form.get("forward", "").strip()
    made = Rule(
        one_line(form.get("name", ""))[:100] or ", ".join(one.text for one in conditions)[:100],
        conditions,
        folder,
        bool(form.get("flag")),
        bool(form.get("read")),
        _inside(forward) if forward else "",
    )
    if not conditions:
        raise Refused("no-condition", "Ghi ít nhất một điều kiện.", "Give one condition at least.")
    if not (made.folder or made.flag or made.read or made.forward):
        raise Refused("no-act", "Chọn ít nhất một việc cần làm với thư.", "Choose what is to be done.")
    return made


def position(count: int) -> int:
    """The number of an existing rule. Raises `NotThere`."""
    text = request.form.get("position", "")
    if not (text.isascii() and text.isdigit() and int(text[:6]) < count):
        raise NotThere
    return int(text[:6])


def absence() -> Absence:
    """Dates (the last one is needed), answer, deputy. Raises `Refused`."""
    form = request.form
    if not form.get("last", "").strip():
        raise Refused("end-needed", "Ghi ngày cuối của kỳ vắng mặt.", "Give the last day of the absence.")
    first = day(form["first"]) if form.get("first", "").strip() else today_local()
    last = day(form["last"])
    _dates(first, last)
    text = form.get("text", "").replace("\r\n", "\n").replace("\x00", "").strip()[:8000]
    subject = one_line(form.get("subject", ""))[:200]
    typed = form.get("deputy", "").strip()
    return Absence(Away(first, last, subject, text), bool(text), _deputy(typed) if typed else None)


def _dates(first: date, last: date) -> None:
    today = today_local()
    if last < first or last < today or last - today > timedelta(days=_MOST_DAYS):
        raise Refused(
            "bad-date",
            "Ngày cuối phải từ hôm nay trở đi, không trước ngày đầu và trong vòng một năm.",
            "The last day must be today or later, not before the first, and within a year.",
        )


def _deputy(typed: str) -> Account:
    found = frame.parts().accounts.by_address(typed)
    if found is None:
        raise Refused(
            "no-deputy", "Người đọc thay phải có trong danh bạ.", "The deputy must be in the directory."
        )
    return found


def _inside(address: str) -> str:
    made = canonical(address)
    accounts = frame.parts().accounts
    if accounts.by_address(made) is None and accounts.shared(made) is None:
        raise Refused(
            "forward-outside",
            f"Chỉ chuyển tiếp được đến địa chỉ trong danh bạ; {made} không có.",
            f"Mail can be sent on to addresses of the directory only; {made} is not there.",
        )
    return made
