# SPDX-License-Identifier: AGPL-3.0-or-later
"""CMS encryption: AuthEnvelopedData AES-256-GCM (RFC 5083/5084) and EnvelopedData AES-256-CBC (RFC 5652 §6).

Written and read as streams, so that memory does not grow with the content. No authenticated attributes are
written: they follow the ciphertext but enter the tag, so a reader who meets them goes over the file twice.
Plaintext counts only after the tag (or padding) is checked: whoever calls ``open_stream`` throws away what was
written when it raises (``sealed_file`` writes into quarantine and renames it afterwards).

PKCS#1 v1.5 is refused in AuthEnvelopedData; in EnvelopedData a wrong one yields a random key, so that an
answer never tells whether the padding was right (RFC 3218).
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from io import BufferedIOBase

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from config.refusal import Refused
from exchange.sealing import der
from exchange.sealing.ber import CHUNK, Buffer, Malformed, Node, Readable, Stream, pieces_of
from exchange.sealing.recipients import (
    MAX_RECIPIENTS,
    CannotOpen,
    Opener,
    by_pkcs1_v15,
    is_for,
    recipient_infos,
)
from exchange.sealing.signed import DATA, NotCms

AUTH_ENVELOPED = "1.2.840.113549.1.9.16.1.23"
ENVELOPED = "1.2.840.113549.1.7.3"
_GCM = {"2.16.840.1.101.3.4.1.6": 16, "2.16.840.1.101.3.4.1.26": 24, "2.16.840.1.101.3.4.1.46": 32}
_CBC = {"2.16.840.1.101.3.4.1.2": 16, "2.16.840.1.101.3.4.1.22": 24, "2.16.840.1.101.3.4.1.42": 32}
_GCM_256, _CBC_256 = "2.16.840.1.101.3.4.1.46", "2.16.840.1.101.3.4.1.42"
TAG, _MAX_KEYS, _MAX_PAIRS = 16, 4, 64
MAX_SMALL = 64 * 1024
MAX_INFO = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Opened:
    """What opening told. ``content`` is the plaintext unless it went into a file.

    ``key``: the content key (whoever has the evidence may show it). ``recipients``: the RecipientInfos.
    ``authenticated``: a tag covers it. ``canonical``: it is byte for byte what ``seal_stream`` writes.
    """

    key: bytes
    authenticated: bool
    recipients: tuple[bytes, ...]
    canonical: bool
    content: bytes = b""


def encrypt(content: bytes, infos: Sequence[bytes], key: bytes, nonce: bytes | None = None) -> bytes:
    """ContentInfo of AuthEnvelopedData; ``key`` is 32 bytes, fresh for each call, ``nonce`` 12 bytes."""
    nonce = nonce or os.urandom(12)
    head, size = _gcm_head(infos, nonce, len(content)), len(content)
    whole = io.BytesIO()
    whole.seek(len(head) + size + 1 + TAG)
    whole.write(b"\0")
    with whole.getbuffer() as view:  # encrypted in place: of a large packet no second copy is made
        view[: len(head)] = head
        sealed = view[len(head) : len(head) + size + TAG]
        AESGCM(key).encrypt_into(nonce, content, None, sealed)
        view[len(head) + size :] = der.octets(bytes(sealed[-TAG:]))
        sealed.release()
    return whole.getvalue()


def seal_stream(
    source: Readable,
    size: int,
    target: BufferedIOBase,
    infos: Sequence[bytes],
    key: bytes,
    nonce: bytes | None = None,
) -> None:
    """Write the AuthEnvelopedData of the ``size`` bytes that ``source`` gives. Raises ``ValueError`` when it gives others."""
    nonce = nonce or os.urandom(12)
    encryptor = Cipher(algorithms.AES(key), modes.GCM(nonce)).encryptor()
    target.write(_gcm_head(infos, nonce, size))
    buffer = bytearray(CHUNK + 16)
    left = size
    for piece in pieces_of(source):
        left -= len(piece)
        if left < 0:
            break
        count = encryptor.update_into(piece, buffer)
        target.write(memoryview(buffer)[:count])
    if left:
        raise ValueError("the source is not as long as it was said to be")
    target.write(encryptor.finalize())
    target.write(der.octets(encryptor.tag))


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
        der.sequence(der.oid(DATA), der.algorithm(_CBC_256, der.octets(vector)), der.implicit(0, sealed)),
    )
    return der.sequence(der.oid(ENVELOPED), der.explicit(0, body))


def decrypt(data: bytes, openers: Sequence[Opener]) -> Opened:
    """Open an AuthEnvelopedData or EnvelopedData. Raises ``NotCms`` or ``CannotOpen``."""
    target = io.BytesIO()
    opened = open_stream(io.BytesIO(data), openers, target)
    return replace(opened, content=target.getvalue())


def open_stream(source: BufferedIOBase, openers: Sequence[Opener], target: BufferedIOBase) -> Opened:
    """Open what ``source`` (seekable) holds into ``target`` (seekable, empty).

    What stands in ``target`` counts only when this returns. Raises ``NotCms`` or ``CannotOpen``.
    """
    try:
        head = read_head(Stream(source))
        keys = content_keys(head, openers)
        for key in keys:
            attributes: bytes | None = None
            for _ in range(2):
                source.seek(0)
                target.seek(0)
                target.truncate()
                found = _one_pass(Stream(source), head, key, attributes, target)
                if not isinstance(found, bytes):
                    break
                attributes = found
            if isinstance(found, int):
                canonical = head.authenticated and is_as_written(source, head, found)
                return Opened(key, head.authenticated, tuple(one.raw for one in head.infos), canonical)
    except (Malformed, ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
        raise NotCms(str(error)[:200] if isinstance(error, Malformed) else "damaged") from None
    finally:
        source.seek(0)
    raise CannotOpen


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before the ciphertext. ``start``: nonce or initialisation vector."""

    authenticated: bool
    infos: tuple[Node, ...]
    length: int
    start: bytes


