# SPDX-License-Identifier: AGPL-3.0-or-later
"""DKIM signatures of mail that leaves: one RSA and one Ed25519 (RFC 6376, RFC 8463), made when it is carried.

What is stored stays as it came; each attempt signs anew, so mail that waited is signed with the key of today.
Fields that a reader sees are named once more than they are there, so that nobody adds another (RFC 6376 §8.15).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from mailserver.senderauth import canon
from mailserver.senderauth.canon import Field, fields_of
from mailserver.senderauth.keys import SigningKey, SigningKeys
from mailserver.senderauth.sender import author_of

_SEEN = (
    b"from", b"reply-to", b"subject", b"date", b"to", b"cc", b"in-reply-to", b"references", b"message-id",
    b"mime-version", b"content-type", b"content-transfer-encoding",
)  # fmt: skip
_ALSO = (
    b"sender",
    b"resent-from",
    b"resent-to",
    b"resent-date",
    b"list-id",
    b"list-unsubscribe",
    b"auto-submitted",
)
_WIDTH = 72
_NOT_SENT = b"return-path"


def sign_leaving(keys: SigningKeys, message: bytes, at_s: int) -> bytes:
    """``message`` with signatures of its author's domain in front, without Return-Path; as it is when we have no key.

    A message with bare line ends is not signed: another server would see another message.
    """
    fields, start = fields_of(message)
    author = author_of(fields)
    chosen = keys.of(author) if author else ()
    if not chosen or message.count(b"\n") != message.count(b"\r\n"):
        return message
    cut = 0
    while fields and fields[0].name == _NOT_SENT:
        cut += len(fields.pop(0).raw)
    lines = signatures(chosen, fields, memoryview(message)[start:], at_s)
    return b"".join([*lines, message[cut:]])


def signatures(
    keys: Sequence[SigningKey], fields: Sequence[Field], body: bytes | memoryview, at_s: int
) -> list[bytes]:
    """One DKIM-Signature field for each key, relaxed/relaxed."""
    digest = base64.b64encode(hashlib.sha256(canon.body(body, "relaxed")).digest()).decode()
    below: dict[bytes, list[Field]] = {}
    for one in fields:
        below.setdefault(one.name, []).append(one)
    names: list[bytes] = []
    for name in _SEEN:
        names += [name] * (len(below.get(name, ())) + 1)
    for name in _ALSO:
        names += [name] * len(below.get(name, ()))
    hashed = b"".join(canon.header(below[name].pop(), "relaxed") for name in names if below.get(name))
    return [_signature(one, names, hashed, digest, at_s) for one in keys]


def _signature(key: SigningKey, names: Sequence[bytes], hashed: bytes, digest: str, at_s: int) -> bytes:
    value = (
        f" v=1; a={key.algorithm}; c=relaxed/relaxed; d={key.domain}; s={key.selector};\r\n"
        f"\tt={at_s}; {_folded(names)};\r\n\tbh={digest};\r\n\tb="
    )
    field = Field(b"dkim-signature", value.encode(), b"")
    signed = hashed + canon.header(field, "relaxed").removesuffix(b"\r\n")
    if isinstance(key.key, rsa.RSAPrivateKey):
        made = key.key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    else:
        made = key.key.sign(hashlib.sha256(signed).digest())
    text = base64.b64encode(made).decode()
    folded = "\r\n\t ".join(text[at : at + _WIDTH] for at in range(0, len(text), _WIDTH))
    return f"DKIM-Signature:{value}{folded}\r\n".encode()


def _folded(names: Sequence[bytes]) -> str:
    lines, line = [], "h="
    for at, name in enumerate(names):
        word = name.decode() + (":" if at < len(names) - 1 else "")
        if len(line) + len(word) > _WIDTH:
            lines.append(line)
            line = ""
        line += word
    return "\r\n\t ".join([*lines, line])
