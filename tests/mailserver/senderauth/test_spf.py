# SPDX-License-Identifier: AGPL-3.0-or-later
"""SPF in the manner of the RFC 7208 test suite: one zone on a real server, one table."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailserver.dns import Resolver
from mailserver.senderauth import spf
from tests.mailserver.dns.serving import DnsServer, Zone, serving_dns

HOSTS = [("A", f"192.0.2.{one}") for one in range(1, 4)]


def txt(text: str) -> list[tuple[str, str]]:
    return [("TXT", text)]


ZONE: Zone = {
    "all.example": txt("v=spf1 -all"),
    "soft.example": txt("v=spf1 ~all"),
    "neutral.example": txt("v=spf1 ?all"),
    "nothing.example": txt("v=spf1"),
    "case.example": txt("V=SPF1 IP4:192.0.2.1 -ALL"),
    "two.example": [*txt("v=spf1 -all"), *txt("v=spf1 +all")],
    "other.example": txt("v=spf10 -all"),
    "four.example": txt("v=spf1 ip4:192.0.2.0/25 -all"),
    "six.example": txt("v=spf1 ip6:2001:db8::/32 -all"),
    "bad4.example": txt("v=spf1 ip4:192.0.2.0/33 -all"),
    "bad4b.example": txt("v=spf1 ip4:192.0.2 -all"),
    "zero.example": txt("v=spf1 ip4:192.0.2.0/08 -all"),
    "a.example": [*txt("v=spf1 a -all"), *HOSTS],
    "acidr.example": [*txt("v=spf1 a/24 -all"), *HOSTS],
    "anamed.example": txt("v=spf1 a:a.example/32//64 -all"),
    "mx.example": [*txt("v=spf1 mx -all"), ("MX", "10 a.example."), ("MX", "20 mail6.example.")],
    "mail6.example": [("AAAA", "2001:db8::6")],
    "manymx.example": [*txt("v=spf1 mx -all"), *[("MX", f"{one} h{one}.example.") for one in range(11)]],
    "ptr.example": [*txt("v=spf1 ptr -all")],
    "host.ptr.example": [("A", "192.0.2.1")],
    "1.2.0.192.in-addr.arpa": [("PTR", "host.ptr.example."), ("PTR", "liar.example.")],
    "exists.example": txt("v=spf1 exists:%{ir}.%{l1r+-}._spf.%{d} -all"),
    "1.2.0.192.strong._spf.exists.example": [("A", "127.0.0.2")],
    "include.example": txt("v=spf1 include:four.example -all"),
    "includefail.example": txt("v=spf1 include:all.example ?all"),
    "includenone.example": txt("v=spf1 include:nowhere.example ?all"),
    "includebad.example": txt("v=spf1 include:bad4.example ?all"),
    "redirect.example": txt("v=spf1 redirect=four.example"),
    "redirectnone.example": txt("v=spf1 redirect=nowhere.example"),
    "redirectall.example": txt("v=spf1 ?all redirect=all.example"),
    "tworedirects.example": txt("v=spf1 redirect=a.example redirect=b.example"),
    "loop.example": txt("v=spf1 include:loop.example -all"),
    "deep0.example": txt(
        "v=spf1 a:a.example a:a.example a:a.example a:a.example a:a.example include:deep1.example -all"
    ),
    "deep1.example": txt(
        "v=spf1 a:a.example a:a.example a:a.example a:a.example a:a.example a:a.example -all"
    ),
    "ten.example": txt("v=spf1 " + "a:a.example " * 10 + "ip4:198.51.100.9 -all"),
    "void2.example": txt("v=spf1 a:n1.example a:n2.example ?all"),
    "void3.example": txt("v=spf1 a:n1.example a:n2.example a:n3.example ?all"),
    "exp.example": txt("v=spf1 exp=why.exp.example -all"),
    "why.exp.example": txt("%{i} may not send for %{o}, says %{r}%%"),
    "unknown.example": txt("v=spf1 moo -all"),
    "modifier.example": txt("v=spf1 moo.cow=far_out=man:dog/cat -all"),
    "badmacro.example": txt("v=spf1 exists:%{q}.example -all"),
    "lonepercent.example": txt("v=spf1 exists:%a.example -all"),
    "qualifiedmodifier.example": txt("v=spf1 -redirect=all.example"),
    "late.example": txt("v=spf1 +all moo"),
    "servfail.example": [("SERVFAIL", "")],
    "aservfail.example": txt("v=spf1 a:servfail.example -all"),
    "long.example": txt("v=spf1 " + "ip4:198.51.100.1 " * 120 + "ip4:192.0.2.1 -all"),
    "helo.example": txt("v=spf1 ip4:192.0.2.1 -all"),
}


@pytest.fixture(scope="module")
def server() -> Iterator[DnsServer]:
    with serving_dns(ZONE) as one:
        yield one


def ask(
    server: DnsServer,
    domain: str,
    client: str = "192.0.2.1",
    local: str = "strong-bad",
    helo: str = "h.example",
) -> spf.Spf:
    resolver = Resolver([server.place], timeout_s=8)
    sender = f"{local}@{domain}" if domain else ""
    return asyncio.run(spf.check(resolver, client, helo, sender, "mail.camau.example"))


@pytest.mark.parametrize(
    ("domain", "client", "result"),
    [
        ("all", "192.0.2.1", "fail"),
        ("soft", "192.0.2.1", "softfail"),
        ("neutral", "192.0.2.1", "neutral"),
        ("nothing", "192.0.2.1", "neutral"),
        ("case", "192.0.2.1", "pass"),
        ("two", "192.0.2.1", "permerror"),
        ("other", "192.0.2.1", "none"),
        ("absent", "192.0.2.1", "none"),
        ("four", "192.0.2.127", "pass"),
        ("four", "192.0.2.128", "fail"),
        ("four", "::ffff:192.0.2.127", "pass"),
        ("six", "2001:db8::1", "pass"),
        ("six", "192.0.2.1", "fail"),
        ("bad4", "192.0.2.1", "permerror"),
        ("bad4b", "192.0.2.1", "permerror"),
        ("zero", "192.0.2.1", "permerror"),
        ("a", "192.0.2.3", "pass"),
        ("a", "192.0.2.4", "fail"),
        ("acidr", "192.0.2.200", "pass"),
        ("anamed", "192.0.2.2", "pass"),
        ("mx", "192.0.2.2", "pass"),
        ("mx", "2001:db8::6", "pass"),
        ("manymx", "192.0.2.2", "permerror"),
        ("ptr", "192.0.2.1", "pass"),
        ("ptr", "192.0.2.2", "fail"),
        ("exists", "192.0.2.1", "pass"),
        ("exists", "192.0.2.2", "fail"),
        ("include", "192.0.2.1", "pass"),
        ("include", "198.51.100.1", "fail"),
        ("includefail", "192.0.2.1", "neutral"),
        ("includenone", "192.0.2.1", "permerror"),
        ("includebad", "192.0.2.1", "permerror"),
        ("redirect", "192.0.2.1", "pass"),
        ("redirect", "198.51.100.1", "fail"),
        ("redirectnone", "192.0.2.1", "permerror"),
        ("redirectall", "192.0.2.1", "neutral"),
        ("tworedirects", "192.0.2.1", "permerror"),
        ("loop", "192.0.2.1", "permerror"),
        ("deep0", "198.51.100.1", "permerror"),
        ("ten", "198.51.100.9", "pass"),
        ("void2", "198.51.100.9", "neutral"),
        ("void3", "198.51.100.9", "permerror"),
        ("unknown", "192.0.2.1", "permerror"),
        ("modifier", "192.0.2.1", "fail"),
        ("badmacro", "192.0.2.1", "permerror"),
        ("lonepercent", "192.0.2.1", "permerror"),
        ("qualifiedmodifier", "192.0.2.1", "permerror"),
        ("late", "192.0.2.1", "permerror"),
        ("servfail", "192.0.2.1", "temperror"),
        ("aservfail", "192.0.2.1", "temperror"),
        ("long", "192.0.2.1", "pass"),
    ],
)
def test_results(server: DnsServer, domain: str, client: str, result: str) -> None:
    assert ask(server, f"{domain}.example", client).result == result


def test_an_empty_sender_is_judged_by_its_helo(server: DnsServer) -> None:
    found = ask(server, "", helo="helo.example")
    assert (found.result, found.identity, found.domain) == ("pass", "helo", "helo.example")
    assert ask(server, "", helo="[192.0.2.1]").result == "none"


def test_the_explanation_is_the_domains(server: DnsServer) -> None:
    found = ask(server, "exp.example", "192.0.2.9")
    assert found.explanation == "192.0.2.9 may not send for exp.example, says mail.camau.example%"


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=120))
def test_no_record_makes_it_raise(text: str) -> None:
    class Answers(Resolver):
        async def txt(self, name: str) -> tuple[str, ...]:
            return ("v=spf1 " + text,)

        async def _ask(self, name: str, kind: str) -> tuple[object, ...]:
            return ()

    found = asyncio.run(
        spf.check(Answers(["127.0.0.1"]), "192.0.2.1", "h.example", "a@b.example", "r.example")
    )
    assert found.result in ("neutral", "pass", "fail", "softfail", "permerror", "none")


# RFC 7208 §7.4: the published examples of macro expansion.
@pytest.mark.parametrize(
    ("macro", "expanded"),
    [
        ("%{s}", "strong-bad@email.example.com"),
        ("%{o}", "email.example.com"),
        ("%{d}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d3}", "email.example.com"),
        ("%{d2}", "example.com"),
        ("%{d1}", "com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{l}", "strong-bad"),
        ("%{l-}", "strong.bad"),
        ("%{lr}", "strong-bad"),
        ("%{lr-}", "bad.strong"),
        ("%{l1r-}", "strong"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
        ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"),
        ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
    ],
)
def test_macros(macro: str, expanded: str) -> None:
    from ipaddress import ip_address

    from mailserver.senderauth.macros import Subject, expand

    subject = Subject(ip_address("192.0.2.3"), "strong-bad@email.example.com", "h.example", "r.example", 0)

    async def unknown() -> str:
        return "unknown"

    assert asyncio.run(expand(macro, subject, "email.example.com", unknown)) == expanded
