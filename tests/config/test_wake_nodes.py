# SPDX-License-Identifier: AGPL-3.0-or-later
"""Two nodes on one PostgreSQL hear each other's wake-ups, and come back after their connections were cut."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import sqlalchemy as sa

from config.wake import Wake
from config.wake_nodes import Nodes


async def _heard(wake: Wake, told: Wake, heard: asyncio.Queue[tuple[str, str]], key: str) -> None:
    """Publish until it is heard: a wake-up before the other listens is lost, as it may be."""
    for _ in range(600):
        told.publish("mailbox", key)
        try:
            while await asyncio.wait_for(heard.get(), 0.1) != ("mailbox", key):
                pass
        except TimeoutError:
            continue
        return
    raise AssertionError(f"{key} was never heard by {wake}")


def test_nodes_hear_one_another_and_not_themselves(postgres_url: str, tmp_path: Path) -> None:
    async def play() -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        one, other = (
            Wake(folder, Nodes(postgres_url, folder)) for folder in (tmp_path / "a", tmp_path / "b")
        )
        heard: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        own: list[tuple[str, str]] = []
        other.subscribe(lambda topic, key: heard.put_nowait((topic, key)))
        one.subscribe(lambda topic, key: own.append((topic, key)))
        one.start()
        other.start()
        try:
            await _heard(other, one, heard, "7.1")
            address = sa.make_url(postgres_url).set(drivername="postgresql")
            with psycopg.connect(address.render_as_string(hide_password=False), autocommit=True) as conn:
                conn.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE pid <> pg_backend_pid() AND (query LIKE 'LISTEN%' OR query LIKE '%pg_notify%')"
                )
            await _heard(other, one, heard, "7.2")
            one.publish("mailbox", "7.3")
            await _heard(other, one, heard, "7.4")  # behind 7.3 on both ways
            assert own.count(("mailbox", "7.3")) == 1  # its own datagram, no echo from the database
        finally:
            one.stop()
            other.stop()

    asyncio.run(play())
