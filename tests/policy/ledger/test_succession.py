# SPDX-License-Identifier: AGPL-3.0-or-later
"""The key of a log gives way to another: whoever knows one of them verifies all of it, and nobody slips one in."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from config.database import Database
from config.seal import Seal
from policy.ledger.checkpoint import Checkpoint, CheckpointWrong, Key, read, sign
from policy.ledger.store import Sequencer
from policy.ledger.succession import LINE, LogKeys, only_by, succession_of
from policy.ledger.verify import verify
from tests.policy.ledger.logs import KEY, Log, make

SECRETS = [Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (7, 8, 9)]
KEYS = [Key(KEY.name, one.public_key().public_bytes_raw()) for one in SECRETS]
BY_KEY = dict(zip(KEYS, SECRETS, strict=True))


class Renewed(Log):
    """A log whose keys can be renewed."""

    known = LogKeys(KEYS[0])

    def again(self) -> Sequencer:
        self.sequencer = Sequencer(
            self.database, self.folder, lambda: self.known, lambda key, body: BY_KEY[key].sign(body)
        )
        return self.sequencer

    def renew(self, number: int) -> None:
        """The key number ``number`` from now on."""
        self.known = LogKeys(KEYS[number], tuple(KEYS[:number]))


@pytest.fixture
def log(sqlite_database: Database, seal: Seal, tmp_path: Path) -> Renewed:
    plain = make(sqlite_database, seal, tmp_path / "ledger")
    made = Renewed(plain.database, plain.seal, plain.folder, plain.sequencer)
    made.again()
    return made


def history(log: Log) -> bytes:
    return (log.folder / "checkpoints").read_bytes()


def shown(log: Log) -> bytes:
    return (log.folder / "checkpoint").read_bytes()


def kinds(log: Log, key: Key | None = None, seen: tuple[bytes, ...] = ()) -> set[str]:
    return {one.kind for one in verify(log.folder, key, seen).problems}


def test_each_key_leads_to_the_whole_log(log: Renewed) -> None:
    log.grow(5)
    before = shown(log)
    log.renew(1)
    log.grow(3)
    between = shown(log)
    found = succession_of(read(between))
    assert found is not None
    assert (found.size, found.old, found.new) == (8, KEYS[0], KEYS[1])
    assert (log.folder / "log.vkey").read_text().strip() == KEYS[1].vkey
    log.grow(300)
    assert read(shown(log)).signed_by(KEYS[1])
    assert not read(shown(log)).signed_by(KEYS[0])
    log.again()
    log.renew(2)
    log.grow(1, 1)
    report = verify(log.folder)
    assert (report.ok, report.size, report.key) == (True, 310, KEYS[2].vkey), report.problems
    for key in KEYS:
        assert verify(log.folder, key, (before, between, shown(log))).ok
    assert kinds(log, Key(KEY.name, b"x" * 32)) >= {"key-differs"}


def test_nothing_to_sign_waits_for_the_next_entry(log: Renewed) -> None:
    log.grow(2)
    log.renew(1)
    log.sequencer.sequence_once()
    assert read(shown(log)).signed_by(KEYS[0])
    assert verify(log.folder).ok
    log.grow(1)
    assert verify(log.folder, KEYS[1]).ok


def test_what_a_crash_left_is_made_whole(log: Renewed) -> None:
    """After the history was written and before log.vkey was: readers see that it moves, the next round ends it."""
    log.grow(2)
    log.renew(1)
    log.grow(1)
    (log.folder / "log.vkey").write_text(KEYS[0].vkey + "\n")
    assert kinds(log) == {"key-behind"}
    log.again().sequence_once()
    assert verify(log.folder).ok


def test_the_old_key_signs_nothing_afterwards(log: Renewed) -> None:
    log.grow(2)
    log.renew(1)
    log.grow(1, 1)
    state = read(shown(log)).checkpoint
    (log.folder / "checkpoint").write_bytes(sign(state, KEYS[0], SECRETS[0].sign))
    assert "signature-bad" in kinds(log)


@pytest.mark.parametrize("what", ["taken out", "unsigned by the new", "unsigned by the old", "another key"])
def test_a_succession_that_is_not_of_both_is_none(log: Renewed, what: str) -> None:
    log.grow(2)
    first = history(log)
    log.renew(1)
    log.grow(1)
    both = history(log)[len(first) :]
    log.grow(300)
    rest = history(log)[len(first) + len(both) :]
    assert verify(log.folder).ok
    state = read(both).checkpoint
    stranger = Checkpoint(state.origin, state.size, state.root, (f"{LINE} {KEYS[0].vkey} {KEYS[2].vkey}",))
    put = {
        "taken out": b"",
        "unsigned by the new": only_by(both, KEYS[0]),
        "unsigned by the old": only_by(both, KEYS[1]),
        "another key": sign(stranger, KEYS[0], SECRETS[0].sign),
    }[what]
    (log.folder / "checkpoints").write_bytes(first + put + rest)
    assert kinds(log) & {"history-edited", "key-differs", "key-succession"}
    assert kinds(log, KEYS[0]) & {"history-edited", "key-differs", "key-succession"}
    with pytest.raises(CheckpointWrong):
        only_by(both, KEYS[2])
