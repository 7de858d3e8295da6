# SPDX-License-Identifier: AGPL-3.0-or-later
"""DMARC, Authentication-Results and look-alike domains, over a real DNS server."""

from __future__ import annotations

import asyncio

import pytest

from mailserver.dns import Resolver
from mailserver.senderauth.homograph import odd_label
from mailserver.senderauth.sender import Sender, SenderCheck
from tests.mailserver.dns.serving import Zone, serving_dns
from tests.mailserver.senderauth.letters import LETTER, record, signed
from tests.mailserver.senderauth.test_dkim import ED, NOW

SERVER = "mail.camau.example"


def checked(
    letter: bytes, zone: Zone, *, client: str = "192.0.2.1", sender: str = "a@dongnai.example"
) -> tuple[Sender, bytes, bytes]:
    with serving_dns(zone) as server:
        check = SenderCheck(Resolver([server.place], timeout_s=8), SERVER, [], 10)
        found, field, data = asyncio.run(check.check(client, "h.dongnai.example", sender, letter, NOW))
        return found, field, bytes(data)


def zone(policy: str = "p=reject", where: str = "dongnai.example", **more: str) -> Zone:
    return {
        "dongnai.example": [("TXT", "v=spf1 ip4:192.0.2.1 -all")],
        f"_dmarc.{where}": [("TXT", f"v=DMARC1; {policy}")],
        "s1._domainkey.dongnai.example": [("TXT", record(ED))],
        "s1._domainkey.other.example": [("TXT", record(ED))],
        **{name.replace("_at_", "."): [("TXT", text)] for name, text in more.items()},
    }


def letter_from(domain: str) -> bytes:
    return LETTER.replace(b"vanthu@dongnai.example", b"vanthu@" + domain.encode())


@pytest.mark.parametrize(
    ("letter", "policy", "client", "sender", "result", "asked"),
    [
        (LETTER, "p=reject", "192.0.2.1", "a@dongnai.example", "pass", "reject"),  # by SPF
        (signed(LETTER, ED), "p=reject", "198.51.100.1", "a@dongnai.example", "pass", "reject"),  # by DKIM
        (LETTER, "p=reject", "198.51.100.1", "a@dongnai.example", "fail", "reject"),
        (LETTER, "p=quarantine", "198.51.100.1", "a@dongnai.example", "fail", "quarantine"),
        (LETTER, "p=none; rua=mailto:x@dongnai.example", "198.51.100.1", "a@dongnai.example", "fail", "none"),
        (LETTER, "p=reject; t=y", "198.51.100.1", "a@dongnai.example", "fail", "quarantine"),
        (signed(LETTER, ED, domain="other.example"), "p=reject", "198.51.100.1", "a@other.example", "fail", "reject"),
        (letter_from("so.dongnai.example"), "p=reject; sp=none", "192.0.2.1", "a@dongnai.example", "pass", "none"),
        (letter_from("so.dongnai.example"), "p=reject; aspf=s", "192.0.2.1", "a@dongnai.example", "fail", "reject"),
        (
            signed(letter_from("so.dongnai.example"), ED),
            "p=reject; adkim=s",
            "198.51.100.1",
            "",
            "fail",
            "reject",
        ),
        (letter_from("khac.example"), "p=reject", "192.0.2.1", "a@dongnai.example", "none", "none"),
        (b"From: x@khac.example\r\n" + LETTER, "p=reject", "192.0.2.1", "a@dongnai.example", "permerror", "none"),
        (LETTER, "p=rejected", "192.0.2.1", "a@dongnai.example", "none", "none"),
    ],
)  # fmt: skip
def test_dmarc(letter: bytes, policy: str, client: str, sender: str, result: str, asked: str) -> None:
    found, field, _ = checked(letter, zone(policy), client=client, sender=sender)
    assert (found.dmarc.result, found.dmarc.policy) == (result, asked)
    assert f"dmarc={result}".encode() in field


def test_a_public_suffix_is_no_organisation() -> None:
    records = zone("p=reject", "so.gov.example", _dmarc_at_gov_at_example="v=DMARC1; p=reject; psd=y")
    records["cuc.gov.example"] = [("TXT", "v=spf1 +all")]
    found, _, _ = checked(letter_from("so.gov.example"), records, sender="a@cuc.gov.example")
    assert found.dmarc.result == "fail"


def test_a_dead_dns_is_no_failure() -> None:
    found, _, _ = checked(
        LETTER,
        {"dongnai.example": [("SERVFAIL", "")], "_dmarc.dongnai.example": [("TXT", "v=DMARC1; p=reject")]},
    )
    assert (found.dmarc.result, found.proved) == ("temperror", False)


def test_a_long_walk_is_short() -> None:
    deep = ".".join("abcdefghijklmnop") + ".dongnai.example"
    with serving_dns(zone()) as server:
        check = SenderCheck(Resolver([server.place], timeout_s=8), SERVER, [], 10)
        asyncio.run(check.check("192.0.2.1", "h.example", "a@dongnai.example", letter_from(deep), NOW))
        assert len([one for one, _ in server.asked if one.startswith("_dmarc")]) <= 8


def test_the_field_says_what_was_found_and_nothing_of_a_strangers() -> None:
    liar = b"Authentication-Results: mail.camau.example; dmarc=pass header.from=dongnai.example\r\n"
    other = b"Authentication-Results: mx.dongnai.example; spf=pass\r\n"
    letter = liar + other + signed(LETTER, ED)
    found, field, data = checked(letter, zone(), sender='"x\r\nEvil: 1"@dongnai.example')
    assert found.proved
    assert data == other + signed(LETTER, ED) or data.startswith(other)
    assert liar not in data
    text = field.decode("ascii")
    assert text.startswith(f"Authentication-Results: {SERVER};\r\n\tspf=")
    assert "header.d=dongnai.example header.s=s1 header.a=ed25519-sha256 header.b=" in text
    assert "\r\nEvil" not in text


@pytest.mark.parametrize(
    ("domain", "odd"),
    [
        ("camau.gov.vn", False),
        ("cà-mau.vn", False),
        ("xn--c-mau-hoa.vn", False),
        ("đồngnai.vn", False),
        ("саmаu.gov.vn", True),  # Cyrillic с and а among Latin
        ("сосо.vn", True),  # all Cyrillic, reads like Latin
        ("xn--80ak6aa92e.com", True),  # the well-known apple
        ("пример.рф", False),
        ("中国.cn", False),
        ("日本ゲーム.jp", False),
        ("gοv.vn", True),  # Greek omicron
        ("camau\u200b.vn", True),
    ],
)
def test_look_alikes(domain: str, odd: bool) -> None:
    """S38: letters of several scripts in one label are odd, Vietnamese ones are not."""
    assert (odd_label(domain) is not None) == odd


def test_trusted_networks_are_not_asked() -> None:
    check = SenderCheck(Resolver(["127.0.0.1"]), SERVER, ["127.0.0.0/8", "10.1.0.0/16"], 1)
    assert check.is_trusted("127.0.0.1")
    assert check.is_trusted("10.1.2.3")
    assert not check.is_trusted("192.0.2.1")