def read_head(stream: Stream) -> Head:
    """Reads to the ciphertext; ``stream`` stands in the encrypted content info then."""
    stream.enter(der.SEQUENCE)
    kind = stream.whole(64).oid()
    if kind not in (AUTH_ENVELOPED, ENVELOPED):
        raise NotCms("it is not encrypted data")
    authenticated = kind == AUTH_ENVELOPED
    stream.enter(0xA0)
    stream.enter(der.SEQUENCE)
    stream.whole(MAX_SMALL).integer()
    if stream.peek() == 0xA0:
        stream.whole(MAX_INFO)  # certificates of the originator: of no use to us
    stream.enter(der.SET)
    infos: list[Node] = []
    while stream.peek() != -1:
        infos.append(stream.whole(MAX_INFO))
        if len(infos) > MAX_RECIPIENTS:
            break
    if not 0 < len(infos) <= MAX_RECIPIENTS:
        raise NotCms("no recipients, or too many")
    stream.leave()
    stream.enter(der.SEQUENCE)
    stream.whole(MAX_SMALL).oid()
    name, parameters = stream.whole(MAX_SMALL).must(der.SEQUENCE).children()
    length = (_GCM if authenticated else _CBC).get(name.oid())
    if length is None:
        raise NotCms(f"content encryption is not AES-{'GCM' if authenticated else 'CBC'}")
    start = parameters.children()[0].octets() if authenticated else parameters.octets()
    if len(start) != (12 if authenticated else 16):
        raise NotCms("tag or nonce of an unusual length")
    return Head(authenticated, tuple(infos), length, start)


def content_keys(head: Head, openers: Sequence[Opener]) -> list[bytes]:
    """The content keys worth trying; without any in EnvelopedData a random one, so that the work is the same."""
    keys: list[bytes] = []
    pairs, for_us = 0, False
    for info in head.infos:
        if info.tag not in (der.SEQUENCE, 0xA1) or (head.authenticated and by_pkcs1_v15(info)):
            continue
        for opener in openers:
            if pairs >= _MAX_PAIRS or len(keys) >= _MAX_KEYS or not is_for(info, opener.certificate):
                continue
            pairs, for_us = pairs + 1, True
            try:
                key = opener.unwrap(info.raw)
            except Refused:
                continue
            if len(key) == head.length and key not in keys:
                keys.append(key)
    if not keys and for_us and not head.authenticated:
        return [os.urandom(head.length)]
    return keys


