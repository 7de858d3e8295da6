# SPDX-License-Identifier: AGPL-3.0-or-later
"""How values are written for people: dates dd/mm/yyyy in Vietnam time, sizes, numbers, initials."""

from __future__ import annotations

import hashlib
from datetime import date, timedelta

from config.clock import iso_local, to_local, today_local
from mailserver.accounts import Accounts
from webmail.catalogue import Count, Language, say

_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TINTS = ("", "b", "g", "y")


def day(us: int) -> str:
    """``23/11/2026``."""
    return f"{to_local(us):%d/%m/%Y}"


def clock(us: int) -> str:
    """``08:47``."""
    return f"{to_local(us):%H:%M}"


def weekday(us: int, language: Language) -> str:
    """``thứ Hai``."""
    return say(language, f"date.{_WEEK[to_local(us).weekday()]}")


def moment(us: int, language: Language) -> str:
    """``08:47 thứ Hai, 23/11/2026``."""
    return f"{clock(us)} {weekday(us, language)}, {day(us)}"


def short(us: int, language: Language, today: date | None = None) -> str:
    """For a list: the time today, the weekday within a week, else the date."""
    today = today or today_local()
    then = to_local(us).date()
    if then == today:
        return clock(us)
    if timedelta(0) < today - then < timedelta(days=7):
        return weekday(us, language)
    return day(us)


def machine(us: int) -> str:
    """For ``<time datetime>``: ISO 8601 with the zone."""
    return iso_local(us)


def day_group(us: int, today: date | None = None) -> str:
    """The catalogue key of the group of days a list puts ``us`` into."""
    ago = ((today or today_local()) - to_local(us).date()).days
    if ago <= 0:
        return "date.today"
    if ago == 1:
        return "date.yesterday"
    return "date.this-week" if ago < 7 else "date.earlier"


class Grouped(Count):
    """A number that is written ``12.400`` (en: ``12,400``) and still chooses a word."""

    language: Language

    def __str__(self) -> str:
        text = f"{int(self):,}"
        return text.replace(",", ".") if self.language == "vi" else text

    def __format__(self, spec: str) -> str:
        return super().__format__(spec) if spec else str(self)


def number(value: int, language: Language) -> Grouped:
    """``12.400`` (en: ``12,400``)."""
    found = Grouped(value)
    found.language = language
    return found


def size(octets: int, language: Language) -> str:
    """``1,9 MB``, ``340 KB``, ``5,0 GB``."""
    if octets < 1000:
        return f"{octets} B"
    if octets < 1_000_000:
        return f"{max(1, round(octets / 1000))} KB"
    text = f"{octets / 1_000_000:.1f} MB" if octets < 1_000_000_000 else f"{octets / 1_000_000_000:.1f} GB"
    return text.replace(".", ",") if language == "vi" else text


def initials(name: str) -> str:
    """Up to three letters that stand for a person or office: ``Chánh Văn phòng`` gives ``CVP``."""
    words = [one for one in name.replace("@", " ").replace(".", " ").split() if one[0].isalnum()]
    return "".join(one[0] for one in words[:3]).upper() or "?"


def tint(address: str) -> str:
    """One of four quiet colours, always the same for an address."""
    return _TINTS[hashlib.sha256(address.encode()).digest()[0] % len(_TINTS)]


def known_name(accounts: Accounts, address: str, claimed: str) -> str:
    """The directory's name of an address; for a stranger what the letter claims, else the address."""
    known = accounts.by_address(address)
    return known.name if known is not None else claimed or address
