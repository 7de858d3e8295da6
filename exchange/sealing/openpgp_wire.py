# SPDX-License-Identifier: AGPL-3.0-or-later
"""OpenPGP in octets (RFC 9580, version 4 keys): what must be written where the private key is not with gpg.

The signer holds the keys as P-256 keys like all others and signs digests or agrees on session keys; here stand
certificates, detached signatures and the reading of session-key packets around that. gpg does all else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes, keywrap
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from exchange.sealing.recipients import CannotOpen

SignDigest = Callable[[bytes], bytes]
"""ECDSA (DER) over a SHA-256 digest."""
POINT = 65
_P256 = bytes.fromhex("082a8648ce3d030107")
"""Length and octets of the curve's identifier (RFC 9580 §9.2)."""
_KDF = bytes((3, 1, 8, 9))
"""SHA-256 and AES-256 (RFC 9580 §11.5)."""
_ECDH, _ECDSA, _SHA256 = 18, 19, 8
_SESSION_KEY, _SIGNATURE, _PUBLIC, _USER, _SUBKEY = 1, 2, 6, 13, 14
_PROTECTED = (18, 20)
_DETACHED, _CERTIFICATION, _BINDING = 0x00, 0x13, 0x18
_MOST = 200
_LONGEST_HEAD = 256 * 1024
_WIDTH = 64


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The body of a key packet: an ECDSA (``signs``) or ECDH key on P-256, made at ``created`` (seconds)."""

    point: bytes
    created: int
    signs: bool

    @property
    def body(self) -> bytes:
        """RFC 9580 §5.5.2."""
        kind = bytes((4,)) + self.created.to_bytes(4, "big") + bytes((_ECDSA if self.signs else _ECDH,))
        return kind + _P256 + _mpi(self.point) + (b"" if self.signs else _KDF)

    @property
    def hashed(self) -> bytes:
        """As it goes into fingerprints and signatures."""
        return b"\x99" + len(self.body).to_bytes(2, "big") + self.body

    @property
    def fingerprint(self) -> bytes:
        """20 octets. SHA-1 names a version 4 key; it is not what its signatures hang on."""
        return hashlib.sha1(self.hashed, usedforsecurity=False).digest()

    @property
    def public(self) -> ec.EllipticCurvePublicKey:
        """The key. Raises ``ValueError`` for a point that is not on the curve."""
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), self.point)

    @classmethod
    def of(cls, public: ec.EllipticCurvePublicKey, created: int, *, signs: bool) -> PublicKey:
        """The packet of a P-256 key."""
        return cls(public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint), created, signs)


@dataclass(frozen=True, slots=True)
class SessionKey:
    """A session key for one recipient: ``key_id`` (8 octets, zeros: not said), ephemeral point, wrapped key."""

    key_id: bytes
    originator: bytes
    wrapped: bytes


def certificate(primary: PublicKey, subkey: PublicKey, user: str, sign: SignDigest) -> bytes:
    """A transferable public key in armour: ``primary`` certifies and signs, ``subkey`` is encrypted to."""
    name = user.encode()
    flags = _sub(27, b"\x03") + _sub(11, bytes((9, 7))) + _sub(21, bytes((8, 10))) + _sub(22, b"\x00")
    flags += _sub(30, b"\x01")  # modification detection
    over = primary.hashed + b"\xb4" + len(name).to_bytes(4, "big") + name
    own = _signature(_CERTIFICATION, over, primary, primary.created, sign, flags)
    bound = _signature(
        _BINDING, primary.hashed + subkey.hashed, primary, subkey.created, sign, _sub(27, b"\x0c")
    )
    packets = ((_PUBLIC, primary.body), (_USER, name), (_SIGNATURE, own), (_SUBKEY, subkey.body))
    data = b"".join(_packet(tag, body) for tag, body in (*packets, (_SIGNATURE, bound)))
    return armour("PUBLIC KEY BLOCK", data)


def read_certificate(armoured: bytes) -> tuple[PublicKey, PublicKey]:
    """(primary, subkey) of what `certificate` wrote. Raises ``CannotOpen``."""
    found = [(tag, body) for tag, body in _packets(dearmour(armoured)) if tag in (_PUBLIC, _SUBKEY)]
    if [tag for tag, _ in found] != [_PUBLIC, _SUBKEY]:
        raise CannotOpen
    primary, subkey = (_public(body) for _, body in found)
    return primary, subkey


def detached(content: bytes, key: PublicKey, at: int, sign: SignDigest) -> bytes:
    """An armoured signature over ``content`` (as octets) by the holder of ``key`` at ``at`` (seconds)."""
    return armour("SIGNATURE", _packet(_SIGNATURE, _signature(_DETACHED, content, key, at, sign)))


def session_keys(message: bytes) -> list[SessionKey]:
    """The ECDH recipients of an encrypted message, in order. Raises ``CannotOpen``."""
    found: list[SessionKey] = []
    for count, (tag, body) in enumerate(_packets(message)):
        if tag in _PROTECTED:
            return found
        if tag != _SESSION_KEY or count >= _MOST:
            break
        if len(body) > 11 + POINT and body[0] == 3 and body[9] == _ECDH:
            bits = int.from_bytes(body[10:12], "big")
            end = 12 + (bits + 7) // 8
            if end < len(body) and body[end] == len(body) - end - 1 and end - 12 == POINT:
                found.append(SessionKey(body[1:9], body[12:end], body[end + 1 :]))
    raise CannotOpen


def agreement(subkey: PublicKey) -> bytes:
    """The parameters of the key derivation for ``subkey`` (RFC 9580 §11.5)."""
    return _P256 + bytes((_ECDH,)) + _KDF + b"Anonymous Sender    " + subkey.fingerprint


def unwrapped(shared: bytes, parameters: bytes, wrapped: bytes) -> bytes:
    """The session key with its algorithm in front, from an ECDH secret. Raises ``CannotOpen``."""
    try:
        wrapping = ConcatKDFHash(hashes.SHA256(), 32, parameters).derive(shared)
        padded = keywrap.aes_key_unwrap(wrapping, wrapped)
    except (ValueError, keywrap.InvalidUnwrap):
        raise CannotOpen from None
    key = padded[: -padded[-1]] if 0 < padded[-1] <= len(padded) - 3 else b""
    if padded[len(key) :] != bytes((padded[-1],)) * padded[-1]:
        raise CannotOpen
    if len(key) < 19 or sum(key[1:-2]) % 65536 != int.from_bytes(key[-2:], "big"):
        raise CannotOpen
    return key[:-2]


def armour(kind: str, data: bytes) -> bytes:
    """``data`` in armour, CRLF, lines of 64, with the checksum that older programs want."""
    text = base64.b64encode(data)
    lines = [text[at : at + _WIDTH] for at in range(0, len(text), _WIDTH)]
    check = _checksum(data)
    begin, end = (f"-----{word} PGP {kind}-----".encode() for word in ("BEGIN", "END"))
    return b"\r\n".join((begin, b"", *lines, check, end, b""))


def _checksum(data: bytes) -> bytes:
    """The last line of armour. Without it gpg 2.2 reads the words of the closing line as data when nothing is padded."""
    return b"=" + base64.b64encode(_crc24(data).to_bytes(3, "big"))


def dearmour(text: bytes) -> bytes:
    """The octets in armour; headers and checksum are passed over. Raises ``CannotOpen``."""
    lines = [line.strip() for line in text.replace(b"\r\n", b"\n").strip().split(b"\n")]
    if len(lines) < 3 or not lines[0].startswith(b"-----BEGIN PGP ") or b"" not in lines:
        raise CannotOpen
    body = lines[lines.index(b"") + 1 :]
    end = next((at for at, line in enumerate(body) if line.startswith(b"-----END PGP ")), 0)
    if not end or any(body[end + 1 :]):
        raise CannotOpen
    body = body[:end]
    if body and body[-1].startswith(b"=") and len(body[-1]) == 5:
        body.pop()
    try:
        return binascii.a2b_base64(b"".join(body), strict_mode=True)
    except (binascii.Error, ValueError):
        raise CannotOpen from None


def _signature(kind: int, over: bytes, key: PublicKey, at: int, sign: SignDigest, more: bytes = b"") -> bytes:
    """The body of a version 4 signature packet (RFC 9580 §5.2.3)."""
    hashed = _sub(33, b"\x04" + key.fingerprint) + _sub(2, at.to_bytes(4, "big")) + more
    head = bytes((4, kind, _ECDSA, _SHA256)) + len(hashed).to_bytes(2, "big") + hashed
    digest = hashlib.sha256(over + head + b"\x04\xff" + len(head).to_bytes(4, "big")).digest()
    issuer = _sub(16, key.fingerprint[-8:])
    r, s = decode_dss_signature(sign(digest))
    values = b"".join(_mpi(one.to_bytes((one.bit_length() + 7) // 8, "big")) for one in (r, s))
    return head + len(issuer).to_bytes(2, "big") + issuer + digest[:2] + values


def _sub(kind: int, data: bytes) -> bytes:
    return bytes((len(data) + 1, kind)) + data


def _mpi(value: bytes) -> bytes:
    return int.from_bytes(value, "big").bit_length().to_bytes(2, "big") + value


def _packet(tag: int, body: bytes) -> bytes:
    size = len(body)
    length = bytes((size,)) if size < 192 else bytes(((size - 192 >> 8) + 192, size - 192 & 0xFF))
    return bytes((0xC0 | tag,)) + length + body


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, body) of each packet up to the encrypted data, whose body is left out. Raises ``CannotOpen``."""
    at = 0
    while at < min(len(data), _LONGEST_HEAD):
        first = data[at]
        if first & 0xC0 == 0xC0:
            tag, (size, at) = first & 0x3F, _new_length(data, at + 1)
        elif first & 0x80:
            tag, wide = first >> 2 & 0x0F, 1 << (first & 3)
            size = int.from_bytes(data[at + 1 : at + 1 + wide], "big") if wide < 8 else -1
            at += 1 + (wide if wide < 8 else 0)
        else:
            raise CannotOpen
        if tag in _PROTECTED:
            yield tag, b""
            return
        if size < 0 or at + size > len(data):
            raise CannotOpen
        yield tag, data[at : at + size]
        at += size


