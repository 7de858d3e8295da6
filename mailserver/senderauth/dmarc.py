# SPDX-License-Identifier: AGPL-3.0-or-later
"""DMARC: does what SPF and DKIM proved belong to the From that people see? (RFC 7489; tree walk of DMARCbis)

The organisational domain is found by walking up the DNS (at most eight look-ups) as DMARCbis does, not by a list of
public suffixes that ages. docs/decisions says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias, cast

from mailserver.dns import DnsUnavailable, Resolver
from mailserver.senderauth.dkim import Dkim, Unusable, tag_list
from mailserver.senderauth.spf import Spf

DmarcResult: TypeAlias = Literal["none", "pass", "fail", "temperror", "permerror"]
Policy: TypeAlias = Literal["none", "quarantine", "reject"]

_MOST_STEPS = 8


@dataclass(frozen=True, slots=True)
class Dmarc:
    """The result for the From domain and the policy its owner asks for a failure. ``aligned``: by what it passed.

    A policy that could not be read now counts as ``reject``: whoever is asked to skip the check asks for nothing else.
    """

    result: DmarcResult
    domain: str = ""
    policy: Policy = "none"
    aligned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """A policy record (RFC 7489 §6.3). ``psd`` is DMARCbis': ``y`` a public suffix, ``n`` an organisation."""

    policy: Policy
    subdomains: Policy
    strict_dkim: bool
    strict_spf: bool
    psd: str
    testing: bool


async def check(resolver: Resolver, author: str | None, spf: Spf | None, signatures: Sequence[Dkim]) -> Dmarc:
    """Check the domain of the only From address; None (no or several addresses) is a permerror. Never raises.

    A permerror asks for nothing by itself; the rules decide what a message without one author is worth.
    """
    if author is None:
        return Dmarc("permerror")
    domain = author.lower().rstrip(".")
    try:
        walked = await _walk(resolver, domain)
        if not walked:
            return Dmarc("none", domain)
        organisation = _organisation(domain, walked)
        record, at = _policy(domain, organisation, walked)
        if record is None:
            return Dmarc("none", domain)
        policy = record.policy if at == domain else record.subdomains
        if record.testing:
            policy = "quarantine" if policy == "reject" else "none"
        aligned = []
        proved = [("dkim", one.domain, record.strict_dkim) for one in signatures if one.result == "pass"]
        if spf is not None and spf.result == "pass":
            proved.append(("spf", spf.domain.lower().rstrip("."), record.strict_spf))
        for how, owner, strict in proved:
            if owner == domain or (not strict and await _same(resolver, owner, organisation)):
                aligned.append(how)
    except DnsUnavailable:
        return Dmarc("temperror", domain, "reject")
    if aligned:
        return Dmarc("pass", domain, policy, tuple(dict.fromkeys(aligned)))
    unsure = (spf is not None and spf.result == "temperror") or any(
        one.result == "temperror" for one in signatures
    )
    return Dmarc("temperror" if unsure else "fail", domain, policy)


async def _same(resolver: Resolver, owner: str, organisation: str) -> bool:
    """Relaxed alignment: the proved domain is of the same organisation."""
    if owner != organisation and not owner.endswith("." + organisation):
        return False
    return _organisation(owner, await _walk(resolver, owner)) == organisation


async def _walk(resolver: Resolver, domain: str) -> dict[str, Record]:
    """The records on the way up, at most eight look-ups (DMARCbis §4.10); more than eight labels skip to seven."""
    found: dict[str, Record] = {}
    labels = domain.split(".")
    steps = [labels]
    rest = labels[1:] if len(labels) <= _MOST_STEPS else labels[-(_MOST_STEPS - 1) :]
    while rest:
        steps.append(rest)
        rest = rest[1:]
    for one in steps[:_MOST_STEPS]:
        name = ".".join(one)
        record = _record(await resolver.txt("_dmarc." + name))
        if record is not None:
            found[name] = record
            if record.psd in ("y", "n"):
                break
    return found


def _organisation(domain: str, walked: dict[str, Record]) -> str:
    """DMARCbis §4.10.2: below a public suffix, at ``psd=n``, else the topmost record, else the domain itself."""
    for name, record in walked.items():  # from the longest
        if record.psd == "n":
            return name
        if record.psd == "y" and name != domain:
            return ".".join(domain.split(".")[-(name.count(".") + 2) :])
    return list(walked)[-1] if walked else domain


def _policy(domain: str, organisation: str, walked: dict[str, Record]) -> tuple[Record | None, str]:
    for name in (domain, organisation):
        if name in walked:
            return walked[name], name
    last = next(((name, one) for name, one in walked.items() if one.psd == "y"), None)
    return (last[1], last[0]) if last is not None else (None, "")


def _record(texts: Sequence[str]) -> Record | None:
    found = [one for one in map(_parse, texts[:20]) if one is not None]
    return found[0] if len(found) == 1 else None  # several: as if there were none (RFC 7489 §6.6.3)


@lru_cache(maxsize=4096)
def _parse(text: str) -> Record | None:
    if not text.startswith("v=DMARC1"):
        return None
    try:
        tags = {name.lower(): value for name, value in tag_list(text).items()}
    except Unusable:
        return None
    if next(iter(tags)) != "v" or tags["v"] != "DMARC1":
        return None
    policy = _word(tags.get("p", ""), "none" if "rua" in tags else None)
    if policy is None:
        return None
    return Record(
        policy,
        _word(tags.get("sp", ""), policy) or policy,
        tags.get("adkim", "r").lower() == "s",
        tags.get("aspf", "r").lower() == "s",
        tags.get("psd", "u").lower(),
        tags.get("t", "n").lower() == "y",
    )


def _word(text: str, default: Policy | None) -> Policy | None:
    word = text.strip().lower()
    return cast(Policy, word) if word in ("none", "quarantine", "reject") else default
