# SPDX-License-Identifier: AGPL-3.0-or-later
"""The published folder: `tile/…`, `checkpoint`, `checkpoints` (history), `log.vkey`.

Files are written in a staging folder beside it, made durable and renamed in, so the folder never shows a part of a
file. The one exception is the history, which is appended to; a torn last line is cut off before the next.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, select

from config.durable import sync_folder
from policy.ledger import schema
from policy.ledger.checkpoint import Checkpoint, CheckpointWrong, read_signed
from policy.ledger.integrate import LedgerDisagrees, TreeReader, leaves_of
from policy.ledger.succession import LogKeys
from policy.ledger.tiles import ENTRIES, Tile, edge, encode_bundle, fresh, parse_path, width_of
from policy.ledger.tree import leaf_hash

CHECKPOINT = "checkpoint"
HISTORY = "checkpoints"
VKEY = "log.vkey"
_TAIL = 64 * 1024


class Folder:
    """One log's folder. Not safe for two writers: the sequencer's lease and lock see to that."""

    def __init__(self, path: Path, keys: LogKeys) -> None:
        self._path = path
        self._staging = path.with_name(path.name + ".staging")
        self.keys = keys
        self._shown: bytes | None = None
        self._history: int | None = None
        self._swept = False
        self._prepared = False

    def published(self) -> bytes | None:
        """The text of the folder's checkpoint, None when there is none yet."""
        self._prepare()
        try:
            return (self._path / CHECKPOINT).read_bytes()
        except FileNotFoundError:
            return None

    def read_checkpoint(self, text: bytes) -> Checkpoint:
        """The folder's own checkpoint, verified. Raises `LedgerDisagrees`."""
        try:
            return self._ours(text)
        except CheckpointWrong as problem:
            raise LedgerDisagrees(f"the folder's checkpoint: {problem}") from None

    def _ours(self, text: bytes) -> Checkpoint:
        """A checkpoint that one of our keys signed. Raises `CheckpointWrong`."""
        return read_signed(text, self.keys.signer_of(text))

    def show_key(self, text: bytes) -> None:
        """``log.vkey`` is the newest key that signed the published checkpoint ``text`` (after its line of history)."""
        vkey = (self.keys.signer_of(text).vkey + "\n").encode("utf-8")
        if self._shown != vkey:
            self._write(VKEY, vkey)
            self._shown = vkey

    def publish(self, conn: Connection, size: int, text: bytes) -> None:
        """Bring the folder from where it is to the signed state `text` of `size` entries (steps 4 to 6)."""
        shown = self.published()
        old = 0 if shown is None else self.read_checkpoint(shown).size
        tree = TreeReader(conn)
        for tile in fresh(old, size):
            self._write(tile.path, _content(conn, tree, tile))
        self._write(CHECKPOINT, text)
        self.complete(conn, size)
        self._sweep(old, size)

    def complete(self, conn: Connection, size: int) -> None:
        """Add the lines of history that are missing."""
        if self._history == size:
            return
        last = self._mend_history(conn) if self._history is None else self._history
        c = schema.checkpoint.c
        rows = conn.execute(
            select(c.text).where(c.kept, c.size > last, c.size <= size).order_by(c.size)
        ).all()
        if rows:
            with open(self._path / HISTORY, "ab") as file:
                file.write(b"".join(bytes(row.text) for row in rows))
                file.flush()
                os.fsync(file.fileno())
            sync_folder(self._path)
        self._history = size

    def _prepare(self) -> None:
        if self._prepared:
            return
        self._path.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._staging, ignore_errors=True)
        self._staging.mkdir(exist_ok=True)
        known = [(one.vkey + "\n").encode("utf-8") for one in self.keys.all]
        try:
            self._shown = (self._path / VKEY).read_bytes()
            if self._shown not in known:
                raise LedgerDisagrees(f"{VKEY} in the folder is another key")
        except FileNotFoundError:
            self._write(VKEY, known[0])
            self._shown = known[0]
        self._prepared = True

    def _write(self, name: str, data: bytes) -> None:
        target = self._path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = self._staging / "next"
        with open(aside, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, target)
        sync_folder(target.parent)

    def _mend_history(self, conn: Connection) -> int:
        """Cut a torn end off the history; gives the size of its last checkpoint, -1 when it is empty."""
        path = self._path / HISTORY
        if not path.exists():
            return -1
        with open(path, "r+b") as file:
            end = file.seek(0, os.SEEK_END)
            start = max(0, end - _TAIL)
            file.seek(start)
            tail = file.read(_TAIL)
            for at in _starts(tail, self.keys.present.name, start == 0):
                try:
                    state = self._ours(tail[at:])
                except CheckpointWrong:
                    tail = tail[:at]
                    continue
                if start + len(tail) != end:
                    file.truncate(start + len(tail))
                    os.fsync(file.fileno())
                c = schema.checkpoint.c
                known = conn.execute(select(c.text).where(c.size == state.size, c.kept)).scalar_one_or_none()
                if known is None or bytes(known) != tail[at:]:
                    raise LedgerDisagrees(f"the history shows a checkpoint of {state.size} that is not known")
                return state.size
            if start:
                raise LedgerDisagrees("the end of the history can't be read")
            file.truncate(0)
            os.fsync(file.fileno())
            return -1

    def _sweep(self, old: int, size: int) -> None:
        """Take away the partial tiles that wider or full ones replaced; readers know to take those instead."""
        if self._swept:
            folders = {(self._path / tile.path).parent for tile in (*edge(old), *edge(size))}
        else:
            folders = {Path(at) for at, _, _ in os.walk(self._path / "tile") if at.endswith(".p")}
            self._swept = True
        for folder in folders:
            names = os.listdir(folder) if folder.is_dir() else []
            for name in names:
                tile = parse_path((folder / name).relative_to(self._path).as_posix())
                if tile is not None and tile.width < width_of(tile.level, tile.number, size):
                    (folder / name).unlink()
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def _content(conn: Connection, tree: TreeReader, tile: Tile) -> bytes:
    if tile.level == ENTRIES:
        leaves = leaves_of(conn, tile.number, tile.width)
        if [leaf_hash(leaf) for leaf in leaves] != tree.tile(0, tile.number)[: tile.width]:
            raise LedgerDisagrees(f"an entry of bundle {tile.number} is not what was hashed")
        return encode_bundle(leaves)
    hashes = tree.tile(tile.level, tile.number)[: tile.width]
    if len(hashes) != tile.width:
        raise LedgerDisagrees(f"hashes of {tile.path} are missing")
    return b"".join(hashes)


def _starts(tail: bytes, origin: str, whole: bool) -> Iterator[int]:
    """Where notes begin in `tail`, last first."""
    line = origin.encode("utf-8") + b"\n"
    at = len(tail)
    while (at := tail.rfind(b"\n" + line, 0, at)) >= 0:
        yield at + 1
    if whole and tail.startswith(line):
        yield 0
