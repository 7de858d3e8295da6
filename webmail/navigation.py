# SPDX-License-Identifier: AGPL-3.0-or-later
"""The one navigation list: rooms of pages add a section, the layout shows them in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mailserver.accounts import Account


@dataclass(frozen=True, slots=True)
class Link:
    """A place of the second level. ``place`` is what a page names as its own (``mail.inbox``)."""

    place: str
    href: str
    label: str
    count: int = 0
    late: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A place of the first level; on a phone one of the tabs. ``said`` follows its count for a screen reader."""

    place: str
    href: str
    label: str
    icon: str
    count: int = 0
    said: str = ""
    late: bool = False
    links: tuple[Link, ...] = ()


Maker = Callable[[Account], Section | None]
_makers: dict[int, Maker] = {}


def add(order: int, maker: Maker) -> None:
    """Add a section (10 mail, 20 documents, 30 tasks, … 90 the person); None hides it from an account."""
    _makers[order] = maker


def sections(account: Account) -> list[Section]:
    """What ``account`` sees."""
    made = (_makers[order](account) for order in sorted(_makers))
    return [one for one in made if one is not None]
