# SPDX-License-Identifier: AGPL-3.0-or-later
"""Wake-ups reach whoever listens, and a listener that is gone disturbs nobody."""

from __future__ import annotations

import asyncio
import shutil
import socket
import tempfile
from pathlib import Path

from config.wake import Wake


def test_wake_ups_arrive() -> None:
    folder = Path(tempfile.mkdtemp(prefix="cv"))
    heard: list[tuple[str, str]] = []

    async def walk() -> None:
        arrived = asyncio.Event()
        listener = Wake(folder)
        listener.subscribe(lambda topic, key: heard.append((topic, key)))
        listener.start()
        listener.subscribe(lambda topic, key: arrived.set() if topic == "last" else None)
        Wake(folder).publish("mailbox", *(f"3.{number}" for number in range(250)))
        Wake(folder).publish("last")
        await asyncio.wait_for(arrived.wait(), 5)
        listener.stop()

    gone = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    gone.bind(str(folder / "1.wake"))
    gone.close()
    asyncio.run(walk())
    assert heard == [*(("mailbox", f"3.{number}") for number in range(250)), ("last", "")]
    assert list(folder.iterdir()) == []
    shutil.rmtree(folder)
