# SPDX-License-Identifier: AGPL-3.0-or-later
"""SPF: may this address send for this domain? (RFC 7208)

`check` gives one of the seven results. Bounded as the RFC says: ten mechanisms that ask the DNS, two void
look-ups, ten names of an MX or a PTR; and the caller's time limit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Literal, TypeAlias

from mailserver.dns import DnsUnavailable, Resolver
from mailserver.senderauth.macros import BadMacro, Subject, expand

SpfResult: TypeAlias = Literal["none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"]

_MOST_LOOK_UPS = 10
_MOST_VOID = 2
_MOST_NAMES = 10
_VERSION = re.compile(r"v=spf1(?: |\Z)", re.IGNORECASE)
_TERM = re.compile(r"([+\-?~])?([a-z][a-z0-9_.-]*)(.*)", re.IGNORECASE | re.DOTALL)
_CIDR = re.compile(r"(?P<name>.*?)(?:/(?P<four>0|[1-9]\d?))?(?://(?P<six>0|[1-9]\d{0,2}))?", re.DOTALL)
_END = re.compile(r"(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?|%\{[^}]*\}|%%|%_|%-)\.?\Z", re.IGNORECASE)
_ALL_DIGITS = re.compile(r"\.\d+\.?\Z")
_LABEL = re.compile(r"[\x21-\x2d\x2f-\x7e]{1,63}")
_QUALIFIERS: dict[str, SpfResult] = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}
_MECHANISMS = frozenset({"all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"})


class _Permanent(Exception):
    """permerror."""


@dataclass(frozen=True, slots=True)
class Spf:
    """A result and the identity it is about: ``mailfrom`` or, for an empty sender, ``helo``."""

    result: SpfResult
    domain: str
    identity: Literal["mailfrom", "helo"]
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class _Term:
    qualifier: str
    name: str
    rest: str


@dataclass(frozen=True, slots=True)
class _Record:
    mechanisms: tuple[_Term, ...]
    redirect: str | None
    explanation: str | None


@dataclass(slots=True)
class _Check:
    resolver: Resolver
    subject: Subject
    asked: int = 0
    void: int = 0
    validated: dict[str, str] = field(default_factory=dict)

    def count(self) -> None:
        self.asked += 1
        if self.asked > _MOST_LOOK_UPS:
            raise _Permanent("too many DNS look-ups")

    def not_void(self, values: tuple[object, ...]) -> None:
        if not values:
            self.void += 1
            if self.void > _MOST_VOID:
                raise _Permanent("too many void look-ups")


async def check(
    resolver: Resolver, address: str, helo: str, sender: str, receiver: str, at_s: int = 0
) -> Spf:
    """Check the MAIL FROM identity, or HELO for an empty sender (RFC 7208 §2.4). Never raises."""
    identity: Literal["mailfrom", "helo"] = "mailfrom" if sender else "helo"
    local, _, domain = sender.rpartition("@") if sender else ("", "", helo)
    domain = _ascii(domain)
    client = ip_address(address)
    if client.version == 6 and client.ipv4_mapped is not None:
        client = client.ipv4_mapped
    subject = Subject(client, f"{local or 'postmaster'}@{domain}", helo, receiver, at_s)
    checking = _Check(resolver, subject)
    explanation = ""
    try:
        result, words = await _host(checking, domain, 0)
        if result == "fail" and words is not None:
            explanation = await _explained(checking, *words)
    except DnsUnavailable:
        result = "temperror"
    except (_Permanent, BadMacro):
        result = "permerror"
    return Spf(result, domain, identity, explanation)


async def _host(checking: _Check, domain: str, depth: int) -> tuple[SpfResult, tuple[str, str] | None]:
    """check_host (RFC 7208 §4): the result, and the explanation's domain-spec with its domain."""
    if not _is_domain(domain):
        return "none", None
    found = [one for one in await checking.resolver.txt(domain) if _VERSION.match(one)]
    if not found:
        return "none", None
    if len(found) > 1:
        raise _Permanent("two records")
    record = _parse(found[0])
    for term in record.mechanisms:
        if await _matches(checking, term, domain, depth):
            words = None if record.explanation is None else (record.explanation, domain)
            return _QUALIFIERS[term.qualifier], words
    if record.redirect is None:
        return "neutral", None
    checking.count()
    target = await _expand(checking, record.redirect, domain)
    result, words = await _host(checking, target, depth + 1)
    if result == "none":
        raise _Permanent("the redirect has no record")
    return result, words


