# SPDX-License-Identifier: AGPL-3.0-or-later
"""Quotas of account and agency hold in the delivering transaction; one full mailbox harms nobody else."""

from __future__ import annotations

import asyncio

import pytest

from mailserver.accounts.changes import set_quota
from mailserver.delivery import Delivery, Incoming, Recipient
from mailserver.store.quota import Limits, OverQuota
from mailserver.store.verify import verify_data
from policy.rulebook import load
from tests.conftest import Province
from tests.mailserver.store.letters import inbox, letter


def deliver(delivery: Delivery, *to: str, size: int = 2000) -> None:
    data = letter("hạn mức", size)
    people = tuple(Recipient(one) for one in to)
    asyncio.run(delivery.deliver(Incoming("out@elsewhere.example", people, data, "mx")))


def limited(province: Province, address: str, size: int | None) -> None:
    who = province.people[address]
    province.database.write(lambda conn: set_quota(conn, province.seal, who, size, "test"))


def test_a_full_mailbox_refuses_and_says_what_to_do(province: Province) -> None:
    delivery = Delivery(province.store, province.accounts, load(None), 1 << 20)
    full, other = f"cv1@{province.home.domain}", f"cv2@{province.home.domain}"
    limited(province, full, 5000)
    deliver(delivery, full)
    use = province.store.quota(province.people[full].ref)
    assert (use.limit, use.is_near) == (5000, False)
    assert 2000 < use.used < 2300
    deliver(delivery, full)
    assert not province.store.quota(province.people[full].ref).refuses(500)
    with pytest.raises(OverQuota) as caught:
        deliver(delivery, full, other)
    assert caught.value.code == "over-quota"
    assert full in caught.value.vi
    assert full in caught.value.en
    with pytest.raises(OverQuota):
        delivery.recipient(full)  # the next RCPT refuses the full one only
    assert delivery.recipient(other) == "local"
    deliver(delivery, other)
    limited(province, full, -1)
    deliver(delivery, full)
    limited(province, full, 10_000)
    with pytest.raises(OverQuota) as caught:
        deliver(delivery, full, size=20_000)
    assert caught.value.code == "larger-than-quota"
    assert delivery.recipient(other) == "local"
    assert verify_data(province.database, province.segments, province.seal).problems == []


def test_an_agency_is_limited_as_a_whole_and_others_are_not(province: Province) -> None:
    delivery = Delivery(province.store, province.accounts, load(None), 1 << 20)
    province.database.write(lambda conn: set_quota(conn, province.seal, province.home, 5000, "test"))
    deliver(delivery, f"cv1@{province.home.domain}")
    deliver(delivery, f"cv2@{province.home.domain}")
    with pytest.raises(OverQuota) as caught:
        deliver(delivery, f"lanhdao@{province.home.domain}", f"cv1@{province.home.domain}")
    assert "agency" in caught.value.en
    deliver(delivery, f"cv1@{province.other.domain}")
    assert province.store.agency_quota(province.home.number).used < 5000


def test_the_settings_default_holds_for_append_too(province: Province) -> None:
    province.store.limits = Limits(account=3000)
    ref = inbox(province)
    asyncio.run(province.store.append(ref, letter("a", 2000), 0, 1))
    with pytest.raises(OverQuota):
        asyncio.run(province.store.append(ref, letter("b", 2000), 0, 1))
    asyncio.run(province.store.append(inbox(province, "cv2"), letter("b", 2000), 0, 1))