def _one_pass(
    stream: Stream, head: Head, key: bytes, attributes: bytes | None, target: BufferedIOBase
) -> int | bytes | None:
    """The length of the ciphertext when it was right, the attributes that must be known before, or ``None``."""
    read_head(stream)
    if stream.peek() not in (0x80, 0xA0):
        raise Malformed("the content is not there")
    pieces = stream.string(0x80)
    return (
        _gcm_pass(stream, head, key, attributes, pieces, target)
        if head.authenticated
        else _cbc_pass(stream, head, key, pieces, target)
    )


def _gcm_pass(
    stream: Stream,
    head: Head,
    key: bytes,
    attributes: bytes | None,
    pieces: Iterator[Buffer],
    target: BufferedIOBase,
) -> int | bytes | None:
    decryptor = Cipher(algorithms.AES(key), modes.GCM(head.start)).decryptor()
    if attributes is not None:
        decryptor.authenticate_additional_data(attributes)
    buffer = bytearray(CHUNK + 16)
    total = 0
    for piece in pieces:
        count = decryptor.update_into(piece, buffer)
        target.write(memoryview(buffer)[:count])
        total += len(piece)
    stream.leave()
    carried = stream.whole(MAX_SMALL) if stream.peek() == 0xA1 else None
    tag = stream.whole(MAX_SMALL).octets()
    if stream.peek() == 0xA2:
        stream.whole(MAX_INFO)
    end_of(stream)
    if len(tag) != TAG:
        raise NotCms("tag or nonce of an unusual length")
    if carried is not None and attributes is None:
        return b"\x31" + carried.raw[1:]
    try:
        target.write(decryptor.finalize_with_tag(tag))
    except InvalidTag:
        return None
    return total


def _cbc_pass(
    stream: Stream, head: Head, key: bytes, pieces: Iterator[Buffer], target: BufferedIOBase
) -> int | None:
    decryptor = Cipher(algorithms.AES(key), modes.CBC(head.start)).decryptor()
    unpadder = padding.PKCS7(128).unpadder()
    total = 0
    for piece in pieces:
        target.write(unpadder.update(decryptor.update(piece)))
        total += len(piece)
    stream.leave()
    if stream.peek() == 0xA1:
        stream.whole(MAX_INFO)
    end_of(stream)
    try:
        target.write(unpadder.update(decryptor.finalize()) + unpadder.finalize())
    except ValueError:
        return None
    return total


def end_of(stream: Stream) -> None:
    """Nothing follows."""
    for _ in range(3):
        stream.leave()
    stream.finish()


def _gcm_head(infos: Sequence[bytes], nonce: bytes, size: int) -> bytes:
    """Everything before the ciphertext of ``size`` bytes."""
    method = der.algorithm(_GCM_256, der.sequence(der.octets(nonce), der.integer(16)))
    inner = der.oid(DATA) + method + der.header(0x80, size)
    before = der.integer(0) + der.set_of(*infos) + der.header(der.SEQUENCE, len(inner) + size) + inner
    body = der.header(der.SEQUENCE, len(before) + size + 2 + TAG) + before
    outer = der.oid(AUTH_ENVELOPED) + der.header(0xA0, len(body) + size + 2 + TAG) + body
    return der.header(der.SEQUENCE, len(outer) + size + 2 + TAG) + outer


def is_as_written(source: BufferedIOBase, head: Head, size: int) -> bool:
    """Whether the file is what ``seal_stream`` writes. The tag is known to be right."""
    if head.length != 32:
        return False
    written = _gcm_head([one.raw for one in head.infos], head.start, size)
    if source.seek(0, io.SEEK_END) != len(written) + size + 2 + TAG:
        return False
    source.seek(len(written) + size)
    if source.read(2) != der.header(der.OCTET_STRING, TAG):
        return False
    source.seek(0)
    return source.read(len(written)) == written