@lru_cache(maxsize=4096)
def _parse(text: str) -> _Record:
    """The whole record is read first: a syntax error anywhere is a permerror (RFC 7208 §4.6)."""
    mechanisms: list[_Term] = []
    modifiers: dict[str, str] = {}
    for word in text[6:].split(" "):
        if not word:
            continue
        found = _TERM.fullmatch(word)
        if found is None or not word.isascii():
            raise _Permanent(word)
        name, rest = found[2].lower(), found[3]
        if rest.startswith("=") and not found[1]:
            if name in modifiers and name in ("redirect", "exp"):
                raise _Permanent(f"two {name}")
            if name in ("redirect", "exp"):
                _check_spec(rest[1:])
            elif not re.fullmatch(
                r"(?:[\x21-\x24\x26-\x7e]|%\{[a-z]\d*r?[.+,/_=-]*\}|%%|%_|%-)*", rest[1:], re.I
            ):
                raise _Permanent(word)
            modifiers[name] = rest[1:]
        elif name in _MECHANISMS:
            term = _Term(found[1] or "+", name, rest)
            _check_term(term)
            mechanisms.append(term)
        else:
            raise _Permanent(f"unknown mechanism {name}")
    return _Record(tuple(mechanisms), modifiers.get("redirect"), modifiers.get("exp"))


def _check_term(term: _Term) -> None:
    match term.name:
        case "all":
            if term.rest:
                raise _Permanent("all takes nothing")
        case "include" | "exists":
            if not term.rest.startswith(":"):
                raise _Permanent(f"{term.name} needs a domain")
            _check_spec(term.rest[1:])
        case "ptr":
            if term.rest:
                if not term.rest.startswith(":"):
                    raise _Permanent("ptr takes :domain")
                _check_spec(term.rest[1:])
        case "ip4" | "ip6":
            _network(term)
        case _:
            spec, four, six = _split(term.rest)
            if spec is not None:
                _check_spec(spec)
            if four > 32 or six > 128:
                raise _Permanent("prefix too long")


def _check_spec(spec: str) -> None:
    """Syntax of a domain-spec (RFC 7208 §7.1): macros are right, and it ends in a label or a macro."""
    bare = re.sub(r"%\{[slodiphcrtv]\d*r?[.+,/_=-]*\}|%%|%_|%-", "", spec, flags=re.IGNORECASE)
    if not spec or "%" in bare or not _END.search("." + spec) or not re.fullmatch(r"[\x21-\x7e]*", spec):
        raise _Permanent(f"not a domain: {spec[:60]}")
    if re.search(r"%\{[crt]", spec, re.IGNORECASE) or _ALL_DIGITS.search("." + spec):
        raise _Permanent(f"not a domain: {spec[:60]}")
    if "%" not in spec and "." not in spec.rstrip("."):
        raise _Permanent(f"not a domain: {spec[:60]}")


def _split(rest: str) -> tuple[str | None, int, int]:
    """``:domain/24//64`` → domain (None when not given) and the two prefix lengths."""
    found = _CIDR.fullmatch(rest)
    if found is None:
        raise _Permanent(rest)
    name = found["name"]
    if name and not name.startswith(":"):
        raise _Permanent(rest)
    four = int(found["four"]) if found["four"] is not None else 32
    six = int(found["six"]) if found["six"] is not None else 128
    return (name[1:] if name else None), four, six


def _network(term: _Term) -> object:
    text = term.rest[1:]
    prefix = text.rpartition("/")[2] if "/" in text else None
    if not term.rest.startswith(":") or (prefix is not None and not re.fullmatch(r"0|[1-9]\d{0,2}", prefix)):
        raise _Permanent(term.rest)
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise _Permanent(term.rest) from None
    if network.version != (4 if term.name == "ip4" else 6):
        raise _Permanent(term.rest)
    return network


