# SPDX-License-Identifier: AGPL-3.0-or-later
"""DKIM keys of our domains: made in pairs (RSA and Ed25519), used, replaced with overlap.

A pair is ``new`` until its records stand in the DNS, then ``active`` (it signs; the pair before becomes
``retired``). A retired pair's records stay in the DNS as long as mail signed with it may travel.
"""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

import sqlalchemy as sa
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from config.clock import to_local
from config.database import Database
from config.refusal import Refused
from config.seal import Seal
from mailserver.senderauth.schema import dkim_key

PrivateKey: TypeAlias = "rsa.RSAPrivateKey | Ed25519PrivateKey"
State: TypeAlias = Literal["new", "active", "retired"]

RETIRED_DAYS = 14
"""Records of a retired pair stay so many days: longer than mail waits in any queue."""
_RSA_BITS = 2048
_LOOK_AGAIN_S = 30.0


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key; ``record`` is the text of its TXT record at ``name``."""

    domain: str
    selector: str
    algorithm: str
    state: State
    created_us: int
    changed_us: int
    public: str

    @property
    def name(self) -> str:
        """Where the record stands."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def record(self) -> str:
        """The TXT record (RFC 6376 §3.6.1)."""
        return f"v=DKIM1; k={self.algorithm.partition('-')[0]}; p={self.public}"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key that signs."""

    domain: str
    selector: str
    algorithm: str
    key: PrivateKey


def make(conn: sa.Connection, seal: Seal, domain: str, at_us: int) -> list[KeyRow]:
    """A new pair for ``domain``; raises `Refused` (``dkim-key-waiting``) while one that is new waits to be used."""
    waiting = [one for one in listed(conn, domain) if one.state == "new"]
    if waiting:
        raise Refused(
            "dkim-key-waiting",
            f"{domain} đã có cặp khóa mới {waiting[0].selector}. Đưa bản ghi vào DNS rồi `congvan dkim use {domain}`, "
            "hoặc bỏ bằng `congvan dkim remove`.",
            f"{domain} has a new pair {waiting[0].selector} already. Publish its records, then `congvan dkim use "
            f"{domain}`, or drop it with `congvan dkim remove`.",
        )
    day = to_local(at_us).strftime("%Y%m%d")
    taken = {one.selector for one in listed(conn, domain)}
    for algorithm, letter in (("rsa-sha256", "r"), ("ed25519-sha256", "e")):
        number = 1
        while f"cv{day}{letter}{number}" in taken:
            number += 1
        selector = f"cv{day}{letter}{number}"
        key, public = _new(algorithm)
        conn.execute(
            sa.insert(dkim_key).values(
                domain=domain,
                selector=selector,
                algorithm=algorithm,
                state="new",
                created_us=at_us,
                changed_us=at_us,
                sealed_key=seal.seal(key, _place(domain, selector)),
                public=public,
            )
        )
    return [one for one in listed(conn, domain) if one.state == "new"]


def use(conn: sa.Connection, domain: str, at_us: int) -> list[KeyRow]:
    """The new pair signs from now on, the one before is retired. Raises `Refused` (``no-new-dkim-key``)."""
    if not any(one.state == "new" for one in listed(conn, domain)):
        raise Refused(
            "no-new-dkim-key",
            f"{domain} không có cặp khóa mới. Tạo bằng `congvan dkim make {domain}`.",
            f"{domain} has no new pair. Make one with `congvan dkim make {domain}`.",
        )
    for old, new in (("active", "retired"), ("new", "active")):
        conn.execute(
            sa.update(dkim_key)
            .where(dkim_key.c.domain == domain, dkim_key.c.state == old)
            .values(state=new, changed_us=at_us)
        )
    return listed(conn, domain)


def remove(conn: sa.Connection, domain: str, selector: str) -> KeyRow:
    """Drop a key that does not sign. Raises `Refused` (``no-such-dkim-key``, ``dkim-key-in-use``)."""
    found = next((one for one in listed(conn, domain) if one.selector == selector), None)
    if found is None:
        raise Refused(
            "no-such-dkim-key",
            f"{domain} không có khóa {selector}. Xem `congvan dkim list`.",
            f"{domain} has no key {selector}. See `congvan dkim list`.",
        )
    if found.state == "active":
        raise Refused(
            "dkim-key-in-use",
            f"Khóa {selector} đang ký thư. Tạo và dùng cặp mới trước.",
            f"The key {selector} signs mail. Make and use a new pair first.",
        )
    conn.execute(sa.delete(dkim_key).where(dkim_key.c.domain == domain, dkim_key.c.selector == selector))
    return found


def listed(conn: sa.Connection, domain: str | None = None) -> list[KeyRow]:
    """The keys of a domain, or all, oldest first."""
    table = dkim_key
    asked = sa.select(table).order_by(table.c.domain, table.c.created_us, table.c.selector)
    if domain is not None:
        asked = asked.where(table.c.domain == domain)
    return [
        KeyRow(row.domain, row.selector, row.algorithm, row.state, row.created_us, row.changed_us, row.public)
        for row in conn.execute(asked)
    ]


def removable_on(key: KeyRow) -> datetime:
    """The day (Viet Nam) from which a retired key's record may leave the DNS."""
    return to_local(key.changed_us + RETIRED_DAYS * 86_400_000_000)


class SigningKeys:
    """The active keys by domain, looked up again after half a minute. Safe to share between threads."""

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal
        self._known: dict[str, tuple[SigningKey, ...]] = {}
        self._looked_at = float("-inf")

    def of(self, domain: str) -> tuple[SigningKey, ...]:
        """The keys of ``domain`` or of the nearest domain above it; empty when there are none."""
        if time.monotonic() - self._looked_at > _LOOK_AGAIN_S:
            self._known = self._read()
            self._looked_at = time.monotonic()
        name = domain.lower()
        while name.count("."):
            found = self._known.get(name)
            if found:
                return found
            name = name.partition(".")[2]
        return ()

    def _read(self) -> dict[str, tuple[SigningKey, ...]]:
        with self._database.reading() as conn:
            rows = conn.execute(
                sa.select(dkim_key).where(dkim_key.c.state == "active").order_by(dkim_key.c.selector)
            ).all()
        found: dict[str, tuple[SigningKey, ...]] = {}
        for row in rows:
            raw = self._seal.open(row.sealed_key, _place(row.domain, row.selector))
            key = serialization.load_der_private_key(raw, None)
            assert isinstance(key, rsa.RSAPrivateKey | Ed25519PrivateKey)
            one = SigningKey(row.domain, row.selector, row.algorithm, key)
            found[row.domain] = (*found.get(row.domain, ()), one)
        return found


def _new(algorithm: str) -> tuple[bytes, str]:
    key: PrivateKey
    if algorithm == "rsa-sha256":
        key = rsa.generate_private_key(65537, _RSA_BITS)
        public = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    else:
        key = Ed25519PrivateKey.generate()
        public = key.public_key().public_bytes_raw()
    private = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, base64.b64encode(public).decode()


def _place(domain: str, selector: str) -> bytes:
    return f"dkim {selector} {domain}".encode()
