# SPDX-License-Identifier: AGPL-3.0-or-later
"""The bytes of one entry, and the commitment inside it. Neither can be changed once entries exist.

A leaf is five lines of ASCII text and an end mark, at most 200 bytes:

    congvan-entry/1
    <index, decimal>
    <kind, e.g. document.sent>
    <time, µs UTC, decimal>
    <base64 of the leaf hash of the entry before (of the empty tree for index 0)>
    <base64 of the commitment>

The index lets a reader see a moved entry without any hash tile; the hash of the entry before lets it name
the one entry that was rewritten even when every tile above was recomputed. The commitment is SHA-256 of
`congvan-commitment/1\\n`, a 16-byte nonce and the canonical JSON of {"detail":…,"subject":…}: with the
nonce the detail can be disclosed and proved; when nonce and detail are erased it says nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

JSON: TypeAlias = "bool | int | str | Sequence[JSON] | Mapping[str, JSON] | None"

MAX_LEAF = 200
MAX_DETAIL = 16 * 1024
NONCE_BYTES = 16
FIRST_PREVIOUS = hashlib.sha256(b"").digest()

_MAGIC = "congvan-entry/1"
_DOMAIN = b"congvan-commitment/1\n"
_KIND = re.compile(r"[a-z][a-z0-9-]*(\.[a-z0-9-]+)*")
_MAX_KIND = 40
_MAX_DEPTH = 16
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
_MAX_INTEGER = 2**53 - 1
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True)
class Leaf:
    """One entry as every holder of the log sees it."""

    index: int
    kind: str
    at_us: int
    previous: bytes
    commitment: bytes

    def encode(self) -> bytes:
        """The leaf's bytes. Raises ValueError when a field is out of range."""
        if not valid_kind(self.kind):
            raise ValueError(f"not a kind of entry: {self.kind!r}")
        if len(self.previous) != 32 or len(self.commitment) != 32:
            raise ValueError("hash and commitment are 32 bytes")
        if not 0 <= self.index < 10**15 or not 0 <= self.at_us < 10**17:
            raise ValueError("index or time out of range")
        return (
            f"{_MAGIC}\n{self.index}\n{self.kind}\n{self.at_us}\n{_b64(self.previous)}\n{_b64(self.commitment)}\n"
        ).encode("ascii")


def decode(data: bytes) -> Leaf:
    """Read a leaf strictly: only the exact bytes that `Leaf.encode` writes. Raises ValueError."""
    if len(data) > MAX_LEAF:
        raise ValueError("entry is longer than 200 bytes")
    try:
        lines = data.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise ValueError("entry is not ASCII text") from None
    if len(lines) != 7 or lines[6] or lines[0] != _MAGIC:
        raise ValueError("not a congvan-entry/1")
    if not (_DECIMAL.fullmatch(lines[1]) and _DECIMAL.fullmatch(lines[3])):
        raise ValueError("index or time is not a plain decimal number")
    leaf = Leaf(int(lines[1]), lines[2], int(lines[3]), _unb64(lines[4]), _unb64(lines[5]))
    if leaf.encode() != data:
        raise ValueError("entry is not in its canonical form")
    return leaf


def valid_kind(kind: str) -> bool:
    """Is this a kind of entry: lower-case words joined by dots and hyphens, at most 40 characters?"""
    return len(kind) <= _MAX_KIND and _KIND.fullmatch(kind) is not None


def canonical(subject: str, detail: Mapping[str, JSON]) -> bytes:
    """The canonical JSON of an entry's content (the part of RFC 8785 without fractions).

    Raises ValueError for fractions, numbers beyond ±(2^53−1), lone surrogates, depth over 16 and more than
    16 KiB.
    """
    data = _JSON(_ordered({"subject": subject, "detail": detail}, 0)).encode("utf-8")
    if len(data) > MAX_DETAIL:
        raise ValueError("detail of an entry is larger than 16 KiB")
    return data


def commit(nonce: bytes, content: bytes) -> bytes:
    """The 32-byte commitment to `content` (canonical JSON) under a 16-byte nonce."""
    if len(nonce) != NONCE_BYTES:
        raise ValueError("nonce is 16 bytes")
    return hashlib.sha256(_DOMAIN + nonce + content).digest()


def _ordered(value: object, depth: int) -> object:
    if depth > _MAX_DEPTH:
        raise ValueError("detail of an entry is nested too deeply")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        value.encode("utf-8")
        return str(value)
    if isinstance(value, int):
        if abs(value) > _MAX_INTEGER:
            raise ValueError("number in the detail of an entry is beyond 2^53-1")
        return int(value)
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("names in the detail of an entry are text")
        return {
            key: _ordered(value[key], depth + 1) for key in sorted(value, key=lambda k: k.encode("utf-16-be"))
        }
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray, memoryview)):
        return [_ordered(item, depth + 1) for item in value]
    raise ValueError(f"{type(value).__name__} can't stand in the detail of an entry")


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _unb64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("hash is not base64") from None
