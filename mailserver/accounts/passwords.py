# SPDX-License-Identifier: AGPL-3.0-or-later
"""How secrets are kept (DESIGN 4.21): a person's own as argon2id, for the web; app passwords as SHA-256.

An app password has 128 random bits or more, so no slow hash is needed in the mail path. Beside its SHA-256
the keys of SCRAM-SHA-256 are kept (RFC 5802 §3, RFC 7677 §3): ``salt(16) | sha256(32) | StoredKey(32) |
ServerKey(32)``. Their salt is one for the installation: a SCRAM server must name it before it knows which of
an account's app passwords is used, and secrets of 128 random bits can't be looked up in tables.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import secrets
import threading

import argon2

from mailserver.accounts import scram

OWN = "own"
APP = "app"
_SALT = 16
_hasher = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_at_once = threading.BoundedSemaphore(2)


def new_app_password() -> str:
    """A fresh app password: 26 letters and digits, 130 random bits, no blanks."""
    return base64.b32encode(secrets.token_bytes(17)).decode()[:26].lower()


def keep(kind: str, password: str) -> bytes:
    """What is stored of ``password`` as a credential of ``kind`` (``own`` or ``app``)."""
    if kind == OWN:
        with _at_once:
            return _hasher.hash(password).encode()
    salt = secrets.token_bytes(_SALT)
    return salt + hashlib.sha256(salt + password.encode()).digest() + b"".join(scram.keys(password))


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


def scram_keys(stored: bytes) -> scram.Keys | None:
    """The SCRAM keys of a kept app password; None of one kept before there were any."""
    keys = stored[_SALT + 32 :]
    return scram.Keys(keys[:32], keys[32:]) if len(keys) == 64 else None


@functools.cache
def _unknown() -> bytes:
    return keep(OWN, secrets.token_hex(8))


def spend_the_time_of_a_check(kind: str, password: str) -> None:
    """Take as long as a real check, so that the clock does not tell whether an account exists."""
    matches(kind, _unknown() if kind == OWN else bytes(_SALT + 32), password)
