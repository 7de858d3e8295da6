# SPDX-License-Identifier: AGPL-3.0-or-later
"""How much an account and an agency may keep. Use is the sum of the mailboxes' size counters: no message is
counted, no row is shared by deliveries, and the sum is as exact as the counters it adds up.

Two deliveries to two mailboxes of one person at the same moment may together pass the limit by one message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from config.refusal import Refused
from config.statement import Statement
from mailserver.accounts.model import AccountRef
from mailserver.accounts.schema import account, agency
from mailserver.store import schema
from mailserver.store.model import Ref

_MB = 1024 * 1024
_PART = 200
_TRASH = "\\Trash"
FINE, NEAR, FULL = 0, 1, 2


def level(used: int, limit: int, warn_percent: int) -> int:
    """`FINE`, `NEAR`, or `FULL`: less than a hundredth of the limit, at most 1 MiB, is left."""
    if limit - used < min(_MB, limit // 100 + 1):
        return FULL
    return NEAR if used * 100 >= limit * warn_percent else FINE


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds for an account or agency that has no limit of its own: bytes, 0 for none."""

    account: int = 0
    agency: int = 0
    warn_percent: int = 90


@dataclass(frozen=True, slots=True)
class Quota:
    """Use and limit in bytes; a limit is None when there is none, ``agency_used`` then was not added up."""

    used: int
    limit: int | None
    agency_used: int | None
    agency_limit: int | None
    warn_percent: int = 90

    @property
    def percent(self) -> int:
        """Used of the account's own limit, in percent; 0 without one."""
        return self.used * 100 // self.limit if self.limit else 0

    @property
    def is_near(self) -> bool:
        """Whether the warning threshold is passed, by the account or its agency."""
        return max(self._levels) >= NEAR

    @property
    def is_full(self) -> bool:
        """Whether there is next to no room, for the account or its agency."""
        return max(self._levels) == FULL

    @property
    def is_tighter_for_agency(self) -> bool:
        """Whether it is the agency's limit that is near, rather than the account's own."""
        own, whole = self._levels
        return whole > own

    @property
    def _levels(self) -> tuple[int, int]:
        pairs = ((self.used, self.limit), (self.agency_used, self.agency_limit))
        own, whole = (
            level(used or 0, limit, self.warn_percent) if limit is not None else FINE for used, limit in pairs
        )
        return own, whole

    @property
    def left(self) -> int:
        """Bytes that may still come; a petabyte when there is no limit."""
        pairs = ((self.used, self.limit), (self.agency_used, self.agency_limit))
        return min(
            (max(0, limit - (used or 0)) for used, limit in pairs if limit is not None), default=1 << 50
        )

    def refuses(self, adding: int) -> bool:
        """Whether ``adding`` bytes more would pass a limit."""
        return any(
            limit is not None and (used or 0) + adding > limit
            for used, limit in ((self.used, self.limit), (self.agency_used, self.agency_limit))
        )


class OverQuota(Refused):
    """The mailbox (or its agency) has no room for this message."""

    def __init__(self, owner: AccountRef, found: Quota, adding: int, whose: str = "") -> None:
        self.owner, self._found, self._adding = owner, found, adding
        self.left = found.left
        own = found.limit is not None and found.used + adding > found.limit
        used, limit = (found.used, found.limit) if own else (found.agency_used, found.agency_limit)
        shown = f"{(used or 0) / _MB:.1f}/{(limit or 0) / _MB:.1f} MB"
        name = f" {whose}" if whose else ""
        never = limit is not None and adding > limit
        if never:
            vi = f"Thư {adding / _MB:.1f} MB lớn hơn hạn mức của hộp thư{name} ({shown}). Gửi tệp lớn bằng liên kết."
            en = f"A message of {adding / _MB:.1f} MB is more than the mailbox{name} may hold ({shown}). Send a link."
        elif own:
            vi = f"Hộp thư{name} đã đầy ({shown}). Xóa bớt thư, dọn Thùng rác, hoặc nhờ cán bộ CNTT nâng hạn mức."
            en = f"The mailbox{name} is full ({shown}). Delete mail, empty the trash, or ask for a higher quota."
        else:
            vi = f"Cơ quan đã dùng hết hạn mức thư ({shown}). Liên hệ cán bộ CNTT của cơ quan."
            en = f"The agency's mail quota is used up ({shown}). Ask the agency's officer."
        super().__init__("larger-than-quota" if never else "over-quota", vi, en)

    def naming(self, whose: str) -> OverQuota:
        """The same refusal with the address of the mailbox in it, for a sender."""
        return OverQuota(self.owner, self._found, self._adding, whose)

    def __reduce__(self) -> tuple[object, ...]:
        return (Refused, (self.code, self.vi, self.en))


