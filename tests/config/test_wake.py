# SPDX-License-Identifier: AGPL-3.0-or-later
"""Wake-ups reach whoever listens, and a listener that is gone disturbs nobody."""

from __future__ import annotations

import asyncio
import shutil
import socket
import tempfile
from pathlib import Path

from config.wake import Wake


def test_a_wake_up_arrives() -> None:
    folder = Path(tempfile.mkdtemp(prefix="cv"))
    heard: list[tuple[str, str]] = []

    async def walk() -> None:
        arrived = asyncio.Event()
        listener = Wake(folder)
        listener.subscribe(lambda topic, key: (heard.append((topic, key)), arrived.set())[0])
        listener.start()
        Wake(folder).publish("mailbox", "3.14")
        await asyncio.wait_for(arrived.wait(), 5)
        listener.stop()

    gone = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    gone.bind(str(folder / "1.wake"))
    gone.close()
    asyncio.run(walk())
    assert heard == [("mailbox", "3.14")]
    assert list(folder.iterdir()) == []
    shutil.rmtree(folder)
