# SPDX-License-Identifier: AGPL-3.0-or-later
"""No command holds the event loop: CPU of its thread between two turns stays small (DESIGN 4.5)."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.mailserver.imap.conftest import Served
from tests.mailserver.imap.dialogue import Wire

_MOST_S = 0.008
"""Four times the 2 ms of the design, so that a slow machine's clock does not fail the test; a whole command over
3,000 messages takes 10 to 100 ms."""
COMMANDS = (
    b"FETCH 1:* (UID FLAGS)",
    b"FETCH 1:* (UID ENVELOPE BODYSTRUCTURE RFC822.SIZE INTERNALDATE FLAGS)",
    b"FETCH 1:* (UID ENVELOPE BODYSTRUCTURE RFC822.SIZE INTERNALDATE FLAGS)",
    b"FETCH 1:* (UID BODY.PEEK[])",
    b"STORE 1:* +FLAGS (\\Flagged)",
    b"SEARCH UNSEEN SUBJECT x",
    b"COPY 1:1000 Nh&AOE-p",
)


@pytest.mark.timeout(180)
def test_the_loop_is_never_held(served: Served, password: str) -> None:
    rows = [(b"Subject: x\r\n\r\n%d" % number, 0, 1_780_000_000_000_000) for number in range(3000)]
    served.run(served.store.append_many(served.inbox(), rows))
    worst: dict[bytes, float] = {}
    now = [b""]

    async def watch() -> None:
        last = time.thread_time()
        while now[0] != b"end":
            await asyncio.sleep(0)
            spent = time.thread_time() - last
            worst[now[0]] = max(worst.get(now[0], 0.0), spent)
            last = time.thread_time()

    wire = Wire(served.port)
    wire.line()
    wire.command(f"LOGIN {served.person('cv1').address} {password}")
    wire.command("SELECT INBOX")
    watching = asyncio.run_coroutine_threadsafe(watch(), served.loop)
    for command in COMMANDS:
        now[0] = command
        assert b" OK" in wire.command(command)[-1]
    now[0] = b"end"
    watching.result(30)
    over = {command: spent for command, spent in worst.items() if command and spent > _MOST_S}
    assert not over