def _new_length(data: bytes, at: int) -> tuple[int, int]:
    """(length, where the body begins); -1 for a partial or missing length."""
    head = data[at : at + 5]
    if head and head[0] < 192:
        return head[0], at + 1
    if len(head) > 1 and head[0] < 224:
        return (head[0] - 192 << 8) + head[1] + 192, at + 2
    if len(head) == 5 and head[0] == 255:
        return int.from_bytes(head[1:], "big"), at + 5
    return -1, at + 1


def _public(body: bytes) -> PublicKey:
    signs = body[5:6] == bytes((_ECDSA,))
    found = PublicKey(body[17 : 17 + POINT], int.from_bytes(body[1:5], "big"), signs)
    if found.body != body:
        raise CannotOpen
    return found


def _crc24(data: bytes) -> int:
    """RFC 4880 §6.1, by a table: some MB a second, so gpg armours what is large, this what must be compared."""
    crc = 0xB704CE
    for byte in data:
        crc = (crc << 8 & 0xFFFFFF) ^ _TABLE[(crc >> 16) ^ byte]
    return crc


def _entry(byte: int) -> int:
    crc = byte << 16
    for _ in range(8):
        crc = crc << 1 ^ (0x1864CFB if crc & 0x800000 else 0)
    return crc & 0xFFFFFF


_TABLE = [_entry(byte) for byte in range(256)]
