# SPDX-License-Identifier: AGPL-3.0-or-later
"""A courier's process is killed in the middle of carrying: the row is carried again, nothing is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mailserver.delivery import Recipient
from tests.mailserver.queue.conftest import Make, Peer

_COURIER = """
import asyncio, sys
from pathlib import Path
import exchange.schema
from config.database import Database
from config.seal import Seal
from config.settings import Queue, Settings
from config.wake import Wake
from mailserver.accounts import Accounts
from mailserver.delivery import Delivery
from mailserver.queue.courier import Courier
from mailserver.store import Store
from mailserver.store.segments import Segments
from policy.rulebook import load

url, folder, route = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
database, seal = Database(url, folder / "write.lock"), Seal({1: b"k" * 32}, b"d" * 32)
wake, accounts = Wake(folder), Accounts(database, seal)
store = Store(database, seal, Segments(folder / "segments"), wake)
settings = Settings(base=folder, file=folder, queue=Queue(routes={"*": route}))
asyncio.run(Courier(store, accounts, Delivery(store, accounts, load(), 10**6), settings, wake, lease_s=1.0).run())
"""


def test_kill_while_the_other_side_has_the_message(carrying: Make, peer: Peer, tmp_path: Path) -> None:
    peer.slow = 30
    one = carrying(lease_s=1.0, routes={"*": f"127.0.0.1:{peer.port}"})
    one.send(Recipient("a@e.example"))
    root = Path(__file__).parents[3]
    words = [one.mail.province.database.url, str(tmp_path), f"127.0.0.1:{peer.port}"]
    with subprocess.Popen([sys.executable, "-c", _COURIER, *words], cwd=root) as process:
        one.until(lambda: peer.begun)
        process.kill()
    (row,) = one.rows()
    assert row.state == "waiting"
    assert peer.got == []
    peer.slow = 0
    one.start()
    one.until(lambda: not one.rows())
    assert len(peer.got) == 1


@pytest.mark.parametrize("count", [40])
def test_two_couriers_share_a_queue(count: int, carrying_on_both: Make, peer: Peer) -> None:
    """On each database: two couriers take different rows; every message goes exactly once."""
    route = {"*": f"127.0.0.1:{peer.port}"}
    first, second = carrying_on_both(routes=route), carrying_on_both(routes=route)
    for number in range(count):
        first.send(Recipient("a@e.example"), data=f"Subject: {number}\r\n\r\n".encode())
    first.start()
    second.start(listening=False)
    first.until(lambda: not first.rows())
    assert sorted(got.content for got in peer.got) == sorted(
        f"Subject: {number}\r\n\r\n".encode() for number in range(count)
    )
