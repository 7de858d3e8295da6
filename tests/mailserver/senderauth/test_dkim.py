# SPDX-License-Identifier: AGPL-3.0-or-later
"""DKIM of what comes in: what passes, what is weak, what is broken; other implementations agree."""

from __future__ import annotations

import asyncio
import base64
from functools import cache

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from mailserver.dns import Resolver
from mailserver.senderauth import canon, dkim
from mailserver.senderauth.canon import fields_of
from mailserver.senderauth.dkim import Dkim
from tests.mailserver.dns.serving import Zone, serving_dns
from tests.mailserver.senderauth.letters import LETTER, Key, record, signed

NOW = 1_795_500_000


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


ED = Ed25519PrivateKey.from_private_bytes(b"congvan test key, thirty-two by.")


def verified(letter: bytes, zone: Zone, at_s: int = NOW) -> tuple[Dkim, ...]:
    fields, start = fields_of(letter)
    with serving_dns(zone) as server:
        resolver = Resolver([server.place], timeout_s=8)
        return asyncio.run(dkim.verify(resolver, fields, memoryview(letter)[start:], at_s))


def zone(key: Key, extra: str = "", domain: str = "dongnai.example") -> Zone:
    return {f"s1._domainkey.{domain}": [("TXT", record(key, extra))]}


@pytest.mark.parametrize("key", [rsa_key(), ED], ids=["rsa", "ed25519"])
def test_a_good_signature_passes(key: Key) -> None:
    (found,) = verified(signed(LETTER, key), zone(key))
    assert (found.result, found.domain, found.selector) == ("pass", "dongnai.example", "s1")


@pytest.mark.parametrize(
    ("change", "result"),
    [
        (lambda one: one.replace(b"Xin gop", b"Xin GOP"), "fail"),
        (lambda one: one.replace(b"du thao", b"du  thao"), "pass"),  # relaxed
        (lambda one: one.replace(b"du thao", b"du thai"), "fail"),
        (lambda one: one + b"\r\n\r\n", "pass"),  # empty lines at the end don't count
        (lambda one: one + b"them", "fail"),
        (lambda one: b"Subject: khac\r\n" + one, "pass"),  # the lowest Subject is the signed one
        (lambda one: one.replace(b"<1@dongnai", b"<2@dongnai"), "pass"),  # not signed here
        (lambda one: one.replace(b"; s=s1;", b"; s=s2;"), "permerror"),
        (lambda one: one.replace(b"a=ed25519-sha256", b"a=rsa-sha1"), "permerror"),
        (lambda one: one.replace(b"h=from:", b"h=sender:"), "permerror"),
        (lambda one: one.replace(b"v=1;", b"v=2;"), "permerror"),
        (lambda one: one.replace(b"bh=", b"bh=A"), "fail"),
        (lambda one: one.replace(b"d=dongnai", b"d=dongnai; d=x"), "permerror"),
    ],
)
def test_changes(change: object, result: str) -> None:
    letter = change(signed(LETTER, ED))  # type: ignore[operator]
    assert [one.result for one in verified(letter, zone(ED))] == [result]


@pytest.mark.parametrize(
    ("tags", "extra", "result"),
    [
        ("x=1795499999", "", "fail"),
        ("t=1795499999; x=1795500001", "", "pass"),
        ("t=1795599999", "", "fail"),
        ("t=5; x=4", "", "permerror"),
        ("i=x@so.dongnai.example", "", "pass"),
        ("i=x@so.dongnai.example", "t=s; ", "permerror"),
        ("i=x@other.example", "", "permerror"),
        ("l=5", "", "policy"),
        ("l=999999", "", "fail"),
        ("", "t=y; ", "neutral"),
        ("", "s=other; ", "permerror"),
        ("", "s=email; h=sha256; ", "pass"),
        ("", "h=sha1; ", "permerror"),
        ("q=dns/txt", "", "pass"),
        ("q=http", "", "permerror"),
    ],
)
def test_tags(tags: str, extra: str, result: str) -> None:
    assert [one.result for one in verified(signed(LETTER, ED, tags=tags), zone(ED, extra))] == [result]


def test_short_keys_are_not_relied_on() -> None:
    weak = rsa.generate_private_key(65537, 1024)
    assert verified(signed(LETTER, weak), zone(weak))[0].result == "pass"
    # cryptography makes no key under 1024 bits; the bound itself is the record's
    assert dkim.key_record([record(weak)], "rsa-sha256").bits == 1024


