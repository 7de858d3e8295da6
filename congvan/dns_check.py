# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the DNS must say of an installation's domains, looked at as other servers see it; each lack with its record."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from mailserver.dns import DnsUnavailable, Resolver
from mailserver.senderauth.keys import KeyRow

_MOST_DOMAINS = 600


@dataclass(frozen=True, slots=True)
class Finding:
    """One look at the DNS: ``fix`` is "" when all is well, else what to publish."""

    name: str
    fix_vi: str = ""
    fix_en: str = ""


@dataclass(frozen=True, slots=True)
class Server:
    """What other programs are to find: the host, and its ports for mail programs (implicit TLS)."""

    host: str
    imaps: int = 993
    submissions: int = 465


async def look(
    resolver: Resolver, server: Server, domains: Sequence[str], keys: Sequence[KeyRow]
) -> list[Finding]:
    """Look at MX, SPF, DKIM, DMARC, MTA-STS of ``domains`` (at most 600), at what mail programs look for there, and
    at the names of the host. Never raises.
    """
    chosen = list(dict.fromkeys(domains))[:_MOST_DOMAINS]
    turn = asyncio.Semaphore(50)

    async def bounded(kind: str, domain: str) -> str:
        async with turn:
            try:
                return await _LOOKS[kind](resolver, server, domain)
            except DnsUnavailable as problem:
                return f"? {problem}"

    findings = []
    for kind in _LOOKS:
        lacks = [one for one in await asyncio.gather(*(bounded(kind, each) for each in chosen)) if one]
        findings.append(_finding(kind, lacks))
    findings.append(_finding("dkim", await _dkim(resolver, chosen, keys)))
    findings.append(_finding("ptr", await _ptr(resolver, server.host)))
    return findings


def _finding(name: str, lacks: Sequence[str]) -> Finding:
    if not lacks:
        return Finding(name)
    more = f" (+{len(lacks) - 1})" if len(lacks) > 1 else ""
    return Finding(name, f"đưa vào DNS: {lacks[0]}{more}", f"publish: {lacks[0]}{more}")


async def _mx(resolver: Resolver, server: Server, domain: str) -> str:
    found = [one.lower() for _, one in await resolver.mail_exchangers(domain)]
    return "" if server.host.lower() in found else f"{domain}. IN MX 10 {server.host}."


async def _spf(resolver: Resolver, server: Server, domain: str) -> str:
    found = [one for one in await resolver.txt(domain) if one.lower().startswith("v=spf1")]
    return "" if len(found) == 1 else f'{domain}. IN TXT "v=spf1 mx -all"'


async def _dmarc(resolver: Resolver, server: Server, domain: str) -> str:
    name = domain
    while "." in name:
        if any(one.startswith("v=DMARC1") for one in await resolver.txt(f"_dmarc.{name}")):
            return ""
        name = name.partition(".")[2]
    return f'_dmarc.{domain}. IN TXT "v=DMARC1; p=quarantine; rua=mailto:postmaster@{domain}"'


async def _mta_sts(resolver: Resolver, server: Server, domain: str) -> str:
    found = [one for one in await resolver.txt(f"_mta-sts.{domain}") if one.startswith("v=STSv1")]
    if len(found) == 1:
        return ""
    return (
        f'_mta-sts.{domain}. IN TXT "v=STSv1; id=1", https://mta-sts.{domain}/.well-known/mta-sts.txt: '
        f"version: STSv1, mode: enforce, mx: {server.host}, max_age: 604800"
    )


async def _srv(resolver: Resolver, server: Server, domain: str) -> str:
    """RFC 6186 §3.2, RFC 8314 §5.1: the services that mail programs look for."""
    lacks = []
    for service, port in (("_imaps._tcp", server.imaps), ("_submissions._tcp", server.submissions)):
        found = [
            (host.lower(), number) for *_, host, number in await resolver.services(f"{service}.{domain}")
        ]
        if (server.host.lower(), port) not in found:
            lacks.append(f"{service}.{domain}. IN SRV 0 1 {port} {server.host}.")
    return " ".join(lacks)


async def _autoconfig(resolver: Resolver, server: Server, domain: str) -> str:
    """The names at which Thunderbird and Outlook ask the pages for their settings."""
    lacks = [
        f"{name}.{domain}. IN CNAME {server.host}."
        for name in ("autoconfig", "autodiscover")
        if not (
            await resolver.addresses(f"{name}.{domain}", v6=False)
            or await resolver.addresses(f"{name}.{domain}", v6=True)
        )
    ]
    return " ".join(lacks)


async def _dkim(resolver: Resolver, domains: Sequence[str], keys: Sequence[KeyRow]) -> list[str]:
    lacks = []
    for one in keys:
        if one.state == "retired":
            continue
        try:
            found = await resolver.txt(one.name)
        except DnsUnavailable as problem:
            lacks.append(f"? {problem}")
            continue
        if not any(_key_of(text) == one.public for text in found):
            lacks.append(f'{one.name}. IN TXT "{one.record}"')
    signing = {one.domain for one in keys if one.state == "active"}
    without = [one for one in domains if not any(one == each or one.endswith("." + each) for each in signing)]
    return lacks + [f"`congvan dkim make {one}`" for one in without]


def _key_of(text: str) -> str:
    return next((one.strip()[2:] for one in text.split(";") if one.strip().startswith("p=")), "")


async def _ptr(resolver: Resolver, host: str) -> list[str]:
    try:
        addresses = [*await resolver.addresses(host, v6=False), *await resolver.addresses(host, v6=True)]
        if not addresses:
            return [f"{host}. IN A …"]
        return [
            f"{ip_address(str(one)).reverse_pointer}. IN PTR {host}."
            for one in addresses
            if host.lower() not in [name.lower() for name in await resolver.names(one)]
        ]
    except DnsUnavailable as problem:
        return [f"? {problem}"]


_LOOKS = {
    "mx": _mx,
    "spf": _spf,
    "dmarc": _dmarc,
    "mta-sts": _mta_sts,
    "srv": _srv,
    "autoconfig": _autoconfig,
}
