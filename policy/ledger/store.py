# SPDX-License-Identifier: AGPL-3.0-or-later
"""The sequencer: one at a time (a lease) gives indexes, has checkpoints signed and publishes the folder.

The order of writing is the safety argument. After a crash *after* step
  1 integrate   entries have indexes; the next round signs them
  2 sign        a checkpoint that nobody saw; the next round signs the same tree or a longer one
  3 keep        the database holds the signed checkpoint; the next round publishes it
  4 tiles       files that no checkpoint covers yet; the next round writes the same bytes again
  5 checkpoint  the folder shows the new state; the next round adds the line of history
  6 history     older partial tiles still lie there; the next round takes them away
so every round is also the recovery. The folder only moves forward: when its checkpoint is not a checkpoint of a
beginning of the database's tree, nothing is signed or written (`LedgerDisagrees`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, delete, insert, select

from config.clock import now_us
from config.database import Database
from policy.ledger import schema
from policy.ledger.checkpoint import Checkpoint, CheckpointWrong, Key, sign
from policy.ledger.integrate import BATCH, LedgerDisagrees, TreeReader, integrate, prove, tree_size
from policy.ledger.publish import Folder
from policy.ledger.receipt import Proof
from policy.ledger.succession import LogKeys, hand_over
from policy.ledger.tiles import WIDTH
from policy.ledger.tree import root

KEEP_EVERY_US = 60_000_000
"""History gets a checkpoint when a bundle was filled or a minute passed since its last line."""

_ROUND = 20 * BATCH


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint that was signed and kept."""

    size: int
    root: bytes
    text: bytes


class Sequencer:
    """Blocking; call `sequence_once` about once a second while holding the lease, from one thread."""

    def __init__(
        self,
        database: Database,
        folder: Path,
        keys: Callable[[], LogKeys],
        signer: Callable[[Key, bytes], bytes],
    ) -> None:
        """``keys`` is asked each round; ``signer`` gives the signature of one of them over a checkpoint's body."""
        self._database = database
        self._keys = keys
        self._folder = Folder(folder, keys())
        self._sign = signer
        self._turn = threading.Lock()

    def sequence_once(self) -> int:
        """One round: integrate what is pending, sign, publish; gives how many entries got an index.

        Raises `LedgerDisagrees`, what the signer raises, OSError of the folder; the next round goes on from there.
        """
        with self._turn:
            taken = 0
            while taken < _ROUND and self._waiting():
                count = self._database.write(integrate)
                taken += count
                if count < BATCH:
                    break
            self._advance()
            return taken

    def proof(self, index: int) -> Proof:
        """See `integrate.prove`."""
        with self._database.reading() as conn:
            return prove(conn, index)

    def _waiting(self) -> bool:
        with self._database.reading() as conn:
            return conn.execute(select(schema.pending.c.id).limit(1)).first() is not None

    def _advance(self) -> None:
        keys = self._folder.keys = self._keys()
        with self._database.reading() as conn:
            size, frontier = tree_size(conn)
            newest = _newest(conn)
            published = self._folder.published()
            if newest is not None and newest.size == size and published == newest.text:
                self._folder.complete(conn, size)
                self._folder.show_key(newest.text)
                return
            tree = TreeReader(conn)
            self._check(tree, size, newest, published)
            behind = newest is None or size > newest.size
            root_hash = root(size, tree) if behind else b""
            if behind and frontier.root() != root_hash:
                raise LedgerDisagrees("the frontier leads to another root than the entries")
        if behind:
            state, text = self._signed(size, root_hash, newest, keys)
            self._database.write(lambda conn: _keep(conn, state, text))
        with self._database.reading() as conn:
            newest = _newest(conn)
            if newest is None:
                raise LedgerDisagrees("the checkpoint just signed is gone")
            self._folder.publish(conn, newest.size, newest.text)
            self._folder.show_key(newest.text)

    def _signed(
        self, size: int, root_hash: bytes, newest: Signed | None, keys: LogKeys
    ) -> tuple[Checkpoint, bytes]:
        """The next checkpoint with its note; where the key was renewed, the one at which the old key gives way."""
        try:
            last = keys.present if newest is None else keys.signer_of(newest.text)
        except CheckpointWrong as problem:
            raise LedgerDisagrees(f"the newest checkpoint: {problem}") from None
        new = keys.present
        if last != new:
            return hand_over(size, root_hash, last, new, partial(self._sign, last), partial(self._sign, new))
        state = Checkpoint(new.name, size, root_hash)
        return state, sign(state, new, partial(self._sign, new))

    def _check(
        self,
        tree: TreeReader,
        size: int,
        newest: Signed | None,
        published: bytes | None,
    ) -> None:
        """The newest signed checkpoint and the folder's are both beginnings of the tree."""
        signed = 0
        if newest is not None:
            signed = newest.size
            if signed > size:
                raise LedgerDisagrees(f"{signed} entries are signed, the database has {size}")
            if root(signed, tree) != newest.root:
                raise LedgerDisagrees(
                    f"the first {signed} entries in the database are not those that were signed"
                )
        if published is None:
            return
        shown = self._folder.read_checkpoint(published)
        if newest is None or shown.size > signed:
            raise LedgerDisagrees(f"the folder shows {shown.size} entries, the database signed {signed}")
        if root(shown.size, tree) != shown.root:
            raise LedgerDisagrees(f"the folder shows other entries among its first {shown.size}")


def newest_checkpoint(conn: Connection) -> bytes | None:
    """The text of the newest signed checkpoint."""
    row = _newest(conn)
    return None if row is None else row.text


def _newest(conn: Connection) -> Signed | None:
    c = schema.checkpoint.c
    row = conn.execute(select(c.size, c.root, c.text).order_by(c.size.desc()).limit(1)).one_or_none()
    return None if row is None else Signed(int(row[0]), bytes(row[1]), bytes(row[2]))


def _keep(conn: Connection, state: Checkpoint, text: bytes) -> None:
    c = schema.checkpoint.c
    now = now_us()
    last = conn.execute(select(c.size, c.at_us).where(c.kept).order_by(c.size.desc()).limit(1)).one_or_none()
    kept = (
        bool(state.extensions)
        or last is None
        or last.size // WIDTH != state.size // WIDTH
        or now - last.at_us >= KEEP_EVERY_US
    )
    conn.execute(delete(schema.checkpoint).where(~c.kept))
    conn.execute(
        insert(schema.checkpoint).values(size=state.size, root=state.root, text=text, at_us=now, kept=kept)
    )
