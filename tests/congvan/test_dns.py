# SPDX-License-Identifier: AGPL-3.0-or-later
"""What `congvan check` says of the DNS, and the keys of `congvan dkim`."""

from __future__ import annotations

import asyncio

import pytest

from config.database import Database
from config.seal import Seal
from congvan import dns_check
from mailserver.dns import Resolver
from mailserver.senderauth import keys
from tests.mailserver.dns.serving import Zone, serving_dns

HOST, DOMAIN = "mail.camau.example", "vpubnd.camau.example"
SERVER = dns_check.Server(HOST)


def looked(zone: Zone, rows: list[keys.KeyRow]) -> dict[str, str]:
    with serving_dns(zone) as dns:
        found = asyncio.run(dns_check.look(Resolver([dns.place], timeout_s=8), SERVER, [DOMAIN], rows))
    return {one.name: one.fix_en for one in found}


@pytest.fixture
def rows(sqlite_database: Database, seal: Seal) -> list[keys.KeyRow]:
    sqlite_database.write(lambda conn: keys.make(conn, seal, "camau.example", 1))
    return sqlite_database.write(lambda conn: keys.use(conn, "camau.example", 1))


def test_each_lack_is_said_with_its_record(rows: list[keys.KeyRow]) -> None:
    said = looked({}, rows)
    assert said["mx"] == f"publish: {DOMAIN}. IN MX 10 {HOST}."
    assert '"v=spf1 mx -all"' in said["spf"]
    assert "v=DMARC1" in said["dmarc"]
    assert "mta-sts.txt" in said["mta-sts"]
    assert rows[0].record in said["dkim"] or rows[1].record in said["dkim"]
    assert said["srv"] == (
        f"publish: _imaps._tcp.{DOMAIN}. IN SRV 0 1 993 {HOST}. _submissions._tcp.{DOMAIN}. IN SRV 0 1 465 {HOST}."
    )
    assert said["autoconfig"] == (
        f"publish: autoconfig.{DOMAIN}. IN CNAME {HOST}. autodiscover.{DOMAIN}. IN CNAME {HOST}."
    )
    assert said["ptr"] == f"publish: {HOST}. IN A …"
    assert "dkim make" in looked({}, [])["dkim"]


def test_a_good_zone_has_none(rows: list[keys.KeyRow]) -> None:
    zone: Zone = {
        DOMAIN: [("MX", f"10 {HOST}."), ("TXT", "v=spf1 mx -all")],
        "_dmarc.camau.example": [("TXT", "v=DMARC1; p=reject")],
        f"_mta-sts.{DOMAIN}": [("TXT", "v=STSv1; id=1")],
        f"_imaps._tcp.{DOMAIN}": [("SRV", f"0 1 993 {HOST}.")],
        f"_submissions._tcp.{DOMAIN}": [("SRV", f"0 1 465 {HOST}.")],
        f"autoconfig.{DOMAIN}": [("A", "192.0.2.1")],
        f"autodiscover.{DOMAIN}": [("AAAA", "2001:db8::1")],
        HOST: [("A", "192.0.2.1")],
        "1.2.0.192.in-addr.arpa": [("PTR", f"{HOST}.")],
        **{one.name: [("TXT", one.record)] for one in rows},
    }
    assert set(looked(zone, rows).values()) == {""}
    zone["1.2.0.192.in-addr.arpa"] = [("PTR", "other.example.")]
    assert looked(zone, rows)["ptr"].startswith("publish: 1.2.0.192.in-addr.arpa. IN PTR")
    zone[f"_imaps._tcp.{DOMAIN}"] = [("SRV", f"0 1 143 {HOST}.")]  # another port is not ours
    assert looked(zone, rows)["srv"] == f"publish: _imaps._tcp.{DOMAIN}. IN SRV 0 1 993 {HOST}."
    zone[DOMAIN].append(("TXT", "v=spf1 -all"))
    assert looked(zone, rows)["spf"]
    zone[f"_mta-sts.{DOMAIN}"] = [("SERVFAIL", "")]
    assert looked(zone, rows)["mta-sts"].startswith("publish: ?")
