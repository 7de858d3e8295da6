# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan check``: room on the disk, in the segments and in mailboxes."""

from __future__ import annotations

import shutil

from config.settings import Settings
from congvan.installation import Installation, open_database, open_storage
from mailserver.accounts import AccountRef, Accounts
from mailserver.store import fullness
from mailserver.store.compaction import usage
from mailserver.store.quota import FULL, level

_BYTES_LEFT = 2 * 1024**3
_WASTE_LEFT = 1024**3
_NAMED = 5


def disk(settings: Settings) -> tuple[bool, str, str]:
    """(room is left, words in Vietnamese, in English)."""
    free = shutil.disk_usage(settings.data_dir).free
    size = f"{free / 1024**3:.1f} GB"
    good = free > _BYTES_LEFT
    return (
        good,
        f"còn {size}" + ("" if good else ": thêm đĩa, khi hết đĩa thư bị hoãn (4xx)"),
        f"{size} free" + ("" if good else ": add disk; without room mail is deferred (4xx)"),
    )


def waste(settings: Settings) -> tuple[bool, str, str]:
    """The same of room that compaction has not given back yet."""
    database, storage = open_database(settings), open_storage(settings)
    try:
        with database.reading() as conn:
            found = usage(conn, storage).values()
    finally:
        database.close()
        storage.close()
    size, unused = sum(one.size for one in found), sum(one.waste for one in found)
    good = unused < max(size // 2, _WASTE_LEFT)
    shown = f"{size / 1024**2:.1f} MB, {unused / 1024**2:.1f} MB"
    return (
        good,
        f"{shown} thừa" + ("" if good else ": xem nhật ký worker, store.compact_percent"),
        f"{shown} waste" + ("" if good else ": see the worker's log, store.compact_percent"),
    )


def quota(settings: Settings) -> tuple[bool, str, str]:
    """The same of mailboxes: who has no room left, or soon none, the worst by name."""
    parts = Installation(settings)
    try:
        limits = parts.store.limits
        with parts.database.reading() as conn:
            near = [
                (level(one.used, one.limit, limits.warn_percent), one) for one in fullness.uses(conn, limits)
            ]
        near = sorted((found for found in near if found[0]), key=lambda found: -found[1].percent)
        full = sum(found == FULL for found, _ in near)
        worst = ", ".join(f"{_named(parts.accounts, one)} {one.percent} %" for _, one in near[:_NAMED])
    finally:
        parts.close()
    if len(near) > _NAMED:
        worst += ", …"
    return (
        not near,
        f"{len(near)} sắp đầy, {full} đã đầy ({worst}): `congvan account quota` hoặc `agency quota … --set`"
        if near
        else "không hộp thư nào sắp đầy",
        f"{len(near)} nearly full, {full} of them full ({worst}): `congvan account quota` or `agency quota … --set`"
        if near
        else "no mailbox is nearly full",
    )


def _named(accounts: Accounts, one: fullness.Use) -> str:
    if one.account:
        found = accounts.by_ref(AccountRef(one.agency, one.account))
        return found.address if found is not None else f"{one.agency}.{one.account}"
    return next((of.code for of in accounts.agencies() if of.number == one.agency), str(one.agency))
