# SPDX-License-Identifier: AGPL-3.0-or-later
"""Checkpoints: three lines of text under one or more signatures (C2SP tlog-checkpoint, signed-note).

    <origin>
    <size, decimal>
    <base64 of the root hash>

    — <key name> <base64 of 4 bytes key hash and 64 bytes Ed25519 signature>

Further signature lines (witnesses, a second algorithm such as ML-DSA) may stand below; readers pass over
those of keys they don't know. A public key is written `name+hash+base64` ("vkey").
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from policy.ledger.tree import HASH

ED25519 = 1
MAX_TEXT = 16 * 1024
MAX_SIGNATURES = 32
MAX_NAME = 200

Sign: TypeAlias = Callable[[bytes], bytes]
"""Gives the 64-byte Ed25519 signature of its argument; the key lives in the signer process."""

_DASH = "— "
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_HASH = re.compile(r"[0-9a-f]{8}")


class CheckpointWrong(Exception):
    """A text is no checkpoint, or no known key signed it."""


@dataclass(frozen=True, slots=True)
class Key:
    """A public key with its name. `hash` is SHA-256(name || "\\n" || 0x01 || key)[:4]."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        if not self.name or len(self.name) > MAX_NAME or any(c.isspace() or c == "+" for c in self.name):
            raise ValueError("a key's name has no blanks and no plus sign")
        if len(self.public) != 32:
            raise ValueError("an Ed25519 public key is 32 bytes")

    @property
    def hash(self) -> bytes:
        """The four bytes in front of each signature of this key."""
        typed = bytes([ED25519]) + self.public
        return hashlib.sha256(self.name.encode("utf-8") + b"\n" + typed).digest()[:4]

    @property
    def vkey(self) -> str:
        """The key as text: `name+hash+base64`."""
        typed = base64.b64encode(bytes([ED25519]) + self.public).decode("ascii")
        return f"{self.name}+{self.hash.hex()}+{typed}"

    @classmethod
    def parse(cls, text: str) -> Key:
        """Read a vkey. Raises ValueError."""
        name, plus, rest = text.strip().partition("+")
        hashed, plus2, encoded = rest.partition("+")
        if len(text) > 1000 or not plus or not plus2 or not _HASH.fullmatch(hashed):
            raise ValueError("not a public key of the form name+hash+base64")
        try:
            typed = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("the key is not base64") from None
        if typed[:1] != bytes([ED25519]):
            raise ValueError("not an Ed25519 key")
        key = cls(name, typed[1:])
        if key.hash.hex() != hashed:
            raise ValueError("the hash of the key does not agree with the key")
        return key

    def verify(self, text: bytes, signature: bytes) -> bool:
        """Did this key sign `text`?"""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line."""

    name: str
    key_hash: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a log: its name, how many entries, their root hash."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def body(self) -> bytes:
        """The signed text."""
        lines = [self.origin, str(self.size), base64.b64encode(self.root).decode("ascii"), *self.extensions]
        return ("\n".join(lines) + "\n").encode("utf-8")


@dataclass(frozen=True, slots=True)
class Note:
    """A checkpoint with its signatures, as read; nothing is verified yet."""

    checkpoint: Checkpoint
    body: bytes
    signatures: tuple[Signature, ...]

    def signed_by(self, key: Key) -> bool:
        """Is there a good signature of `key`? A bad one beside a good one counts as bad (signed-note)."""
        ours = [s for s in self.signatures if s.name == key.name and s.key_hash == key.hash]
        return bool(ours) and all(key.verify(self.body, s.value) for s in ours)


def sign(checkpoint: Checkpoint, key: Key, signer: Sign) -> bytes:
    """The signed note. Raises what `signer` raises; ValueError when its answer is not `key`'s signature."""
    body = checkpoint.body()
    signature = signer(body)
    if not key.verify(body, signature):
        raise ValueError("the signer did not sign with the key of the ledger")
    encoded = base64.b64encode(key.hash + signature).decode("ascii")
    return body + f"\n{_DASH}{key.name} {encoded}\n".encode()


def read(text: bytes) -> Note:
    """Read a signed checkpoint strictly, at most 16 KiB and 32 signatures. Raises `CheckpointWrong`."""
    if len(text) > MAX_TEXT:
        raise CheckpointWrong("longer than 16 KiB")
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError:
        raise CheckpointWrong("not UTF-8 text") from None
    if any(ord(c) < 32 and c != "\n" for c in decoded):
        raise CheckpointWrong("control characters in the text")
    body, gap, tail = decoded.rpartition("\n\n")
    if not gap or not tail.endswith("\n"):
        raise CheckpointWrong("no signatures under the text")
    lines = body.split("\n")
    if len(lines) < 3 or not all(lines):
        raise CheckpointWrong("fewer than three lines, or an empty one")
    origin, size, root_text, *extensions = lines
    if not _SIZE.fullmatch(size) or len(origin) > MAX_NAME or origin.startswith(_DASH):
        raise CheckpointWrong("size or origin is not in its form")
    root = _decode(root_text)
    if len(root) != HASH:
        raise CheckpointWrong("the root is not a SHA-256 hash")
    signature_lines = tail[:-1].split("\n")
    if len(signature_lines) > MAX_SIGNATURES:
        raise CheckpointWrong("more than 32 signatures")
    return Note(
        Checkpoint(origin, int(size), root, tuple(extensions)),
        (body + "\n").encode("utf-8"),
        tuple(_signature(line) for line in signature_lines),
    )


def read_signed(text: bytes, key: Key) -> Checkpoint:
    """Read a checkpoint of the log that `key` speaks for. Raises `CheckpointWrong`."""
    note = read(text)
    if note.checkpoint.origin != key.name:
        raise CheckpointWrong(f"it is of another log: {note.checkpoint.origin}")
    if not note.signed_by(key):
        raise CheckpointWrong("the signature is not good")
    return note.checkpoint


def _signature(line: str) -> Signature:
    if not line.startswith(_DASH):
        raise CheckpointWrong("a line under the text is no signature")
    name, blank, encoded = line[len(_DASH) :].partition(" ")
    if not name or not blank or "+" in name or len(name) > MAX_NAME:
        raise CheckpointWrong("a signature line is not in its form")
    value = _decode(encoded)
    if len(value) < 5:
        raise CheckpointWrong("a signature is too short")
    return Signature(name, value[:4], value[4:])


def _decode(text: str) -> bytes:
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise CheckpointWrong("not base64") from None
    if base64.b64encode(value).decode("ascii") != text:
        raise CheckpointWrong("not canonical base64")
    return value
