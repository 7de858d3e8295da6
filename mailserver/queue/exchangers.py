# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where the DNS says a domain's mail goes (RFC 5321 §5.1), and how it wants it handed over (RFC 8461)."""

from __future__ import annotations

import random

from config.refusal import Refused
from mailserver.dns import DnsUnavailable, Resolver
from mailserver.queue.routes import Route, Server, Tls
from mailserver.senderauth.mta_sts import TlsPolicies

_MOST_SERVERS = 10


class NotNow(Exception):
    """The servers can't be found, or none may be used, just now: try again later."""


class Exchangers:
    """Finds routes in the DNS. ``port`` is where other servers listen."""

    def __init__(self, resolver: Resolver, policies: TlsPolicies, port: int = 25) -> None:
        self._resolver = resolver
        self._policies = policies
        self._port = port

    async def route(self, domain: str) -> Route:
        """The servers of ``domain``, best first. Raises `NotNow`; `Refused` when it takes no mail at all."""
        name = _ascii(domain)
        try:
            found = await self._resolver.mail_exchangers(name)
            hosts = [host for _, host in sorted(found, key=lambda one: (one[0], random.random()))]  # noqa: S311
            if found and not any(hosts):
                raise _takes_none(domain, "5.1.10")  # RFC 7505
            policy = await self._policies.of(name)
            enforced = policy is not None and policy.mode == "enforce"
            hosts = [one for one in hosts or [name] if one][:_MOST_SERVERS]
            if enforced and policy is not None:
                hosts = [one for one in hosts if policy.allows(one)]
                if not hosts:
                    raise NotNow(f"4.7.5 no server of {domain} is one that its MTA-STS policy names")
            servers = [
                Server(host, str(address))
                for host in hosts
                for v6 in (False, True)
                for address in await self._resolver.addresses(host, v6=v6)
            ]
        except DnsUnavailable as problem:
            raise NotNow(f"4.4.3 the DNS does not answer ({problem})") from problem
        if not servers:
            if not found:
                raise _takes_none(domain, "5.1.2")
            raise NotNow(f"4.4.4 no server of {domain} has an address")
        tls: Tls = "verified" if enforced else "opportunistic"
        return Route(servers[0].host, self._port, tls, servers=tuple(servers[:_MOST_SERVERS]))


def _takes_none(domain: str, status: str) -> Refused:
    return Refused(
        "no-mail-server",
        f"{status} Tên miền {domain} không nhận thư. Kiểm tra lại địa chỉ.",
        f"{status} The domain {domain} takes no mail. Check the address.",
    )


def _ascii(domain: str) -> str:
    if domain.isascii():
        return domain.lower().rstrip(".")
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError as problem:
        raise _takes_none(domain, "5.1.2") from problem
