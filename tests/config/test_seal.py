# SPDX-License-Identifier: AGPL-3.0-or-later
"""Sealed values open only whole, in their place, with their key."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.refusal import Refused
from config.seal import Seal, SealBroken, create_keyring, open_keyring

SEAL = Seal({1: b"k" * 32}, b"d" * 32)


@given(st.binary(max_size=2000), st.binary(max_size=30))
def test_round_trip(plain: bytes, place: bytes) -> None:
    sealed = SEAL.seal(plain, place)
    assert SEAL.open(sealed, place) == plain
    assert plain not in sealed or len(plain) < 4


@given(st.binary(min_size=1, max_size=40), st.data())
def test_one_changed_byte_or_another_place_breaks_it(plain: bytes, data: st.DataObject) -> None:
    sealed = bytearray(SEAL.seal(plain, b"place"))
    with pytest.raises(SealBroken):
        SEAL.open(bytes(sealed), b"elsewhere")
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(SealBroken):
        SEAL.open(bytes(sealed), b"place")


@given(st.binary(max_size=60))
def test_garbage_is_refused(garbage: bytes) -> None:
    with pytest.raises(SealBroken):
        SEAL.open(garbage)


def test_old_epochs_open_and_the_newest_seals() -> None:
    old = SEAL.seal(b"thu")
    both = Seal({1: b"k" * 32, 2: b"n" * 32}, b"d" * 32)
    assert both.open(old) == b"thu"
    with pytest.raises(SealBroken):
        SEAL.open(both.seal(b"moi"))
    assert both.digest("x", b"y") == SEAL.digest("x", b"y") != SEAL.digest("z", b"y")


def test_the_keyring_opens_with_its_master_key_only(tmp_path: Path) -> None:
    master, ring = tmp_path / "master.key", tmp_path / "keyring.json"
    create_keyring(master, ring)
    sealed = open_keyring(master, ring).seal(b"x")
    assert open_keyring(master, ring).open(sealed) == b"x"
    assert oct(master.stat().st_mode & 0o777) == oct(ring.stat().st_mode & 0o777) == "0o600"
    with pytest.raises(FileExistsError):
        create_keyring(master, ring)
    master.write_bytes(b"z" * 32)
    with pytest.raises(Refused) as refused:
        open_keyring(master, ring)
    assert refused.value.code == "keyring-unreadable"
