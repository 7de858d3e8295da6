# SPDX-License-Identifier: AGPL-3.0-or-later
"""An agency's decryption keys put by so that any m of n officers together, and nobody alone, get them back.

The keys are sealed under a random secret; the secret is shared by Shamir's scheme (over the prime field of
2^521 - 1) and each share is encrypted to one officer's public key (HPKE, RFC 9180: P-256, HKDF-SHA256,
AES-256-GCM). The file says who the officers are; a share that is wrong is named, because its digest is there.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from config.refusal import Refused

VERSION = 1
MOST_OFFICERS = 16
MAX_FILE = 1024 * 1024
_PRIME = 2**521 - 1
_SHARE_BYTES = 66
_SUITE = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


@dataclass(frozen=True, slots=True)
class Share:
    """One officer's point of the polynomial: ``place`` from 1."""

    place: int
    value: bytes

    def as_text(self) -> str:
        """For carrying by hand: ``1-<hex>-<check>``."""
        check = hashlib.sha256(bytes([self.place]) + self.value).hexdigest()[:8]
        return f"{self.place}-{self.value.hex()}-{check}"

    @classmethod
    def read(cls, text: str) -> Share:
        """From `as_text`. Raises `Refused` (``bad-share``)."""
        try:
            place, value, _ = text.strip().split("-")
            made = cls(int(place), bytes.fromhex(value))
        except ValueError:
            raise _bad_share() from None
        if (
            not 0 < made.place <= MOST_OFFICERS
            or len(made.value) != _SHARE_BYTES
            or made.as_text() != text.strip()
        ):
            raise _bad_share()
        return made


def put_by(
    agency: str,
    keys: Mapping[str, bytes],
    officers: Sequence[tuple[str, ec.EllipticCurvePublicKey]],
    threshold: int,
) -> bytes:
    """The recovery file of ``keys`` (name → PKCS #8). ``officers``: (name, public key), P-256.

    Raises `Refused` (``bad-threshold``) unless 2 ≤ threshold ≤ officers ≤ `MOST_OFFICERS`, all different.
    """
    different = {key.public_numbers() for _, key in officers}
    if not 2 <= threshold <= len(officers) <= MOST_OFFICERS or len(different) != len(officers):
        raise Refused(
            "bad-threshold",
            f"Cần từ 2 đến {MOST_OFFICERS} cán bộ khác nhau, và ít nhất 2 người cùng mở.",
            f"2 to {MOST_OFFICERS} different officers are needed, and at least 2 of them to open.",
        )
    secret = secrets.token_bytes(32)
    shares = split(secret, threshold, len(officers))
    nonce = secrets.token_bytes(12)
    plain = json.dumps({name: _out(key) for name, key in keys.items()}).encode()
    told = {
        "congvan_recovery": VERSION,
        "agency": agency,
        "threshold": threshold,
        "officers": [
            {
                "name": name,
                "share": _out(_SUITE.encrypt(share.value, key, info=_info(agency, share.place))),
                "digest": hashlib.sha256(share.value).hexdigest(),
            }
            for (name, key), share in zip(officers, shares, strict=True)
        ],
        "sealed": _out(nonce + AESGCM(secret).encrypt(nonce, plain, f"recovery {agency}".encode())),
    }
    return json.dumps(told, ensure_ascii=False, indent=1).encode() + b"\n"


def share_of(file: bytes, officer: ec.EllipticCurvePrivateKey) -> Share:
    """The share that ``officer``'s key opens. Raises `Refused` (``not-an-officer``)."""
    told = _read(file)
    for place, one in enumerate(told["officers"], 1):
        try:
            value = _SUITE.decrypt(_in(one["share"]), officer, info=_info(told["agency"], place))
        except (InvalidTag, ValueError):
            continue
        return Share(place, value)
    raise Refused(
        "not-an-officer",
        "Khóa này không mở được phần nào của tệp khôi phục.",
        "This key opens no share of the recovery file.",
    )


