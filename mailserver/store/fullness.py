# SPDX-License-Identifier: AGPL-3.0-or-later
"""Accounts and agencies near the end of their quota: how near, and what they were told already.

The use of all is added up now and then instead of at each delivery, so that ordinary mail pays nothing for it and no
way by which mail comes in is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from config.clock import now_us
from mailserver.accounts.schema import account, agency
from mailserver.store import schema
from mailserver.store.quota import FINE, FULL, Limits, level

_BACK_PERCENT = 3
"""So far below a mark the use must fall before passing it again is news."""


@dataclass(frozen=True, slots=True)
class Use:
    """Bytes used of a limit by an account, or by a whole agency (``account`` 0)."""

    agency: int
    account: int
    used: int
    limit: int

    @property
    def percent(self) -> int:
        """Used, in percent."""
        return self.used * 100 // max(1, self.limit)


@dataclass(frozen=True, slots=True)
class News:
    """A use and its `quota.level` now; ``rises``: its owner has not been told of it yet."""

    use: Use
    level: int
    rises: bool


def uses(conn: sa.Connection, limits: Limits) -> list[Use]:
    """Everybody who has a limit, agencies last."""
    box = schema.mailbox
    used = sa.func.sum(box.c.size)
    people = (
        sa.select(box.c.agency, box.c.owner, used, account.c.quota_bytes)
        .join(account, sa.and_(account.c.agency == box.c.agency, account.c.account == box.c.owner))
        .group_by(box.c.agency, box.c.owner, account.c.quota_bytes)
    )
    whole = (
        sa.select(box.c.agency, sa.literal(0), used, agency.c.quota_bytes)
        .join(agency, agency.c.agency == box.c.agency)
        .group_by(box.c.agency, agency.c.quota_bytes)
    )
    found = []
    for query, default in ((people, limits.account), (whole, limits.agency)):
        own = query.selected_columns[3]
        limited = query.where(own > 0) if not default else query.where(sa.or_(own > 0, own.is_(None)))
        for number, owner, sum_, limit in conn.execute(limited):
            found.append(Use(number, owner, int(sum_), int(limit or default)))
    return found


def news(conn: sa.Connection, limits: Limits) -> Iterator[News]:
    """Whose level is not the one noted."""
    table = schema.quota_told
    told = {(row.agency, row.account): row.level for row in conn.execute(sa.select(table))}
    for use in uses(conn, limits):
        before = told.pop((use.agency, use.account), FINE)
        now = level(use.used, use.limit, limits.warn_percent)
        if now > before:
            yield News(use, now, True)
        elif now < before and _is_back(use, before, limits.warn_percent):
            yield News(use, now, False)
    for number, owner in told:  # has no limit any more
        yield News(Use(number, owner, 0, 0), FINE, False)


def _is_back(use: Use, before: int, warn_percent: int) -> bool:
    mark = 100 if before == FULL else warn_percent
    return use.percent < mark - _BACK_PERCENT


def note(conn: sa.Connection, one: News) -> None:
    """Remember the level, in the transaction of the letter about it."""
    table = schema.quota_told
    this = sa.and_(table.c.agency == one.use.agency, table.c.account == one.use.account)
    conn.execute(sa.delete(table).where(this))
    if one.level != FINE:
        row = {"agency": one.use.agency, "account": one.use.account, "level": one.level, "at_us": now_us()}
        conn.execute(sa.insert(table).values(row))
