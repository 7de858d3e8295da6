# SPDX-License-Identifier: AGPL-3.0-or-later
"""How secrets are kept (DESIGN 4.21): a person's own as argon2id, for the web; app passwords as SHA-256.

An app password has 128 random bits or more, so no slow hash is needed in the mail path. Beside its SHA-256
the keys of SCRAM-SHA-256 are kept (RFC 5802 §3, RFC 7677 §3): ``salt(16) | sha256(32) | SCRAM salt(16) |
StoredKey(32) | ServerKey(32)``. The SCRAM salt is one for an account, as a server must name it before it knows
which of the account's app passwords is used; an address that is nobody's has one too. What was kept without
keys of this salt gets them when the password is next used in plain (`Accounts.authenticate`).
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import secrets
import threading

import argon2

from config.refusal import Refused
from config.seal import Seal
from mailserver.accounts import scram
from mailserver.accounts.model import canonical

OWN = "own"
APP = "app"
_SALT = 16
_hasher = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_at_once = threading.BoundedSemaphore(2)


def new_app_password() -> str:
    """A fresh app password: 26 letters and digits, 130 random bits, no blanks."""
    return base64.b32encode(secrets.token_bytes(17)).decode()[:26].lower()


def scram_salt(seal: Seal, address: str) -> bytes:
    """The salt of the account with this address: 16 octets that only the installation can compute."""
    try:
        name = canonical(address)
    except Refused:
        name = address[:254].lower()
    return seal.digest("scram-salt", name.encode())


def keep(kind: str, password: str, salt: bytes = b"") -> bytes:
    """What is stored of ``password`` as a credential of ``kind`` (``own`` or ``app``).

    ``salt`` is the account's `scram_salt`; without it an app password opens SCRAM only after a plain sign-in.
    """
    if kind == OWN:
        with _at_once:
            return _hasher.hash(password).encode()
    own = secrets.token_bytes(_SALT)
    kept = own + hashlib.sha256(own + password.encode()).digest()
    return with_keys(kept, password, salt) if salt else kept


def with_keys(stored: bytes, password: str, salt: bytes) -> bytes:
    """A kept app password with its SCRAM keys."""
    return stored[: _SALT + 32] + salt + b"".join(scram.keys(password, salt))


def matches(kind: str, stored: bytes, password: str) -> bool:
    """Whether ``password`` is the one that was stored."""
    if kind == OWN:
        with _at_once:
            try:
                return _hasher.verify(stored.decode(), password)
            except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
                return False
    digest = hashlib.sha256(stored[:_SALT] + password.encode()).digest()
    return hmac.compare_digest(digest, stored[_SALT : _SALT + 32])


def scram_keys(stored: bytes, salt: bytes) -> scram.Keys | None:
    """The SCRAM keys of a kept app password; None of one kept without them, or with another salt."""
    named, keys = stored[_SALT + 32 : _SALT + 48], stored[_SALT + 48 :]
    return scram.Keys(keys[:32], keys[32:]) if len(keys) == 64 and named == salt else None


@functools.cache
def _unknown() -> bytes:
    return keep(OWN, secrets.token_hex(8))


def spend_the_time_of_a_check(kind: str, password: str) -> None:
    """Take as long as a real check, so that the clock does not tell whether an account exists."""
    matches(kind, _unknown() if kind == OWN else bytes(_SALT + 32), password)
