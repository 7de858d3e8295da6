# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where large messages wait until they are whole: in a file without a name, sealed under a key that only this
process's memory holds (DESIGN 4.3), so that 64 senders of 25 MiB cost disk and not memory.
"""

from __future__ import annotations

import asyncio
import io
import os
import secrets
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

    def open(self) -> SpoolFile:
        """A new file. Raises `OSError`."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return SpoolFile(os.open(self._folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600))


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
