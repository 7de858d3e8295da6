# SPDX-License-Identifier: AGPL-3.0-or-later
"""The resolver: dnspython's asynchronous stub behind a cache of parsed answers.

An answer that is not there (NXDOMAIN, or no record of the type) is an empty tuple; only what may be
different a moment later raises (time-out, SERVFAIL, also of a DNSSEC validation that failed: RFC 4035 §5.5).
Every look-up has its time limit and every answer its bounds, for the names come from strangers.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any, TypeAlias

import dns.asyncresolver
import dns.exception
import dns.name
import dns.resolver
import dns.reversename

Address: TypeAlias = IPv4Address | IPv6Address

_MOST_RECORDS = 100
_LONGEST_TEXT = 16 * 1024
_LEAST_S, _MOST_S, _ABSENT_S = 5.0, 3600.0, 60.0


class DnsUnavailable(Exception):
    """The answer can't be had now: time-out, no server, SERVFAIL, a bogus signature."""


@dataclass(frozen=True, slots=True)
class _Kept:
    values: tuple[Any, ...]
    until: float


class Resolver:
    """Asks ``servers`` (``address`` or ``address:port``), the system's when there are none.

    ``timeout_s`` bounds one look-up with its retries; ``most_kept`` answers are cached for their TTL, between
    5 s and an hour. Use from one event loop. Raises `DnsUnavailable` from every look-up.
    """

    def __init__(self, servers: Sequence[str] = (), timeout_s: float = 5.0, most_kept: int = 10_000) -> None:
        self._stub = dns.asyncresolver.Resolver(configure=not servers)
        if servers:
            places = [_place(one) for one in servers]
            self._stub.nameservers = [host for host, _ in places]
            self._stub.nameserver_ports = dict(places)
        self._stub.timeout = max(0.2, timeout_s / 2)
        self._stub.lifetime = timeout_s
        self._stub.use_edns(0, 0, 1232)
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._most_kept = most_kept
        self._asked: dict[tuple[str, str], asyncio.Task[tuple[Any, ...]]] = {}

    async def txt(self, name: str) -> tuple[str, ...]:
        """TXT records, their strings joined, as Latin-1 text."""
        return await self._ask(name, "TXT")

    async def addresses(self, name: str, *, v6: bool) -> tuple[Address, ...]:
        """A or AAAA records."""
        return await self._ask(name, "AAAA" if v6 else "A")

    async def mail_exchangers(self, name: str) -> tuple[tuple[int, str], ...]:
        """MX records as (preference, host without the last dot), best first; ``""`` as a host is RFC 7505."""
        return tuple(sorted(await self._ask(name, "MX")))

    async def services(self, name: str) -> tuple[tuple[int, int, str, int], ...]:
        """SRV records as (priority, weight, host without the last dot, port), best first; ``""`` as a host: not served."""
        return tuple(sorted(await self._ask(name, "SRV")))

    async def names(self, address: Address) -> tuple[str, ...]:
        """PTR records of an address, without the last dot."""
        return await self._ask(str(dns.reversename.from_address(str(address))).rstrip("."), "PTR")

    async def _ask(self, name: str, kind: str) -> tuple[Any, ...]:
        key = (name.rstrip(".").lower(), kind)
        kept = self._kept.get(key)
        if kept is not None and kept.until > time.monotonic():
            self._kept.move_to_end(key)
            return kept.values
        running = self._asked.get(key)
        if running is None:  # many messages that wait for one answer ask once
            running = self._asked[key] = asyncio.create_task(self._fetch(key))
            running.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(running)

    def _forget(self, key: tuple[str, str], done: asyncio.Task[tuple[Any, ...]]) -> None:
        del self._asked[key]
        if not done.cancelled():
            done.exception()  # seen, also when nobody waits any more

    async def _fetch(self, key: tuple[str, str]) -> tuple[Any, ...]:
        name, kind = key
        seconds = _ABSENT_S
        values: tuple[Any, ...] = ()
        try:
            answer = await self._stub.resolve(dns.name.from_text(name), kind, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            pass
        except (dns.exception.Timeout, dns.resolver.NoNameservers, OSError) as problem:
            raise DnsUnavailable(f"{kind} {name}: {type(problem).__name__}") from problem
        except (dns.exception.DNSException, UnicodeError, ValueError):
            return ()  # no such name can exist
        else:
            rows = list(answer.rrset or ())[:_MOST_RECORDS]
            values = tuple(value for one in rows if (value := _value(one, kind)) is not None)
            if answer.rrset is not None:
                seconds = min(_MOST_S, max(_LEAST_S, float(answer.rrset.ttl)))
        self._kept[key] = _Kept(values, time.monotonic() + seconds)
        if len(self._kept) > self._most_kept:
            self._kept.popitem(last=False)
        return values


def _value(record: Any, kind: str) -> Any:
    if kind == "TXT":
        text = b"".join(record.strings)
        return text.decode("latin-1") if len(text) <= _LONGEST_TEXT else None
    if kind == "A":
        return IPv4Address(record.address)
    if kind == "AAAA":
        return IPv6Address(record.address)
    if kind == "MX":
        return int(record.preference), record.exchange.to_text(omit_final_dot=True).rstrip(".")
    if kind == "SRV":
        host = record.target.to_text(omit_final_dot=True).rstrip(".")
        return int(record.priority), int(record.weight), host, int(record.port)
    return record.target.to_text(omit_final_dot=True).rstrip(".")


def _place(server: str) -> tuple[str, int]:
    """``192.0.2.1``, ``192.0.2.1:5353``, ``[2001:db8::1]:53`` → host and port. Raises `ValueError`."""
    host, mark, port = server.rpartition(":")
    if not mark or (":" in host and not host.startswith("[")):
        return server.strip("[]"), 53
    return host.strip("[]"), int(port)
