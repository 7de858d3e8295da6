# SPDX-License-Identifier: AGPL-3.0-or-later
"""SCRAM-SHA-256, the server's side (RFC 5802 §5, RFC 7677 §3): pure, no database, no channel binding."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

ITERATIONS = 4096
_NONCE = 18


class Keys(NamedTuple):
    """What a server keeps of a password."""

    stored: bytes
    server: bytes


class Malformed(Exception):
    """A message that is not one of SCRAM, or asks for what is not offered."""


def keys(password: str, salt: bytes) -> Keys:
    """The keys of a password (normalised, RFC 4013's compatibility form) with the account's salt."""
    prepared = unicodedata.normalize("NFKC", password).encode()
    salted = hashlib.pbkdf2_hmac("sha256", prepared, salt, ITERATIONS)
    client = hmac.digest(salted, b"Client Key", "sha256")
    return Keys(hashlib.sha256(client).digest(), hmac.digest(salted, b"Server Key", "sha256"))


@dataclass(frozen=True, slots=True)
class Challenge:
    """Between the client's two messages. ``name`` is who wants to sign in, ``first`` is sent to the client."""

    name: str
    first: bytes
    _header: bytes
    salt: bytes
    _bare: bytes

    @classmethod
    def of(cls, message: bytes, salt_of: Callable[[str], bytes]) -> Challenge:
        """Answer the client's first message with the salt of the name in it. Raises `Malformed`."""
        pieces = message.split(b",", 2)
        if len(pieces) != 3 or pieces[0] not in (b"n", b"y"):
            raise Malformed("no channel binding is offered")
        header, bare = message[: len(message) - len(pieces[2])], pieces[2]
        fields = bare.split(b",")
        if len(fields) < 2 or not fields[0].startswith(b"n=") or not fields[1].startswith(b"r="):
            raise Malformed("name or nonce is missing")
        nonce = fields[1][2:]
        if not 8 <= len(nonce) <= 256 or not nonce.isascii():
            raise Malformed("the nonce is too short or too long")
        try:
            name = fields[0][2:].decode("utf-8").replace("=2C", ",").replace("=3D", "=")
            authorised = pieces[1].decode("utf-8").removeprefix("a=")
        except UnicodeDecodeError as problem:
            raise Malformed("not UTF-8") from problem
        if not name or (authorised and authorised.lower() != name.lower()):
            raise Malformed("acting as another account is not possible")
        whole = nonce + base64.b64encode(secrets.token_bytes(_NONCE))
        salt = salt_of(name)
        first = b"r=%b,s=%b,i=%d" % (whole, base64.b64encode(salt), ITERATIONS)
        return cls(name, first, header, salt, bare)

    def proof(self, message: bytes) -> Proof:
        """Read the client's final message. Raises `Malformed`."""
        without, mark, last = message.rpartition(b",p=")
        fields = without.split(b",")
        nonce = self.first.partition(b",")[0]
        try:
            proof = base64.b64decode(last, validate=True)
            header = base64.b64decode(fields[0][2:], validate=True)
        except binascii.Error as problem:
            raise Malformed("not base64") from problem
        if not mark or len(fields) < 2 or fields[0][:2] != b"c=" or len(proof) != 32:
            raise Malformed("binding, nonce or proof is missing")
        if header != self._header or fields[1] != nonce:
            raise Malformed("binding or nonce is another one")
        return Proof(proof, self.salt, b",".join((self._bare, self.first, without)))


@dataclass(frozen=True, slots=True)
class Proof:
    """What the client proves that it knows, over all that was said."""

    _proof: bytes
    salt: bytes
    _said: bytes

    def fits(self, kept: Keys) -> bool:
        """Whether it is the password of these keys."""
        signature = hmac.digest(kept.stored, self._said, "sha256")
        client = bytes(one ^ other for one, other in zip(self._proof, signature, strict=True))
        return hmac.compare_digest(hashlib.sha256(client).digest(), kept.stored)

    def answer(self, kept: Keys) -> bytes:
        """The server's final message: it knows the password too."""
        return b"v=" + base64.b64encode(hmac.digest(kept.server, self._said, "sha256"))

    @property
    def mark(self) -> str:
        """For the throttle: one guess."""
        return self._proof.hex()