@pytest.mark.parametrize(
    ("records", "result"),
    [
        ([], "permerror"),
        ([("TXT", "v=DKIM1; p=")], "permerror"),
        ([("TXT", "v=DKIM1; k=ed25519; p=AAAA")], "permerror"),
        ([("TXT", "hello")], "permerror"),
        ([("TXT", "k=ed25519; v=DKIM1; p=AAAA")], "permerror"),
        ([("SERVFAIL", "")], "temperror"),
        ([("TXT", "something else"), ("TXT", record(ED))], "pass"),
    ],
)
def test_key_records(records: list[tuple[str, str]], result: str) -> None:
    found = verified(signed(LETTER, ED), {"s1._domainkey.dongnai.example": records})
    assert [one.result for one in found] == [result]


def test_only_so_many_signatures_are_looked_at() -> None:
    letter = LETTER
    for _ in range(20):
        letter = signed(letter, ED)
    assert len(verified(letter, zone(ED))) == dkim.MOST_SIGNATURES


def test_an_oversigned_field_can_not_be_added() -> None:
    letter = signed(LETTER, ED, names="from:from:to:subject:subject")
    assert verified(letter, zone(ED))[0].result == "pass"
    assert verified(b"Subject: khac\r\n" + letter, zone(ED))[0].result == "fail"


def test_rfc8463_example() -> None:
    """RFC 8463 Appendix A: its message, its two keys, its two signatures."""
    letter = (
        b"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
        b" d=football.example.com; i=@football.example.com;\r\n"
        b" q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
        b" subject : date : message-id : from : subject : date;\r\n"
        b" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
        b" b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n"
        b" Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n"
        b"From: Joe SixPack <joe@football.example.com>\r\n"
        b"To: Suzie Q <suzie@shopping.example.net>\r\n"
        b"Subject: Is dinner ready?\r\n"
        b"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
        b"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
        b"\r\n"
        b"Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"
    )
    published = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    found = verified(letter, {"brisbane._domainkey.football.example.com": [("TXT", published)]})
    assert [one.result for one in found] == ["pass"]


@pytest.mark.parametrize(
    ("raw", "simple", "relaxed"),
    [
        (b"", b"\r\n", b""),
        (b"\r\n\r\n", b"\r\n", b""),
        (b" C \r\nD \t E\r\n\r\n\r\n", b" C \r\nD \t E\r\n", b" C\r\nD E\r\n"),  # RFC 6376 §3.4.5
        (b"no end", b"no end\r\n", b"no end\r\n"),
        (b"a \t\r\n  \r\n", b"a \t\r\n  \r\n", b"a\r\n"),
        (b"a\r\n ", b"a\r\n \r\n", b"a\r\n"),
    ],
)
def test_canonical_bodies(raw: bytes, simple: bytes, relaxed: bytes) -> None:
    assert canon.body(raw, "simple") == simple
    assert canon.body(raw, "relaxed") == relaxed


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=2000))
def test_no_bytes_make_the_verifier_raise(data: bytes) -> None:
    letter = b"DKIM-Signature:" + data + b"\r\n" + LETTER
    fields, start = fields_of(letter)
    assert start <= len(letter)
    resolver = Resolver(["127.0.0.1:9"], timeout_s=0.1)
    for one in asyncio.run(dkim.verify(resolver, fields, memoryview(letter)[start:], NOW)):
        assert one.result in ("permerror", "temperror", "fail")


@settings(max_examples=100, deadline=None)
@given(
    st.text("\r\n\t ab", max_size=80).map(lambda one: one.replace("\r", "").replace("\n", "\r\n").encode())
)
def test_canonical_bodies_stay_what_they_are(raw: bytes) -> None:
    for how in ("simple", "relaxed"):
        once = canon.body(raw, how)  # type: ignore[arg-type]
        assert canon.body(once, how) == once  # type: ignore[arg-type]


def test_base64_of_a_mark_is_the_beginning_of_b() -> None:
    letter = signed(LETTER, ED)
    (found,) = verified(letter, zone(ED))
    assert b"b=" + found.mark.encode() in letter
    assert len(base64.b64decode(found.mark)) == 6