def open_with(file: bytes, shares: Sequence[Share]) -> tuple[str, dict[str, bytes]]:
    """(the agency, its keys as PKCS #8 by name) from enough shares.

    Raises `Refused`: ``bad-share`` names a wrong one, ``too-few-shares``.
    """
    told = _read(file)
    given = {one.place: one for one in shares}
    for place, one in given.items():
        known = told["officers"][place - 1]["digest"] if place <= len(told["officers"]) else ""
        if hashlib.sha256(one.value).hexdigest() != known:
            raise Refused(
                "bad-share",
                f"Phần chia số {place} không thuộc tệp khôi phục này.",
                f"Share {place} is not of this recovery file.",
            )
    if len(given) < told["threshold"]:
        raise Refused(
            "too-few-shares",
            f"Cần {told['threshold']} cán bộ; mới có {len(given)} phần chia.",
            f"{told['threshold']} officers are needed; there are {len(given)} shares.",
        )
    secret = join(list(given.values())[: told["threshold"]])
    sealed, agency = _in(told["sealed"]), told["agency"]
    try:
        plain = AESGCM(secret).decrypt(sealed[:12], sealed[12:], f"recovery {agency}".encode())
    except (InvalidTag, ValueError):
        raise _bad_file() from None
    return agency, {name: _in(key) for name, key in json.loads(plain).items()}


def split(secret: bytes, threshold: int, count: int) -> list[Share]:
    """Shamir's shares of 32 bytes: points of a random polynomial of degree ``threshold`` - 1."""
    factors = [int.from_bytes(secret, "big"), *(secrets.randbelow(_PRIME) for _ in range(threshold - 1))]

    def at(place: int) -> int:
        value = 0
        for factor in reversed(factors):
            value = (value * place + factor) % _PRIME
        return value

    return [Share(place, at(place).to_bytes(_SHARE_BYTES, "big")) for place in range(1, count + 1)]


def join(shares: Sequence[Share]) -> bytes:
    """The secret from as many shares as the threshold (Lagrange at 0). Wrong shares give a wrong secret."""
    total = 0
    for one in shares:
        upper = lower = 1
        for other in shares:
            if other.place != one.place:
                upper = upper * -other.place % _PRIME
                lower = lower * (one.place - other.place) % _PRIME
        total += int.from_bytes(one.value, "big") * upper * pow(lower, -1, _PRIME)
    return (total % _PRIME).to_bytes(_SHARE_BYTES, "big")[-32:]


def officer_key(pem: bytes) -> ec.EllipticCurvePublicKey:
    """An officer's public key from PEM. Raises `Refused` unless it is P-256."""
    try:
        key = serialization.load_pem_public_key(pem)
    except ValueError:
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        raise Refused(
            "bad-officer-key",
            "Khóa công khai của cán bộ phải là P-256, dạng PEM.",
            "An officer's public key must be P-256, in PEM.",
        )
    return key


def _info(agency: str, place: int) -> bytes:
    return f"congvan recovery {agency} {place}".encode()


def _read(file: bytes) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads(file) if len(file) <= MAX_FILE else {}
        officers = told["officers"]
        sound = told["congvan_recovery"] == VERSION and isinstance(told["threshold"], int)
        sound = sound and all(
            isinstance(one[key], str) for one in officers for key in ("name", "share", "digest")
        )
        if not sound or not 2 <= told["threshold"] <= len(officers) <= MOST_OFFICERS:
            raise _bad_file()
        _in(told["sealed"])
        return told
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _bad_file() from None


def _out(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _in(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _bad_share() -> Refused:
    return Refused("bad-share", "Phần chia gõ sai hoặc thiếu.", "The share was mistyped or is not complete.")


def _bad_file() -> Refused:
    return Refused(
        "bad-recovery-file",
        "Tệp khôi phục không đọc được hoặc đã bị sửa.",
        "The recovery file can't be read or was altered.",
    )
