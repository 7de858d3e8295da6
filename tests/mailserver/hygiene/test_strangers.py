# SPDX-License-Identifier: AGPL-3.0-or-later
"""Greylisting and block lists."""

from __future__ import annotations

import asyncio

import pytest

from config.database import Database
from config.refusal import Refused, Unavailable
from config.seal import Seal
from mailserver.dns import Resolver
from mailserver.hygiene.blocklists import BlockLists
from mailserver.hygiene.greylisting import Greylist
from tests.mailserver.dns.serving import serving_dns

MINUTE = 60_000_000
DAY = 24 * 60 * MINUTE


def test_a_stranger_comes_back_and_is_known(database: Database, seal: Seal) -> None:
    greylist = Greylist(database, seal, minutes=5, days=36)

    def passes(client: str, sender: str, at: int) -> bool:
        async def go() -> bool:
            try:
                await greylist.check(client, sender, at)
            except Unavailable:
                return False
            return True

        return asyncio.run(go())

    assert not passes("192.0.2.1", "a@x.example", 0)
    assert not passes("192.0.2.1", "a@x.example", 4 * MINUTE)
    assert passes("192.0.2.77", "A@x.example", 6 * MINUTE)  # a neighbour of the same network
    assert passes("192.0.2.1", "a@x.example", 7 * MINUTE)
    assert not passes("198.51.100.1", "a@x.example", 7 * MINUTE)
    assert not passes("192.0.2.1", "b@x.example", 7 * MINUTE)
    assert passes("192.0.2.1", "a@x.example", 30 * DAY)
    assert passes("192.0.2.1", "a@x.example", 60 * DAY)  # each letter renews it
    assert not passes("192.0.2.1", "a@x.example", 97 * DAY)
    assert not passes("2001:db8::1", "a@x.example", 0)
    assert passes("2001:db8::2", "a@x.example", 6 * MINUTE)


def test_without_minutes_nobody_waits(sqlite_database: Database, seal: Seal) -> None:
    asyncio.run(Greylist(sqlite_database, seal, 0, 36).check("192.0.2.1", "a@x.example", 0))


@pytest.mark.parametrize(
    ("client", "listed"),
    [
        ("192.0.2.1", True),
        ("192.0.2.2", False),
        ("192.0.2.3", False),  # the list says that it was asked wrongly
        ("192.0.2.4", False),  # the list does not answer
        ("2001:db8::1", True),
    ],
)
def test_block_lists(client: str, listed: bool) -> None:
    six = ".".join(reversed("20010db8000000000000000000000001"))
    zone = {
        "1.2.0.192.list.example": [("A", "127.0.0.2")],
        "3.2.0.192.list.example": [("A", "127.255.255.254")],
        "4.2.0.192.list.example": [("SERVFAIL", "")],
        f"{six}.list.example": [("A", "127.0.0.10")],
    }
    with serving_dns(zone) as dns:
        lists = BlockLists(Resolver([dns.place], timeout_s=8), ["list.example"])
        if listed:
            with pytest.raises(Refused, match=r"list\.example"):
                asyncio.run(lists.check(client))
        else:
            asyncio.run(lists.check(client))
