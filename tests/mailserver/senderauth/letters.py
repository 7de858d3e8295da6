# SPDX-License-Identifier: AGPL-3.0-or-later
"""Letters signed for the tests, with the records that their domains publish."""

from __future__ import annotations

import base64
import hashlib

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

Key = rsa.RSAPrivateKey | Ed25519PrivateKey

LETTER = (
    b"From: =?utf-8?B?U+G7nyBO4buZaSB24bul?= <vanthu@dongnai.example>\r\n"
    b"To: cv1@vpubnd.camau.example\r\n"
    b"Subject: Gop  y du thao\r\n"
    b"Date: Tue, 24 Nov 2026 08:00:00 +0700\r\n"
    b"Message-ID: <1@dongnai.example>\r\n"
    b"\r\n"
    b"Kinh gui Van phong,  \r\n\r\nXin gop y.\r\n\r\n\r\n"
)


def record(key: Key, extra: str = "") -> str:
    """The key record for the DNS."""
    if isinstance(key, rsa.RSAPrivateKey):
        raw = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return f"v=DKIM1; k=rsa; {extra}p={base64.b64encode(raw).decode()}"
    raw = key.public_key().public_bytes_raw()
    return f"v=DKIM1; k=ed25519; {extra}p={base64.b64encode(raw).decode()}"


def signed(
    letter: bytes,
    key: Key,
    *,
    domain: str = "dongnai.example",
    names: str = "from:to:subject:date",
    tags: str = "",
) -> bytes:
    """A letter with a signature written independently of the program's: relaxed/simple, ``tags`` as given."""
    head, _, body = letter.partition(b"\r\n\r\n")
    body = body.rstrip(b"\r\n") + b"\r\n"
    length = next((int(one[2:]) for one in tags.split("; ") if one.startswith("l=")), len(body))
    algorithm = "rsa-sha256" if isinstance(key, rsa.RSAPrivateKey) else "ed25519-sha256"
    digest = base64.b64encode(hashlib.sha256(body[:length]).digest()).decode()
    value = (
        f" v=1; a={algorithm}; c=relaxed/simple; d={domain}; s=s1; {tags + '; ' if tags else ''}"
        f"h={names};\r\n\tbh={digest};\r\n\tb="
    )
    lines = head.split(b"\r\n")
    hashed = b""
    for name in names.split(":"):
        for line in reversed(lines):
            if line.lower().startswith(name.encode() + b":"):
                lines.remove(line)
                field, _, text = line.partition(b":")
                hashed += field.lower() + b":" + b" ".join(text.split()) + b"\r\n"
                break
    hashed += b"dkim-signature:" + b" ".join(value.encode().split())
    if isinstance(key, rsa.RSAPrivateKey):
        made = key.sign(hashed, padding.PKCS1v15(), hashes.SHA256())
    else:
        made = key.sign(hashlib.sha256(hashed).digest())
    return b"DKIM-Signature:" + value.encode() + base64.b64encode(made) + b"\r\n" + letter
