# SPDX-License-Identifier: AGPL-3.0-or-later
"""MTA-STS: a domain that says by HTTPS that its mail is only handed over with verified TLS (RFC 8461).

A policy is kept in the database for as long as it says, so neither a restart nor an attacker who silences the DNS
makes us forget it. What can't be fetched changes nothing: an older policy that has not ended still holds.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, cast

import sqlalchemy as sa

from config.clock import now_us
from config.database import Database
from mailserver.dns import DnsUnavailable, Resolver
from mailserver.senderauth.schema import tls_policy

log = logging.getLogger("congvan.queue")

Mode: TypeAlias = Literal["enforce", "testing", "none"]

_RECORD = re.compile(r"v=STSv1[ \t]*;(?:.*;)?[ \t]*id[ \t]*=[ \t]*([A-Za-z0-9]{1,32})[ \t]*(?:;|\Z)")
_HOST = re.compile(r"(?:\*\.)?[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+")
_LARGEST = 64 * 1024
_MOST_HOSTS = 100
_LONGEST_S = 31_557_600
_FETCH_S = 30.0


class FetchFailed(Exception):
    """The policy could not be fetched."""


class Fetch(Protocol):
    """Gets ``https://mta-sts.DOMAIN/.well-known/mta-sts.txt``; raises `FetchFailed`."""

    async def __call__(self, domain: str) -> str:
        """The policy's text."""
        ...


@dataclass(frozen=True, slots=True)
class TlsPolicy:
    """What a domain asks for: ``hosts`` are the names its servers may have, ``*.`` for one label."""

    mode: Mode
    hosts: tuple[str, ...]
    max_age_s: int

    def allows(self, host: str) -> bool:
        """Whether a server of this name is one of the domain's (RFC 8461 §4.1)."""
        name = host.lower().rstrip(".")
        return any(
            name == one or (one.startswith("*.") and name.partition(".")[2] == one[2:]) for one in self.hosts
        )


def parse(text: str) -> TlsPolicy:
    """Read a policy. Raises `FetchFailed` when it is none."""
    keys: dict[str, str] = {}
    hosts: list[str] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        name, mark, value = line.partition(":")
        name, value = name.strip(), value.strip()
        if not mark:
            continue
        if name == "mx":
            host = value.lower().rstrip(".")
            if not _HOST.fullmatch(host) or len(hosts) >= _MOST_HOSTS:
                raise FetchFailed("a host that is none")
            hosts.append(host)
        else:
            keys.setdefault(name, value)
    mode, age = keys.get("mode", ""), keys.get("max_age", "")
    if keys.get("version") != "STSv1" or mode not in ("enforce", "testing", "none"):
        raise FetchFailed("not a policy")
    if not re.fullmatch(r"[0-9]{1,10}", age) or (mode != "none" and not hosts):
        raise FetchFailed("not a policy")
    return TlsPolicy(cast(Mode, mode), tuple(hosts), min(int(age), _LONGEST_S))


class TlsPolicies:
    """The policies of other domains, fetched when their record's id is new."""

    def __init__(self, database: Database, resolver: Resolver, fetch: Fetch) -> None:
        self._database = database
        self._resolver = resolver
        self._fetch = fetch

    async def of(self, domain: str) -> TlsPolicy | None:
        """The policy that holds for ``domain`` now, None when there is none. Never raises for what a domain does."""
        kept = await asyncio.to_thread(self._kept, domain)
        try:
            texts = [
                one for one in await self._resolver.txt(f"_mta-sts.{domain}") if one.startswith("v=STSv1")
            ]
        except DnsUnavailable:
            texts = []
        found = _RECORD.match(texts[0]) if len(texts) == 1 else None
        if found is None or (kept is not None and kept[0] == found[1]):
            return kept[1] if kept is not None else None
        try:
            async with asyncio.timeout(_FETCH_S):
                policy = parse(await self._fetch(domain))
        except (FetchFailed, TimeoutError) as problem:
            log.warning(
                "the TLS policy of %s could not be fetched: %s", domain, problem or "no answer in time"
            )
            return kept[1] if kept is not None else None
        await self._database.commit(lambda conn: _keep(conn, domain, found[1], policy))
        return policy

    def _kept(self, domain: str) -> tuple[str, TlsPolicy] | None:
        with self._database.reading() as conn:
            row = conn.execute(sa.select(tls_policy).where(tls_policy.c.domain == domain)).first()
        if row is None or row.until_us < now_us():
            return None
        age = (row.until_us - row.fetched_us) // 1_000_000
        return row.id, TlsPolicy(row.mode, tuple(row.hosts.split()), age)


def _keep(conn: sa.Connection, domain: str, number: str, policy: TlsPolicy) -> None:
    now = now_us()
    conn.execute(sa.delete(tls_policy).where(tls_policy.c.domain == domain))
    conn.execute(
        sa.insert(tls_policy).values(
            domain=domain,
            id=number,
            mode=policy.mode,
            hosts=" ".join(policy.hosts),
            fetched_us=now,
            until_us=now + policy.max_age_s * 1_000_000,
        )
    )


class HttpsFetch:
    """`Fetch` by HTTPS with a verified certificate; no redirects, at most 64 KiB (RFC 8461 §3.3).

    Nothing is sent before the certificate names ``mta-sts.DOMAIN``, so a name that points into our own network
    reaches no service there.
    """

    def __init__(self, resolver: Resolver, context: ssl.SSLContext | None = None, port: int = 443) -> None:
        self._resolver = resolver
        self._context = context or ssl.create_default_context()
        self._port = port

    async def __call__(self, domain: str) -> str:
        """The policy's text."""
        host = f"mta-sts.{domain}"
        try:
            addresses = [
                *await self._resolver.addresses(host, v6=False),
                *await self._resolver.addresses(host, v6=True),
            ]
            if not addresses:
                raise FetchFailed("no such host")
            reader, writer = await asyncio.open_connection(
                str(addresses[0]), self._port, ssl=self._context, server_hostname=host, limit=_LARGEST
            )
            try:
                request = (
                    f"GET /.well-known/mta-sts.txt HTTP/1.0\r\nHost: {host}\r\nAccept: text/plain\r\n\r\n"
                )
                writer.write(request.encode("ascii"))
                raw = await _all(reader)
            finally:
                writer.transport.abort()
        except (OSError, UnicodeError, ValueError, DnsUnavailable) as problem:
            raise FetchFailed(str(problem)) from problem
        head, mark, body = raw.partition(b"\r\n\r\n")
        status = head.split(b" ", 2)[1:2]
        if not mark or status != [b"200"] or b"\ncontent-type: text/plain" not in head.lower():
            raise FetchFailed("no text at its place")
        if b"\ntransfer-encoding" in head.lower():
            raise FetchFailed("an answer that HTTP/1.0 does not know")
        return body.decode("utf-8", "replace")


async def _all(reader: asyncio.StreamReader) -> bytes:
    pieces, size = [], 0
    while piece := await reader.read(8192):
        size += len(piece)
        if size > _LARGEST:
            raise FetchFailed("the policy is too large")
        pieces.append(piece)
    return b"".join(pieces)
