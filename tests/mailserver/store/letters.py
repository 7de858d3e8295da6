# SPDX-License-Identifier: AGPL-3.0-or-later
"""Letters and mailboxes for the tests of the store."""

from __future__ import annotations

import asyncio
import os

from mailserver.store import DELETED, Ref
from tests.conftest import Province


def letter(mark: str, size: int = 0) -> bytes:
    """A letter with ``mark`` as its subject and ``size`` bytes of its own."""
    body = os.urandom(size // 2).hex()
    return f"From: a@b.example\r\nTo: c@d.example\r\nSubject: {mark}\r\n\r\n{body}\r\n".encode()


def inbox(province: Province, local: str = "cv1") -> Ref:
    """The INBOX of one of the people."""
    found = province.store.find(province.people[f"{local}@{province.home.domain}"].ref, "INBOX")
    assert found is not None
    return found


def fill(province: Province, ref: Ref, count: int, size: int = 0) -> list[bytes]:
    """``count`` different letters into a mailbox, in the order of their UIDs."""
    made = [letter(f"thư {n}", size) for n in range(count)]

    async def walk() -> None:
        for one in made:
            await province.store.append(ref, one, 0, 1)

    asyncio.run(walk())
    return made


def expunge(province: Province, ref: Ref, uids: list[int]) -> None:
    """Flag and expunge."""

    async def walk() -> None:
        await province.store.set_flags(ref, uids, "add", DELETED)
        assert await province.store.expunge(ref, uids) == uids

    asyncio.run(walk())
