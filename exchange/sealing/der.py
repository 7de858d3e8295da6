# SPDX-License-Identifier: AGPL-3.0-or-later
"""A small DER writer (X.690): what CMS needs, built from the inside out, no objects in between."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache, lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

INTEGER, BIT_STRING, OCTET_STRING, NULL_TAG, OID_TAG = 0x02, 0x03, 0x04, 0x05, 0x06
SEQUENCE, SET = 0x30, 0x31


def header(tag: int, length: int) -> bytes:
    """Tag and length of an element whose contents are ``length`` bytes."""
    if length < 0x80:
        return bytes((tag, length))
    size = (length.bit_length() + 7) // 8
    return bytes((tag, 0x80 | size)) + length.to_bytes(size, "big")


def tlv(tag: int, *parts: bytes) -> bytes:
    """Tag, length, contents."""
    inside = parts[0] if len(parts) == 1 else b"".join(parts)
    return header(tag, len(inside)) + inside


def sequence(*parts: bytes) -> bytes:
    """SEQUENCE."""
    return tlv(SEQUENCE, *parts)


def set_of(*parts: bytes) -> bytes:
    """SET OF, elements in DER order (X.690 §11.6)."""
    return tlv(SET, *sorted(parts))


def integer(value: int) -> bytes:
    """INTEGER."""
    return tlv(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def octets(data: bytes) -> bytes:
    """OCTET STRING."""
    return tlv(OCTET_STRING, data)


def bits(data: bytes) -> bytes:
    """BIT STRING of whole bytes."""
    return tlv(BIT_STRING, b"\x00", data)


def null() -> bytes:
    """NULL."""
    return bytes((NULL_TAG, 0))


@cache
def oid(dotted: str) -> bytes:
    """OBJECT IDENTIFIER."""
    first, second, *rest = (int(one) for one in dotted.split("."))
    body = bytearray()
    for number in (40 * first + second, *rest):
        chunk = [number & 0x7F]
        while number > 0x7F:
            number >>= 7
            chunk.append(0x80 | (number & 0x7F))
        body += bytes(reversed(chunk))
    return tlv(OID_TAG, bytes(body))


def explicit(number: int, *parts: bytes) -> bytes:
    """[number] EXPLICIT, or IMPLICIT of something constructed whose contents ``parts`` are."""
    return tlv(0xA0 | number, *parts)


def implicit(number: int, data: bytes) -> bytes:
    """[number] IMPLICIT of something primitive."""
    return tlv(0x80 | number, data)


@lru_cache(maxsize=256)
def algorithm(dotted: str, *parameters: bytes) -> bytes:
    """AlgorithmIdentifier."""
    return sequence(oid(dotted), *parameters)


def time(moment: datetime) -> bytes:
    """Time as CMS wants it: UTCTime through 2049, else GeneralizedTime (RFC 5652 §11.3)."""
    moment = moment.astimezone(UTC)
    if 1950 <= moment.year < 2050:
        return tlv(0x17, moment.strftime("%y%m%d%H%M%SZ").encode("ascii"))
    return tlv(0x18, moment.strftime("%Y%m%d%H%M%SZ").encode("ascii"))


@lru_cache(maxsize=4096)
def certificate(one: x509.Certificate) -> bytes:
    """A certificate in DER; kept, because writing it out takes longer than signing with its key."""
    return one.public_bytes(Encoding.DER)


@lru_cache(maxsize=4096)
def issuer_and_serial(one: x509.Certificate) -> bytes:
    """IssuerAndSerialNumber (RFC 5652 §10.2.4)."""
    return sequence(one.issuer.public_bytes(), integer(one.serial_number))


def contents(data: bytes) -> bytes:
    """The contents of one definite-length element (tag and length taken off)."""
    size = data[1]
    return data[2:] if size < 0x80 else data[2 + (size & 0x7F) :]