_USED = Statement(
    sa.select(
        sa.select(sa.func.coalesce(sa.func.sum(schema.mailbox.c.size), sa.literal_column("0")))
        .where(schema.mailbox.c.agency == account.c.agency, schema.mailbox.c.owner == account.c.account)
        .scalar_subquery(),
        account.c.quota_bytes,
        agency.c.quota_bytes,
    )
    .join(agency, agency.c.agency == account.c.agency)
    .where(account.c.agency == sa.bindparam("in_agency"), account.c.account == sa.bindparam("of_owner"))
)
_USED_BY_AGENCY = Statement(
    sa.select(sa.func.coalesce(sa.func.sum(schema.mailbox.c.size), sa.literal_column("0"))).where(
        schema.mailbox.c.agency == sa.bindparam("in_agency")
    )
)


def of(conn: sa.Connection, owner: AccountRef, limits: Limits) -> Quota:
    """Use and limits of an account as they are now."""
    row = _USED.row(conn, in_agency=owner.agency, of_owner=owner.account)
    used, own, shared = (0, None, None) if row is None else row
    limit, agency_limit = _limit(own, limits.account), _limit(shared, limits.agency)
    whole = None
    if agency_limit is not None:
        found = _USED_BY_AGENCY.row(conn, in_agency=owner.agency)
        whole = int(found[0]) if found is not None else 0
    return Quota(int(used), limit, whole, agency_limit, limits.warn_percent)


def of_agency(conn: sa.Connection, number: int, limits: Limits) -> Quota:
    """Use and limit of a whole agency; as ``used`` and ``limit``."""
    row = conn.execute(sa.select(agency.c.quota_bytes).where(agency.c.agency == number)).first()
    found = _USED_BY_AGENCY.row(conn, in_agency=number)
    limit = _limit(None if row is None else row[0], limits.agency)
    return Quota(int(found[0]) if found is not None else 0, limit, None, None, limits.warn_percent)


def require(conn: sa.Connection, owners: Sequence[AccountRef], adding: int, limits: Limits) -> None:
    """Raises `OverQuota` for the first of ``owners`` that has no room for ``adding`` bytes."""
    if len(owners) == 1:
        _require(conn, owners[0], adding, limits)
        return
    for start in range(0, len(owners), _PART):
        for owner in _suspects(conn, owners[start : start + _PART], adding, limits):
            _require(conn, owner, adding, limits)


def require_in(conn: sa.Connection, ref: Ref, adding: int, limits: Limits) -> None:
    """`require` for the owner of the mailbox ``ref``."""
    table = schema.mailbox
    owner = conn.execute(
        sa.select(table.c.owner).where(table.c.agency == ref.agency, table.c.mailbox == ref.mailbox)
    ).scalar()
    if owner is not None:
        _require(conn, AccountRef(ref.agency, owner), adding, limits)


def require_between(
    conn: sa.Connection, source: Ref, target: Ref, adding: Callable[[], int], limits: Limits, *, moved: bool
) -> None:
    """`require_in` for messages that are copied or moved. What stays with its owner needs no room when it is moved,
    nor when it is copied into the trash: a full mailbox can always be emptied, also by programs without MOVE.
    """
    table = schema.mailbox
    query = sa.select(table.c.agency, table.c.mailbox, table.c.owner, table.c.special_use).where(
        sa.tuple_(table.c.agency, table.c.mailbox).in_([tuple(source), tuple(target)])
    )
    found = {Ref(row.agency, row.mailbox): row for row in conn.execute(query)}
    here, there = found.get(source), found.get(target)
    if here is None or there is None:
        return
    own = (here.agency, here.owner) == (there.agency, there.owner)
    if not own or not (moved or there.special_use == _TRASH):
        _require(conn, AccountRef(there.agency, there.owner), adding(), limits)


def _require(conn: sa.Connection, owner: AccountRef, adding: int, limits: Limits) -> None:
    found = of(conn, owner, limits)
    if found.refuses(adding):
        raise OverQuota(owner, found, adding)


def _suspects(
    conn: sa.Connection, owners: Sequence[AccountRef], adding: int, limits: Limits
) -> list[AccountRef]:
    """Those of many that must be looked at one by one: over their own limit, or in a limited agency."""
    box = schema.mailbox
    used = sa.func.sum(box.c.size)
    query = (
        sa.select(box.c.agency, box.c.owner, used.label("used"), account.c.quota_bytes, agency.c.quota_bytes)
        .join(account, sa.and_(account.c.agency == box.c.agency, account.c.account == box.c.owner))
        .join(agency, agency.c.agency == box.c.agency)
        .where(sa.tuple_(box.c.agency, box.c.owner).in_([tuple(one) for one in owners]))
        .group_by(box.c.agency, box.c.owner, account.c.quota_bytes, agency.c.quota_bytes)
    )
    found: list[AccountRef] = []
    agencies: set[int] = set()
    for number, owner, sum_, own, shared in conn.execute(query):
        limit = _limit(own, limits.account)
        limited = _limit(shared, limits.agency) is not None and number not in agencies
        if (limit is not None and int(sum_) + adding > limit) or limited:
            agencies.add(number)
            found.append(AccountRef(number, owner))
    return found


def _limit(own: int | None, default: int) -> int | None:
    if own is None:
        return default or None
    return own if own >= 0 else None
