# SPDX-License-Identifier: AGPL-3.0-or-later
"""CMS encryption: AuthEnvelopedData AES-256-GCM (RFC 5083/5084) and EnvelopedData AES-256-CBC (RFC 5652 §6).

No authenticated attributes are written (they follow the ciphertext but enter the tag). Plaintext comes
out only after the tag is checked. PKCS#1 v1.5 is refused in AuthEnvelopedData; in EnvelopedData a wrong one
yields a random key, so that an answer never tells whether the padding was right (RFC 3218).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from asn1crypto import cms, core
from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from config.refusal import Refused
from exchange.sealing import der
from exchange.sealing.recipients import MAX_RECIPIENTS, CannotOpen, Opener, is_for, recipient_infos
from exchange.sealing.signed import DATA, NotCms

AUTH_ENVELOPED = "1.2.840.113549.1.9.16.1.23"
ENVELOPED = "1.2.840.113549.1.7.3"
_GCM, _CBC = "2.16.840.1.101.3.4.1.46", "2.16.840.1.101.3.4.1.42"


@dataclass(frozen=True, slots=True)
class Opened:
    """The plaintext, the content key (whoever has the evidence may show it) and the recipient infos."""

    content: bytes
    key: bytes
    authenticated: bool
    recipients: tuple[bytes, ...]
    nonce: bytes = b""
    sealed: bytes = b""
    """Ciphertext and tag."""


def encrypt(content: bytes, infos: Sequence[bytes], key: bytes, nonce: bytes | None = None) -> bytes:
    """ContentInfo of AuthEnvelopedData; ``key`` is 32 bytes, fresh for each call, ``nonce`` 12 bytes."""
    nonce = nonce or os.urandom(12)
    sealed = AESGCM(key).encrypt(nonce, content, None)
    return render_auth_enveloped(infos, nonce, sealed)


def render_auth_enveloped(infos: Sequence[bytes], nonce: bytes, sealed: bytes) -> bytes:
    """The DER of an AuthEnvelopedData; ``sealed`` is ciphertext and 16-byte tag."""
    method = der.algorithm(_GCM, der.sequence(der.octets(nonce), der.integer(16)))
    body = der.sequence(
        der.integer(0),
        der.set_of(*infos),
        der.sequence(der.oid(DATA), method, der.implicit(0, sealed[:-16])),
        der.octets(sealed[-16:]),
    )
    return der.sequence(der.oid(AUTH_ENVELOPED), der.explicit(0, body))


def encrypt_for_plain_clients(content: bytes, recipients: Sequence[x509.Certificate]) -> bytes:
    """ContentInfo of EnvelopedData AES-256-CBC, which ordinary mail programs open."""
    key, vector = os.urandom(32), os.urandom(16)
    infos = recipient_infos(recipients, key, plain_client=True)
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
    sealed = encryptor.update(padder.update(content) + padder.finalize()) + encryptor.finalize()
    version = 2 if any(one[0] == 0xA1 for one in infos) else 0
    body = der.sequence(
        der.integer(version),
        der.set_of(*infos),
        der.sequence(der.oid(DATA), der.algorithm(_CBC, der.octets(vector)), der.implicit(0, sealed)),
    )
    return der.sequence(der.oid(ENVELOPED), der.explicit(0, body))


def decrypt(data: bytes, openers: Sequence[Opener]) -> Opened:
    """Open an AuthEnvelopedData or EnvelopedData. Raises ``NotCms`` or ``CannotOpen``."""
    try:
        info = cms.ContentInfo.load(data, strict=True)
        kind = info["content_type"].native
        if kind == "authenticated_enveloped_data":
            return _open_authenticated(info["content"], openers)
        if kind == "enveloped_data":
            return _open_plain(info["content"], openers)
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, OverflowError) as error:
        raise NotCms(str(error)[:200]) from None
    raise NotCms("it is not encrypted data")


def _open_authenticated(body: cms.AuthEnvelopedData, openers: Sequence[Opener]) -> Opened:
    infos = _infos(body)
    content = body["auth_encrypted_content_info"]
    method = content["content_encryption_algorithm"]
    if method["algorithm"].dotted not in (_GCM, "2.16.840.1.101.3.4.1.6", "2.16.840.1.101.3.4.1.26"):
        raise NotCms("content encryption is not AES-GCM")
    parameters = core.Sequence.load(method["parameters"].dump())
    first = parameters[0]
    nonce = first.native if isinstance(first, core.OctetString) else None
    sealed = content["encrypted_content"].native
    tag = body["mac"].native
    attributes = body["auth_attrs"]
    extra = b"\x31" + attributes.dump()[1:] if attributes else None
    if len(tag) != 16 or not isinstance(nonce, bytes) or len(nonce) != 12 or sealed is None:
        raise NotCms("tag or nonce of an unusual length")
    for raw, one in _ours(infos, openers, refuse_v15=True):
        try:
            key = one.unwrap(raw)
            plain = AESGCM(key).decrypt(nonce, sealed + tag, extra)
        except (Refused, InvalidTag, ValueError):
            continue
        return Opened(plain, key, True, tuple(raw for raw, _ in infos), nonce, sealed + tag)
    raise CannotOpen


def _open_plain(body: cms.EnvelopedData, openers: Sequence[Opener]) -> Opened:
    infos = _infos(body)
    content = body["encrypted_content_info"]
    method = content["content_encryption_algorithm"]
    if method["algorithm"].native not in ("aes128_cbc", "aes192_cbc", "aes256_cbc"):
        raise NotCms("content encryption is not AES-CBC")
    length = int(method["algorithm"].native[3:6]) // 8
    vector = method["parameters"].native
    sealed = content["encrypted_content"].native
    if not sealed or len(sealed) % 16 or not isinstance(vector, bytes) or len(vector) != 16:
        raise CannotOpen
    for raw, one in _ours(infos, openers, refuse_v15=False):
        try:
            key = one.unwrap(raw)
        except Refused:
            key = b""
        if len(key) != length:
            key = os.urandom(length)
        decryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).decryptor()
        unpadder = padding.PKCS7(128).unpadder()
        try:
            plain = unpadder.update(decryptor.update(sealed) + decryptor.finalize()) + unpadder.finalize()
        except ValueError:
            continue
        return Opened(plain, key, False, tuple(raw for raw, _ in infos))
    raise CannotOpen


_Infos: TypeAlias = "list[tuple[bytes, cms.RecipientInfo]]"


def _infos(body: core.Sequence) -> _Infos:
    infos = [(one.dump(), one) for one in body["recipient_infos"]]
    if not infos or len(infos) > MAX_RECIPIENTS:
        raise NotCms("no recipients, or too many")
    return infos


def _ours(infos: _Infos, openers: Sequence[Opener], refuse_v15: bool) -> list[tuple[bytes, Opener]]:
    """The (recipient info, opener) pairs worth trying."""
    found = []
    for raw, info in infos:
        if info.name not in ("ktri", "kari"):
            continue
        if info.name == "ktri" and refuse_v15:
            method = info.chosen["key_encryption_algorithm"]["algorithm"].native
            if method != "rsaes_oaep":
                continue
        found += [(raw, one) for one in openers if is_for(info, one.certificate)]
    return found[:64]
