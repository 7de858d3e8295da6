# SPDX-License-Identifier: AGPL-3.0-or-later
"""Quotas of account and agency hold in the delivering transaction; one full mailbox harms nobody else."""

from __future__ import annotations

import asyncio

import pytest

from mailserver.accounts.changes import set_quota
from mailserver.delivery import Delivery, Incoming, Recipient
from mailserver.store import submissions
from mailserver.store.compaction import usage
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


def test_copies_and_what_comes_from_others_need_room(province: Province) -> None:
    """COPY and MOVE are refused as a whole; what is moved within a mailbox's owner, or copied to the trash, is not."""
    store, person = province.store, province.people[f"cv1@{province.home.domain}"]
    rest = province.people[f"cv2@{province.home.domain}"]
    box = store.find(person.ref, "INBOX")
    archive, trash = (
        next(one.ref for one in store.mailboxes(person.ref) if one.special_use == use)
        for use in ("\\Archive", "\\Trash")
    )
    theirs = store.find(rest.ref, "INBOX")
    assert box is not None
    assert theirs is not None
    uids = [asyncio.run(store.append(box, letter(f"n{n}", 2000), 0, 1)) for n in range(2)]
    others = [asyncio.run(store.append(theirs, letter(f"m{n}", 2000), 0, 1)) for n in range(2)]
    limited(province, person.address, 7000)
    with pytest.raises(OverQuota):
        asyncio.run(store.copy(box, uids, archive))
    with pytest.raises(OverQuota):
        asyncio.run(store.move(theirs, others, box))
    assert store.uid_map(archive) == []
    assert len(store.uid_map(box)) == len(store.uid_map(theirs)) == 2
    assert len(asyncio.run(store.move(box, uids, archive))) == 2
    assert len(asyncio.run(store.copy(archive, [one.uid for one in store.uid_map(archive)], trash))) == 2
    assert verify_data(province.database, province.segments, province.seal).problems == []


def test_what_a_full_mailbox_refuses_leaves_nothing_on_the_disk(province: Province) -> None:
    """Large letters are refused before a segment gets their bytes, and small ones go on while there is room."""
    delivery = Delivery(province.store, province.accounts, load(None), 1 << 20)
    full = f"cv1@{province.home.domain}"
    limited(province, full, 400_000)
    deliver(delivery, full, size=200_000)
    with province.database.reading() as conn:
        before = usage(conn, province.segments)
    for _ in range(30):
        with pytest.raises(OverQuota):
            deliver(delivery, full, size=300_000)
        with pytest.raises(OverQuota) as caught:
            deliver(delivery, full, size=500_000)
        assert caught.value.code == "larger-than-quota"
    assert delivery.recipient(full) == "local"
    with province.database.reading() as conn:
        assert usage(conn, province.segments) == before
    deliver(delivery, full, size=100)


def test_what_was_held_is_written_once(province: Province) -> None:
    delivery = Delivery(province.store, province.accounts, load(None), 1 << 20)
    sender = province.people[f"cv1@{province.home.domain}"]
    data = b"From: " + sender.address.encode() + b"\r\n" + letter("giữ", 100_000).partition(b"\r\n")[2]
    to = (Recipient(f"cv2@{province.home.domain}"),)
    asyncio.run(
        delivery.deliver(Incoming(sender.address, to, data, "submission", account=sender, not_before_us=1))
    )
    with province.database.reading() as conn:
        (held,) = submissions.due(conn, province.seal, 10)
    outcome = asyncio.run(delivery.release(held))
    assert outcome is not None
    assert len(outcome.local) == 1
    with province.database.reading() as conn:
        (use,) = usage(conn, province.segments).values()
    assert use.end - use.live < 100
    assert verify_data(province.database, province.segments, province.seal).problems == []
