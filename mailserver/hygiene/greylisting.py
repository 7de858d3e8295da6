# SPDX-License-Identifier: AGPL-3.0-or-later
"""Greylisting: a stranger's first letter is put off for some minutes; a mail server comes back, a spam program does not.

Who is proved to send for its domain is no stranger. Rows hold a keyed digest of network and sender, nothing else.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import sqlalchemy as sa

from config.database import Database
from config.refusal import Unavailable
from config.seal import Seal
from mailserver.hygiene.schema import greylist

_MINUTE_US = 60_000_000
_WAIT_US = 48 * 60 * _MINUTE_US
_SWEPT = 200


class Greylist:
    """The greylist of one installation: ``minutes`` to wait, ``days`` known after that."""

    def __init__(self, database: Database, seal: Seal, minutes: int, days: int) -> None:
        self._database = database
        self._seal = seal
        self._wait_us = minutes * _MINUTE_US
        self._known_us = days * 24 * 60 * _MINUTE_US

    async def check(self, client: str, sender: str, at_us: int) -> None:
        """Return when the sender may pass. Raises `Unavailable` (``greylisted``) when it has to come back later."""
        if not self._wait_us:
            return
        key = self._seal.digest("greylist", f"{_network(client)} {sender.lower()}".encode())
        left = await self._database.commit(lambda conn: self._pass(conn, key, at_us))
        if left > 0:
            minutes = -(-left // _MINUTE_US)
            raise Unavailable(
                "greylisted",
                f"Lần đầu nhận thư của người gửi này: hãy gửi lại sau {minutes} phút (máy chủ thư tự làm).",
                f"First mail of this sender here: try again in {minutes} minutes (mail servers do so by themselves).",
            )

    def _pass(self, conn: sa.Connection, key: bytes, at_us: int) -> int:
        """µs still to wait; notes the try."""
        table = greylist
        row = conn.execute(sa.select(table).where(table.c.triplet == key)).first()
        if row is None or row.until_us < at_us:
            if row is not None:
                conn.execute(sa.delete(table).where(table.c.triplet == key))
            old = sa.select(table.c.triplet).where(table.c.until_us < at_us).limit(_SWEPT)
            conn.execute(sa.delete(table).where(table.c.triplet.in_(old)))
            conn.execute(
                sa.insert(table).values(triplet=key, first_us=at_us, passed=False, until_us=at_us + _WAIT_US)
            )
            return self._wait_us
        left = int(row.first_us) + self._wait_us - at_us
        if not row.passed and left > 0:
            return left
        conn.execute(
            sa.update(table)
            .where(table.c.triplet == key)
            .values(passed=True, until_us=at_us + self._known_us)
        )
        return 0


def _network(client: str) -> str:
    """/24 or /64: big senders come back from a neighbour."""
    address = ip_address(client)
    return str(ip_network((address, 24 if address.version == 4 else 64), strict=False))
