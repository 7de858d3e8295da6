# SPDX-License-Identifier: AGPL-3.0-or-later
"""The store on a bucket: the same promises as on files, with objects that hold the blobs of a group."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from config.refusal import Refused
from mailserver.delivery import Delivery, Incoming, Recipient
from mailserver.store import objects, vault
from mailserver.store.compaction import Compaction
from mailserver.store.objects import Bucket, Objects, open_bucket
from mailserver.store.storage import StorageUnavailable
from mailserver.store.store import Store
from mailserver.store.verify import verify_data
from policy.rulebook import load
from tests.conftest import Province
from tests.mailserver.store.bucket import serving
from tests.mailserver.store.letters import expunge, fill, inbox, letter


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    with serving(tmp_path_factory.mktemp("s3")) as found:
        yield found


@pytest.fixture
def remote(province: Province, bucket: Bucket, tmp_path: Path) -> Province:
    """The province with its blobs in a folder of its own in the bucket."""
    client = open_bucket(replace(bucket, prefix=tmp_path.name))
    province.database.before_commit.clear()
    storage = Objects(client, 1 << 20)
    province.segments = storage  # type: ignore[assignment]
    province.store = Store(province.database, province.seal, storage, province.wake)
    return province


def whole(province: Province) -> None:
    assert verify_data(province.database, province.segments, province.seal).problems == []


def test_letters_that_arrive_together_share_objects(remote: Province) -> None:
    delivery = Delivery(remote.store, remote.accounts, load(None), 1 << 20)
    to = (Recipient(f"cv1@{remote.home.domain}"),)
    letters = [letter(f"thư {n}", 4000) for n in range(40)]

    async def walk() -> None:
        await asyncio.gather(
            *(delivery.deliver(Incoming("out@elsewhere.example", to, one, "mx")) for one in letters)
        )

    asyncio.run(walk())
    assert 1 <= len(remote.segments.sizes()) < 20
    other = Store(remote.database, remote.seal, remote.segments.sibling(), remote.wake)  # type: ignore[arg-type]
    there = {other.content(row.blob) for row in remote.store.uid_map(inbox(remote))}
    assert there == set(letters)
    whole(remote)


def test_compaction_merges_and_removes_objects(remote: Province, monkeypatch: pytest.MonkeyPatch) -> None:
    ref = inbox(remote)
    letters = fill(remote, ref, 12, size=4000)
    expunge(remote, ref, [1, 2, 3])
    remote.database.write(lambda conn: vault.purge(conn, vault.cutoff_us(0)))
    monkeypatch.setattr(objects, "_SETTLED_S", 0)
    work = Compaction(remote.database, remote.segments, 50)
    report = work.round(lambda: True)
    assert report.rewritten >= 9
    work.round(lambda: True)
    assert work.remove(grace_s=0) >= 9
    assert len(remote.segments.sizes()) < 12
    assert [remote.store.content(row.blob) for row in remote.store.uid_map(ref)] == letters[3:]
    whole(remote)


def test_without_the_bucket_nothing_is_acknowledged(remote: Province, bucket: Bucket) -> None:
    away = Objects(open_bucket(replace(bucket, endpoint="http://127.0.0.1:9")), 0)
    store = Store(remote.database, remote.seal, away, remote.wake)
    with pytest.raises(StorageUnavailable):
        asyncio.run(store.append(inbox(remote), b"Subject: x\r\n\r\nx", 0, 1))
    assert remote.store.uid_map(inbox(remote)) == []


def test_a_lost_object_is_found_and_named(remote: Province) -> None:
    fill(remote, inbox(remote), 2)
    remote.segments.remove(max(remote.segments.sizes()))  # type: ignore[attr-defined]
    problems = verify_data(remote.database, remote.segments, remote.seal).problems
    assert [one.kind for one in problems] == ["blob-unreadable"]


def test_missing_credentials_are_named(bucket: Bucket, tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        open_bucket(replace(bucket, credentials=tmp_path / "none.json"))
    assert "none.json" in caught.value.en
