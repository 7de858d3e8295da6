# SPDX-License-Identifier: AGPL-3.0-or-later
"""Leases: one holder at a time for a named duty (the ledger's sequencer, the courier of a row)."""

from __future__ import annotations

import os
import secrets
import socket

import sqlalchemy as sa

from config.clock import now_us
from config.database import Database, metadata

lease = sa.Table(
    "lease",
    metadata,
    sa.Column("name", sa.String(60), primary_key=True),
    sa.Column("holder", sa.String(80), nullable=False),
    sa.Column("until_us", sa.BigInteger, nullable=False),
)

OWNER = f"{socket.gethostname()[:40]}.{os.getpid()}.{secrets.token_hex(4)}"
"""This process as a holder of leases."""


def hold(database: Database, name: str, seconds: float) -> bool:
    """Take or renew the lease ``name`` for ``seconds``; False while another holder's runs."""

    def job(conn: sa.Connection) -> bool:
        now = now_us()
        until = now + int(seconds * 1_000_000)
        taken = conn.execute(
            sa.update(lease)
            .where(lease.c.name == name, sa.or_(lease.c.holder == OWNER, lease.c.until_us < now))
            .values(holder=OWNER, until_us=until)
        )
        if taken.rowcount:
            return True
        if conn.execute(sa.select(lease.c.name).where(lease.c.name == name)).first() is not None:
            return False
        conn.execute(sa.insert(lease).values(name=name, holder=OWNER, until_us=until))
        return True

    try:
        return database.write(job)
    except sa.exc.IntegrityError:
        return False


def release(database: Database, name: str) -> None:
    """Give the lease back at once (when it is ours)."""
    database.write(
        lambda conn: conn.execute(sa.delete(lease).where(lease.c.name == name, lease.c.holder == OWNER))
    )
