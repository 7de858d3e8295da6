# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where large messages wait until they are whole: in a file without a name, sealed under a key that only this
process's memory holds (DESIGN 4.3), so that 64 senders of 25 MiB cost disk and not memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class Room:
    """Bytes that all unfinished messages of a process may hold together, of one kind."""

    def __init__(self, total: int) -> None:
        self.left = total

    def take(self, size: int) -> bool:
        """Reserve ``size`` bytes; False when there is no room now."""
        if size > self.left:
            return False
        self.left -= size
        return True

    def give(self, size: int) -> None:
        """Give a reservation back."""
        self.left += size


class Spool:
    """Makes spool files in ``folder``, and lets one large message at a time be read back and delivered."""

    def __init__(self, folder: Path, *, memory: int, disk: int) -> None:
        self._folder = folder
        self.memory = Room(memory)
        self.disk = Room(disk)
        self.turn = asyncio.Lock()
        self.aside = Room(4 * memory)

    def open(self) -> SpoolFile:
        """A new file. Raises `OSError`."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return SpoolFile(os.open(self._folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600))


class Turn:
    """``async with`` it, a large message is the one in memory; `aside` lets others have the turn meanwhile."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._held = False

    async def __aenter__(self) -> Turn:
        await self._spool.turn.acquire()
        self._held = True
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._held:
            self._spool.turn.release()

    @contextlib.asynccontextmanager
    async def aside(self, size: int) -> AsyncIterator[None]:
        """Wait for something slow with a message of ``size`` bytes; without room in memory the turn is kept."""
        if not self._spool.aside.take(size):
            yield
            return
        self._held = False
        self._spool.turn.release()
        try:
            yield
        finally:
            try:
                await self._spool.turn.acquire()
                self._held = True  # not when this task was ended while it waited
            finally:
                self._spool.aside.give(size)


class SpoolFile:
    """One message's sealed pieces, in order. ``size`` counts the bytes that were written."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._cipher = AESGCM(secrets.token_bytes(32))
        self._pieces: list[int] = []
        self.size = 0

    def write(self, piece: bytes | bytearray) -> None:
        """Add ``piece``. Raises `OSError` (disk full)."""
        sealed = self._cipher.encrypt(self._nonce(len(self._pieces)), piece, None)
        view = memoryview(sealed)
        while view:
            view = view[os.write(self._handle, view) :]
        self._pieces.append(len(sealed))
        self.size += len(piece)

    def read(self) -> bytes:
        """All of it, in memory once. Raises `OSError`, `cryptography.exceptions.InvalidTag` when the file was altered."""
        whole, offset = io.BytesIO(), 0  # gives its own buffer away when it is asked for the value
        for number, length in enumerate(self._pieces):
            sealed = os.pread(self._handle, length, offset)
            whole.write(self._cipher.decrypt(self._nonce(number), sealed, None))
            offset += length
        return whole.getvalue()

    def close(self) -> None:
        """Let the file go."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    @staticmethod
    def _nonce(number: int) -> bytes:
        return number.to_bytes(12, "big")  # the key is this file's own