async def _matches(checking: _Check, term: _Term, domain: str, depth: int) -> bool:
    client, resolver = checking.subject.address, checking.resolver
    match term.name:
        case "all":
            return True
        case "ip4" | "ip6":
            return client in _network(term)  # type: ignore[operator]
        case "include":
            checking.count()
            result, _ = await _host(checking, await _expand(checking, term.rest[1:], domain), depth + 1)
            if result == "none":
                raise _Permanent("the included domain has no record")
            return result == "pass"
        case "exists":
            checking.count()
            found = await resolver.addresses(await _expand(checking, term.rest[1:], domain), v6=False)
            checking.not_void(found)
            return bool(found)
        case "ptr":
            checking.count()
            name = await _expand(checking, term.rest[1:], domain) if term.rest else domain
            return any(_within(one, name) for one in await _validated(checking))
        case "a":
            checking.count()
            spec, four, six = _split(term.rest)
            name = await _expand(checking, spec, domain) if spec is not None else domain
            return await _has(checking, name, four, six)
        case _:
            checking.count()
            spec, four, six = _split(term.rest)
            name = await _expand(checking, spec, domain) if spec is not None else domain
            hosts = await resolver.mail_exchangers(name)
            checking.not_void(hosts)
            if len(hosts) > _MOST_NAMES:
                raise _Permanent("too many MX")
            for _, host in hosts:
                if host and await _has(checking, host, four, six):
                    return True
            return False


async def _has(checking: _Check, name: str, four: int, six: int) -> bool:
    client = checking.subject.address
    found = await checking.resolver.addresses(name, v6=client.version == 6)
    checking.not_void(found)
    prefix = six if client.version == 6 else four
    return any(client in ip_network((one, prefix), strict=False) for one in found)


async def _validated(checking: _Check) -> list[str]:
    """The names of the client whose addresses hold it (RFC 7208 §5.5); errors are no match."""
    client = checking.subject.address
    try:
        names = await checking.resolver.names(client)
    except DnsUnavailable:
        return []
    checking.not_void(names)
    found = []
    for one in names[:_MOST_NAMES]:
        try:
            if client in await checking.resolver.addresses(one, v6=client.version == 6):
                found.append(one)
        except DnsUnavailable:
            continue
    return found


async def _expand(checking: _Check, spec: str, domain: str) -> str:
    return await expand(spec, checking.subject, domain, lambda: _name_of(checking, domain))


async def _name_of(checking: _Check, domain: str) -> str:
    """``%{p}``: the validated name of the client, of the domain if it can be (RFC 7208 §7.3)."""
    if domain not in checking.validated:
        checking.count()
        names = await _validated(checking)
        same = [one for one in names if one.lower() == domain.lower()]
        below = [one for one in names if _within(one, domain)]
        checking.validated[domain] = (same or below or names or ["unknown"])[0]
    return checking.validated[domain]


async def _explained(checking: _Check, spec: str, domain: str) -> str:
    """The explanation a domain gives for its fail; "" when it has none that can be used (RFC 7208 §6.2)."""

    try:
        texts = await checking.resolver.txt(await _expand(checking, spec, domain))
        if len(texts) != 1 or not texts[0].isascii():
            return ""
        text = await expand(
            texts[0], checking.subject, domain, lambda: _name_of(checking, domain), explaining=True
        )
        return text[:400]
    except (DnsUnavailable, BadMacro, _Permanent):
        return ""


def _within(name: str, domain: str) -> bool:
    name, domain = name.rstrip(".").lower(), domain.rstrip(".").lower()
    return name == domain or name.endswith("." + domain)


def _is_domain(domain: str) -> bool:
    labels = domain.rstrip(".").split(".")
    return len(labels) > 1 and len(domain) <= 253 and all(_LABEL.fullmatch(one) for one in labels)


def _ascii(domain: str) -> str:
    if domain.isascii():
        return domain
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return ""
