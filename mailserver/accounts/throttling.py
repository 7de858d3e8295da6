# SPDX-License-Identifier: AGPL-3.0-or-later
"""One throttle for every protocol: counts distinct wrong secrets for an account from one source.

A phone that repeats one old password counts once, and an office behind one address shares nothing:
the key is account and source together, and, with a higher bound, the account alone.
"""

from __future__ import annotations

import sqlalchemy as sa

from config.clock import now_us
from config.refusal import Refused
from config.seal import Seal
from config.statement import Statement
from mailserver.accounts.schema import throttle

_WINDOW_US = 15 * 60 * 1_000_000
_FREE_TRIES = 5
_FREE_TRIES_ANYWHERE = 50
_LONGEST_S = 900


class Throttled(Refused):
    """Too many wrong passwords lately."""

    def __init__(self, seconds: int) -> None:
        minutes = max(1, -(-seconds // 60))
        super().__init__(
            "throttled",
            f"Sai mật khẩu nhiều lần. Hãy thử lại sau {minutes} phút hoặc nhờ cán bộ CNTT của cơ quan.",
            f"Too many wrong passwords. Try again in {minutes} min or ask your agency's officer.",
        )
        self.seconds = seconds


def _keys(seal: Seal, address: str, client: str) -> tuple[bytes, bytes]:
    return (
        seal.digest("throttle", f"{address}|{client}".encode()),
        seal.digest("throttle", f"{address}|*".encode()),
    )


_FAILURES = Statement(
    sa.select(sa.func.count(), sa.func.max(throttle.c.at_us)).where(
        throttle.c.who == sa.bindparam("of_whom"), throttle.c.at_us > sa.bindparam("since")
    )
)


def check(conn: sa.Connection, seal: Seal, address: str, client: str) -> bool:
    """Raises `Throttled` while ``address`` may not be tried from ``client``; else whether any were wrong."""
    now = now_us()
    here, anywhere = _keys(seal, address, client)
    failed = False
    for key, free in ((here, _FREE_TRIES), (anywhere, _FREE_TRIES_ANYWHERE)):
        found = _FAILURES.row(conn, of_whom=key, since=now - _WINDOW_US)
        count, last = found if found is not None else (0, None)
        if count >= free:
            wait = min(_LONGEST_S, 2 ** min(20, 2 + count - free))
            left = wait - (now - last) // 1_000_000
            if left > 0:
                raise Throttled(int(left))
        failed = failed or (key == here and count > 0)
    return failed


def note_failure(conn: sa.Connection, seal: Seal, address: str, client: str, password: str) -> None:
    """Remember one wrong secret."""
    now = now_us()
    secret = seal.digest("wrong-secret", password.encode()[:1024])
    conn.execute(sa.delete(throttle).where(throttle.c.at_us < now - _WINDOW_US))
    for key in _keys(seal, address, client):
        known = conn.execute(
            sa.update(throttle).where(throttle.c.who == key, throttle.c.secret == secret).values(at_us=now)
        )
        if not known.rowcount:
            conn.execute(sa.insert(throttle).values(who=key, secret=secret, at_us=now))


def forgive(conn: sa.Connection, seal: Seal, address: str, client: str) -> None:
    """A right password clears what was counted for this account from this source."""
    conn.execute(sa.delete(throttle).where(throttle.c.who == _keys(seal, address, client)[0]))
