# SPDX-License-Identifier: AGPL-3.0-or-later
"""Reading a log's folder that somebody else wrote: bounded, no links, no devices, nothing raised for garbage."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from policy.ledger.checkpoint import MAX_TEXT
from policy.ledger.tiles import MAX_BUNDLE, WIDTH, Tile
from policy.ledger.tree import HASH


class Unreadable(Exception):
    """A name in the folder is there and is no readable file of a fitting size."""


class FolderReader:
    """The files of one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str, limit: int) -> bytes | None:
        """The whole file, None when there is none. Raises `Unreadable`."""
        handle = self._open(name)
        if handle is None:
            return None
        try:
            data = b""
            while len(data) <= limit and (part := os.read(handle, limit + 1 - len(data))):
                data += part
        except OSError as problem:
            raise Unreadable(f"{name} can't be read ({problem.strerror})") from None
        finally:
            os.close(handle)
        if len(data) > limit:
            raise Unreadable(f"{name} is larger than {limit} bytes")
        return data

    def _open(self, name: str) -> int | None:
        """A plain file, opened without following a link and without waiting for a pipe."""
        try:
            handle = os.open(self._folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as problem:
            raise Unreadable(f"{name} can't be opened ({getattr(problem, 'strerror', problem)})") from None
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise Unreadable(f"{name} is not a plain file")
        return handle

    def tile(self, tile: Tile) -> tuple[bytes | None, int]:
        """The bytes of a tile or bundle and its width: the exact file, else a wider one, else the widest narrower."""
        limit = MAX_BUNDLE if tile.level < 0 else WIDTH * HASH
        data = self.read(tile.path, limit)
        if data is not None:
            return data, tile.width
        widths = sorted(self._widths(tile))
        for width in [w for w in widths if w > tile.width] + [w for w in widths if w < tile.width][::-1]:
            data = self.read(Tile(tile.level, tile.number, width).path, limit)
            if data is not None:
                return data, width
        return None, 0

    def _widths(self, tile: Tile) -> set[int]:
        full = Tile(tile.level, tile.number, WIDTH).path
        try:
            with os.scandir(self._folder / f"{full}.p") as entries:
                names = {entry.name for _, entry in zip(range(WIDTH), entries, strict=False)}
        except OSError:
            names = set()
        return {w for w in range(1, WIDTH) if str(w) in names} | {WIDTH}

    def history(self) -> Iterator[bytes]:
        """The notes of the history one by one (a malformed one as it stands). Raises `Unreadable`."""
        handle = self._open("checkpoints")
        if handle is None:
            raise Unreadable("checkpoints is missing")
        with os.fdopen(handle, "rb") as file:
            note, signed = b"", False
            while line := file.readline(MAX_TEXT):
                signature = line.startswith("— ".encode())
                if signed and not signature:
                    yield note
                    note, signed = b"", False
                note += line
                signed = signed or signature
                if len(note) > MAX_TEXT:
                    yield note
                    return
            if note:
                yield note

    def files(self) -> Iterator[str]:
        """Every name in the folder that is not a folder, with its path; links are names and not followed."""
        todo = [""]
        while todo:
            at = todo.pop()
            try:
                with os.scandir(self._folder / at) as entries:
                    for entry in entries:
                        name = f"{at}/{entry.name}" if at else entry.name
                        if entry.is_dir(follow_symlinks=False) and name.count("/") < 16:
                            todo.append(name)
                        else:
                            yield name
            except OSError:
                yield at
