# SPDX-License-Identifier: AGPL-3.0-or-later
"""Checkpoints and keys: the vector of the signed-note format, strictness, garbage."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.ledger.checkpoint import Checkpoint, CheckpointWrong, Key, read, read_signed, sign

SECRET = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = Key("camau.example/ledger", SECRET.public_key().public_bytes_raw())
STATE = Checkpoint("camau.example/ledger", 1234, bytes(range(32)))
TEXT = sign(STATE, KEY, SECRET.sign)

# The example of golang.org/x/mod/sumdb/note.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
QUOTE = (
    b"If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
)
PETERS = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="


def test_key_and_signature_of_the_reference_implementation() -> None:
    key = Key.parse(PETER)
    assert key.vkey == PETER
    line = base64.b64decode(PETERS)
    assert line[:4] == key.hash
    assert key.verify(QUOTE, line[4:])


def test_round_trip() -> None:
    assert read_signed(TEXT, KEY) == STATE
    assert Key.parse(KEY.vkey + "\n") == KEY
    assert TEXT.decode().splitlines()[:3] == [
        "camau.example/ledger",
        "1234",
        base64.b64encode(bytes(range(32))).decode(),
    ]


def test_lines_of_witnesses_are_passed_over() -> None:
    witness = b"\xe2\x80\x94 witness.example " + base64.b64encode(b"\x04" * 80) + b"\n"
    assert read_signed(TEXT + witness, KEY) == STATE
    assert len(read(TEXT + witness).signatures) == 2


def test_a_checkpoint_of_another_log_or_key_is_refused() -> None:
    other = Ed25519PrivateKey.generate()
    key = Key("camau.example/ledger", other.public_key().public_bytes_raw())
    with pytest.raises(CheckpointWrong):
        read_signed(TEXT, key)
    with pytest.raises(CheckpointWrong):
        read_signed(TEXT, Key("elsewhere.example", KEY.public))
    with pytest.raises(ValueError):
        sign(STATE, KEY, other.sign)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n\n",
        TEXT[:-1],
        TEXT.replace(b"1234", b"01234"),
        TEXT.replace(b"1234", b"-1"),
        TEXT.replace(b"1234", b"1235"),
        TEXT.replace(b"\n\n", b"\n"),
        TEXT.replace(b"\n", b"\r\n"),
        TEXT.replace(b"\xe2\x80\x94", b"-"),
        TEXT + b"\n",
        TEXT + TEXT,
        b"\n" + TEXT,
        TEXT * 100,
        b"\xff" + TEXT,
    ],
)
def test_anything_else_is_refused(text: bytes) -> None:
    with pytest.raises(CheckpointWrong):
        read_signed(text, KEY)


@given(st.binary(max_size=400))
@settings(max_examples=300)
def test_garbage_raises_only_its_own_error(data: bytes) -> None:
    with pytest.raises(CheckpointWrong):
        read_signed(data, KEY)


@given(st.integers(0, len(TEXT) - 1), st.integers(1, 255))
@settings(max_examples=300)
def test_no_bit_can_be_changed(at: int, change: int) -> None:
    data = bytearray(TEXT)
    data[at] ^= change
    with pytest.raises(CheckpointWrong):
        read_signed(bytes(data), KEY)


@given(st.text(max_size=120))
def test_garbage_is_no_key(text: str) -> None:
    with pytest.raises(ValueError):
        Key.parse(text)
