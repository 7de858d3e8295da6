# SPDX-License-Identifier: AGPL-3.0-or-later
"""Sealing of everything that is derived from mail and documents and lies on the disk (DESIGN 4.3).

A *master key* (a file of 32 random bytes, outside the backup of the data) wraps two kinds of keys:

* *epochs*: AES-256-GCM keys; the newest seals, all open. A sealed value is
  ``version(1) | epoch(2, big-endian) | nonce(12) | ciphertext+tag``.
* the *digest key*: one for the life of the installation, for keyed digests that find sealed values
  without showing them, and for the names of blobs.

The wrapped keys lie in ``keyring.json`` beside the data.
"""

from __future__ import annotations

import json
import os
import secrets
from collections import deque
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from config.durable import write_durably
from config.refusal import Refused

_VERSION = 1
_NONCE = 12
DIGEST_SIZE = 16


_POOL = 256
_nonces: deque[bytes] = deque()
os.register_at_fork(after_in_child=_nonces.clear)  # parent and child must never use the same one


def fresh_nonce() -> bytes:
    """12 random bytes that were never given before. Taken from the system 256 at a time: asking costs more
    than sealing a row."""
    try:
        return _nonces.popleft()
    except IndexError:
        drawn = os.urandom(_POOL * _NONCE)
        mine = [drawn[at : at + _NONCE] for at in range(0, len(drawn), _NONCE)]
        _nonces.extend(mine[1:])
        return mine[0]


class SealBroken(Refused):
    """A sealed value does not open: it was altered, moved to another place, or its key is gone."""

    def __init__(self) -> None:
        super().__init__(
            "seal-broken",
            "Dữ liệu niêm phong không mở được: đã bị sửa hoặc thiếu khóa. Chạy `congvan verify-data`.",
            "A sealed value does not open: it was altered or its key is missing. Run `congvan verify-data`.",
        )


class Seal:
    """Seals, opens and digests with the keys of one installation. Safe to share between threads."""

    def __init__(self, epochs: dict[int, bytes], digest_key: bytes) -> None:
        if not epochs or len(digest_key) != 32:
            raise ValueError("a seal needs at least one epoch and a 32-byte digest key")
        self._ciphers = {number: AESGCM(key) for number, key in epochs.items()}
        self._newest = max(epochs)
        self._head = bytes([_VERSION]) + self._newest.to_bytes(2, "big")
        self._cipher = self._ciphers[self._newest]
        self._digest_key = digest_key

    @property
    def epoch(self) -> int:
        """The number of the epoch that seals now."""
        return self._newest

    def seal(self, plain: bytes, aad: bytes = b"") -> bytes:
        """``plain`` sealed; ``aad`` names the place it belongs to and is needed again to open it."""
        nonce = fresh_nonce()
        return self._head + nonce + self._cipher.encrypt(nonce, plain, aad)

    def open(self, sealed: bytes, aad: bytes = b"") -> bytes:
        """The plain bytes of ``sealed``. Raises `SealBroken`."""
        if len(sealed) < 3 + _NONCE + 16 or sealed[0] != _VERSION:
            raise SealBroken
        cipher = self._ciphers.get(int.from_bytes(sealed[1:3], "big"))
        if cipher is None:
            raise SealBroken
        try:
            return cipher.decrypt(sealed[3 : 3 + _NONCE], sealed[3 + _NONCE :], aad)
        except InvalidTag:
            raise SealBroken from None

    def seal_text(self, text: str, aad: bytes = b"") -> bytes:
        """`seal` of the UTF-8 form of ``text``."""
        return self.seal(text.encode(), aad)

    def open_text(self, sealed: bytes, aad: bytes = b"") -> str:
        """`open`, read as UTF-8."""
        return self.open(sealed, aad).decode()

    def digest(self, purpose: str, value: bytes) -> bytes:
        """A 16-byte keyed digest of ``value`` for look-ups; different for each ``purpose``."""
        return self._mac(purpose, value)[:DIGEST_SIZE]

    def blob_name(self, data: bytes) -> bytes:
        """The 32-byte keyed name under which the blob ``data`` is stored once."""
        return self._mac("blob", data)

    def new_blob_key(self) -> tuple[AESGCM, bytes]:
        """A fresh cipher for one blob and its wrapped key."""
        key = secrets.token_bytes(32)
        return AESGCM(key), self.seal(key, b"blob-key")

    def blob_key(self, wrapped: bytes) -> AESGCM:
        """The cipher of a blob from its wrapped key. Raises `SealBroken`."""
        return AESGCM(self.open(wrapped, b"blob-key"))

    def _mac(self, purpose: str, value: bytes) -> bytes:
        mac = hmac.HMAC(self._digest_key, hashes.SHA256())
        mac.update(purpose.encode() + b"\0" + value)
        return mac.finalize()


def create_keyring(master_file: Path, ring_file: Path) -> None:
    """Make the master key and the ring of a new installation. Refuses to overwrite either."""
    master = secrets.token_bytes(32)
    write_durably(master_file, master, mode=0o600, exclusive=True)
    wrap = AESGCM(master)
    ring = {
        "version": 1,
        "digest": _wrap(wrap, secrets.token_bytes(32), b"digest"),
        "epochs": {"1": _wrap(wrap, secrets.token_bytes(32), b"epoch 1")},
    }
    write_durably(ring_file, json.dumps(ring, indent=1).encode(), mode=0o600, exclusive=True)


def open_keyring(master_file: Path, ring_file: Path) -> Seal:
    """The `Seal` of an installation. Raises `Refused` when a file is missing or does not fit."""
    try:
        wrap = AESGCM(master_file.read_bytes())
        ring = json.loads(ring_file.read_bytes())
        epochs = {
            int(number): _unwrap(wrap, wrapped, f"epoch {number}".encode())
            for number, wrapped in ring["epochs"].items()
        }
        return Seal(epochs, _unwrap(wrap, ring["digest"], b"digest"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InvalidTag) as problem:
        raise Refused(
            "keyring-unreadable",
            f"Không mở được vòng khóa {ring_file}: kiểm tra tệp khóa chính {master_file}.",
            f"The key ring {ring_file} does not open: check the master key file {master_file}.",
        ) from problem


def _wrap(cipher: AESGCM, key: bytes, name: bytes) -> str:
    nonce = os.urandom(_NONCE)
    return (nonce + cipher.encrypt(nonce, key, name)).hex()


def _unwrap(cipher: AESGCM, wrapped: str, name: bytes) -> bytes:
    raw = bytes.fromhex(wrapped)
    return cipher.decrypt(raw[:_NONCE], raw[_NONCE:], name)
