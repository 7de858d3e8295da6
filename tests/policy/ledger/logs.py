# SPDX-License-Identifier: AGPL-3.0-or-later
"""A log with a key of its own, for the tests of this folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from config.database import Database
from config.seal import Seal
from policy.ledger.checkpoint import Key
from policy.ledger.entries import PendingId, record
from policy.ledger.store import Sequencer
from policy.ledger.succession import LogKeys

SECRET = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
KEY = Key("test.example/ledger", SECRET.public_key().public_bytes_raw())


def keys() -> LogKeys:
    """The log's only key."""
    return LogKeys(KEY)


def signed(_: Key, body: bytes) -> bytes:
    """By that key."""
    return SECRET.sign(body)


@dataclass
class Log:
    """The parts of a log under test."""

    database: Database
    seal: Seal
    folder: Path
    sequencer: Sequencer

    def write(self, count: int, kind: str = "mail.accepted") -> list[PendingId]:
        """Record `count` entries in one transaction."""
        return self.database.write(
            lambda conn: [
                record(
                    conn, self.seal, kind, f"m{i}@camau.example", {"n": i}, at_us=1_700_000_000_000_000 + i
                )
                for i in range(count)
            ]
        )

    def grow(self, *counts: int) -> None:
        """Record and publish in as many rounds as there are counts."""
        for count in counts:
            self.write(count)
            self.sequencer.sequence_once()

    def again(self) -> Sequencer:
        """A sequencer of a new process."""
        self.sequencer = Sequencer(self.database, self.folder, keys, signed)
        return self.sequencer


def make(database: Database, seal: Seal, folder: Path) -> Log:
    """An empty log."""
    return Log(database, seal, folder, Sequencer(database, folder, keys, signed))
