# SPDX-License-Identifier: AGPL-3.0-or-later
"""The scripts of accounts: sealed rows, one active for each account, compiled ones kept in memory."""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

import sqlalchemy as sa

from config.clock import now_us
from config.database import Database
from config.refusal import Refused
from config.seal import Seal
from mailserver.accounts.model import AccountRef
from mailserver.accounts.schema import counter, next_number
from mailserver.sieve.program import BadScript, Program, compiled
from mailserver.sieve.schema import script
from policy.ledger.entries import record

_FRESH_S = 1.0
_MOST_SCRIPTS = 16
_COMPILED = 2000


@dataclass(frozen=True, slots=True)
class Script:
    """A script as its owner wrote it; ``updated_us`` in µs UTC."""

    name: str
    text: str
    active: bool
    updated_us: int


def of_account(conn: sa.Connection, seal: Seal, who: AccountRef) -> list[Script]:
    """All scripts of an account, by name."""
    query = sa.select(script).where(script.c.agency == who.agency, script.c.account == who.account)
    return sorted((_read(seal, row) for row in conn.execute(query)), key=lambda one: one.name)


def put(
    conn: sa.Connection, seal: Seal, who: AccountRef, name: str, text: str, *, active: bool, by: str
) -> None:
    """Store a script under a name, in place of an older one; an active one makes the others inactive.

    Raises `BadScript`, or `Refused` (``too-many-scripts``, ``bad-name``).
    """
    compiled(text)
    if not name.strip() or len(name) > 128 or not name.isprintable():
        raise Refused("bad-name", "Tên bộ lọc không dùng được.", "The name of a script can't be used.")
    digest = _digest(seal, name)
    others = of_account(conn, seal, who)
    if len(others) >= _MOST_SCRIPTS and all(one.name != name for one in others):
        raise Refused(
            "too-many-scripts",
            f"Mỗi tài khoản có tối đa {_MOST_SCRIPTS} bộ lọc.",
            f"An account has {_MOST_SCRIPTS} scripts at most.",
        )
    here = sa.and_(script.c.agency == who.agency, script.c.account == who.account)
    conn.execute(sa.delete(script).where(here, script.c.name_digest == digest))
    if active:
        conn.execute(sa.update(script).where(here).values(active=False))
    told = json.dumps({"name": name, "text": text}, ensure_ascii=False).encode()
    conn.execute(
        sa.insert(script).values(
            agency=who.agency,
            account=who.account,
            name_digest=digest,
            active=active,
            sealed=seal.seal(told, _aad(who)),
            updated_us=now_us(),
        )
    )
    next_number(conn, 0, "sieve")
    record(conn, seal, "sieve.changed", by, {"account": f"{who.agency}.{who.account}", "active": active})


def remove(conn: sa.Connection, seal: Seal, who: AccountRef, name: str, by: str) -> bool:
    """Take a script away; False when there is none of this name."""
    gone = conn.execute(
        sa.delete(script).where(
            script.c.agency == who.agency,
            script.c.account == who.account,
            script.c.name_digest == _digest(seal, name),
        )
    )
    next_number(conn, 0, "sieve")
    if gone.rowcount:
        record(conn, seal, "sieve.changed", by, {"account": f"{who.agency}.{who.account}", "active": False})
    return bool(gone.rowcount)


class Scripts:
    """The active programs, for delivery. What changed is seen within a second."""

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal
        self._lock = threading.Lock()
        self._at = float("-inf")
        self._generation = -1
        self._active: frozenset[AccountRef] = frozenset()
        self._programs: OrderedDict[AccountRef, Program | None] = OrderedDict()

    def active(self) -> frozenset[AccountRef]:
        """The accounts that have an active script."""
        if time.monotonic() - self._at < _FRESH_S:
            return self._active
        with self._lock, self._database.reading() as conn:
            here = sa.and_(counter.c.agency == 0, counter.c.kind == "sieve")
            generation = conn.execute(sa.select(counter.c.next).where(here)).scalar() or 0
            if generation != self._generation:
                rows = conn.execute(sa.select(script.c.agency, script.c.account).where(script.c.active))
                self._active = frozenset(AccountRef(row.agency, row.account) for row in rows)
                self._programs.clear()
                self._generation = generation
            self._at = time.monotonic()
        return self._active

    def program(self, who: AccountRef) -> Program | None:
        """The active program of an account; None when it has none, or one that can't be used any more."""
        with self._lock:
            if who in self._programs:
                self._programs.move_to_end(who)
                return self._programs[who]
            here = sa.and_(script.c.agency == who.agency, script.c.account == who.account, script.c.active)
            with self._database.reading() as conn:
                row = conn.execute(sa.select(script).where(here)).first()
            try:
                found = compiled(_read(self._seal, row).text) if row is not None else None
            except BadScript:
                found = None
            self._programs[who] = found
            if len(self._programs) > _COMPILED:
                self._programs.popitem(last=False)
            return found


def _read(seal: Seal, row: sa.Row[tuple[object, ...]]) -> Script:
    told = json.loads(seal.open(row.sealed, _aad(AccountRef(row.agency, row.account))))
    return Script(told["name"], told["text"], row.active, row.updated_us)


def _digest(seal: Seal, name: str) -> bytes:
    return seal.digest("sieve-script", name.encode())


def _aad(who: AccountRef) -> bytes:
    return f"sieve {who.agency}.{who.account}".encode()
