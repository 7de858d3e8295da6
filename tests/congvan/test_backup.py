# SPDX-License-Identifier: AGPL-3.0-or-later
"""A backup taken while serving comes back whole: UIDs, UIDVALIDITY, modseqs, documents' files, keys."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest
import sqlalchemy as sa

from config.refusal import Refused
from config.seal import create_keyring
from config.settings import Backup, DatabaseSettings, Settings
from config.settings import Store as StoreSettings
from config.settings_file import example, read
from congvan import migrate
from congvan.backup.restoring import restore
from congvan.backup.taking import manifests, take
from congvan.installation import Installation
from mailserver.accounts.changes import NewAccount, NewAgency, add_account, add_agency
from mailserver.store import DELETED, SEEN, Ref, mailboxes, outbound, schema, vault
from mailserver.store.compaction import Compaction
from mailserver.store.objects import Bucket, Objects
from mailserver.store.relocating import Relocating
from mailserver.store.verify import verify_data
from tests.mailserver.store.bucket import serving

WORD = b"DAUHIEUSAOLUU"


class House:
    """One installation made as the program makes it, with one mailbox."""

    def __init__(self, folder: Path, url: str, bucket: Bucket | None = None) -> None:
        identity = pyrage.x25519.Identity.generate()
        self.key = folder / "offline.key"
        folder.mkdir()
        self.key.write_text(f"{identity}\n")
        settings = Settings(
            base=folder,
            file=folder / "province.toml",
            database=DatabaseSettings(url=url),
            backup=Backup(recipient=str(identity.to_public())),
        )
        settings.data_dir.mkdir()
        settings.master_key.parent.mkdir()
        create_keyring(settings.master_key, settings.keyring)
        (settings.data_dir / "documents" / "1").mkdir(parents=True)
        (settings.data_dir / "documents" / "1" / "file").write_bytes(b"sealed document")
        (settings.data_dir / "ledger").mkdir()
        (settings.data_dir / "ledger" / "checkpoint").write_bytes(b"checkpoint")
        if bucket is not None:
            settings = replace(settings, store=in_bucket(bucket))
        settings.file.write_text(example(settings))
        migrate.upgrade(settings.database_url)
        self.parts = Installation(read(settings.file))

        def job(conn: sa.Connection) -> Ref:
            home = add_agency(conn, self.parts.seal, NewAgency("H12.01", "VP", "VP", "vp.example"))
            who = add_account(conn, self.parts.seal, home, NewAccount("cv@vp.example", "A", "B", "clerk"))
            return mailboxes.create_standard(conn, self.parts.seal, who.ref)

        self.inbox = self.parts.database.write(job)

    def letters(self, *marks: str) -> None:
        async def walk() -> None:
            for one in marks:
                data = b"Subject: %b\r\n\r\n%b %b\r\n" % (one.encode(), WORD, one.encode())
                await self.parts.store.append(self.inbox, data, 0, 1)

        asyncio.run(walk())

    def expunge(self, uids: list[int]) -> None:
        async def walk() -> None:
            await self.parts.store.set_flags(self.inbox, uids, "add", DELETED)
            await self.parts.store.expunge(self.inbox, uids)

        asyncio.run(walk())


def in_bucket(bucket: Bucket) -> StoreSettings:
    """The settings of a store in ``bucket``."""
    return StoreSettings(
        s3_bucket=bucket.name,
        s3_prefix=bucket.prefix,
        s3_endpoint=bucket.endpoint,
        s3_credentials=str(bucket.credentials),
    )


class Client:
    """What a QRESYNC client remembers of a mailbox (RFC 7162 §3.2.5), and how it catches up."""

    def __init__(self) -> None:
        self.uidvalidity = 0
        self.modseq = 0
        self.flags: dict[int, int] = {}
        self.bodies: dict[int, bytes] = {}

    def synchronise(self, parts: Installation, ref: Ref) -> None:
        box = parts.store.mailbox(ref)
        assert box is not None
        if self.uidvalidity not in (0, box.uidvalidity):
            self.flags, self.bodies, self.modseq = {}, {}, 0
        self.uidvalidity = box.uidvalidity
        changed: set[int] = set()
        for one in parts.store.changes(ref, self.modseq):
            for uid in set(self.flags) & set(range(one.first_uid, one.last_uid + 1)):
                if one.kind == "expunged":
                    del self.flags[uid], self.bodies[uid]
            changed |= {row.uid for row in parts.store.rows(ref, one.first_uid, one.last_uid)}
        for row in parts.store.uid_map(ref):
            if row.uid in changed:
                self.flags[row.uid] = row.flags
                self.bodies.setdefault(row.uid, parts.store.content(row.blob))
        self.modseq = box.highestmodseq


@pytest.fixture(params=["sqlite", "postgresql"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    url = ""
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
        _emptied(url)
    made = House(tmp_path / "house", url)
    yield made
    made.parts.close()
    if url:
        _emptied(url)


def _emptied(url: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as conn:
        conn.exec_driver_sql("DROP SCHEMA public CASCADE")
        conn.exec_driver_sql("CREATE SCHEMA public")
    engine.dispose()


def test_what_comes_back_is_whole_and_clients_keep_their_caches(house: House, tmp_path: Path) -> None:
    dest, ref = tmp_path / "dest", house.inbox
    house.letters("một", "hai", "ba", "bốn")
    house.expunge([2])
    first = take(house.parts, dest)
    house.letters("năm")
    take(house.parts, dest)
    assert manifests(dest)[0]["name"] == first.name
    saved = {row.uid: house.parts.store.content(row.blob) for row in house.parts.store.uid_map(ref)}
    client = Client()
    client.synchronise(house.parts, ref)
    # After the backup, lost with the machine: a letter, a flag, an expunge that the client saw.
    house.letters("sáu mất")
    asyncio.run(house.parts.store.set_flags(ref, [1], "add", SEEN))
    house.expunge([3])
    client.synchronise(house.parts, ref)
    assert set(client.flags) == {1, 4, 5, 6}
    was = house.parts.store.mailbox(ref)
    assert was is not None

    done = restore(dest, tmp_path / "again", house.key)
    parts = Installation(done.settings)
    try:
        assert verify_data(parts.database, parts.segments, parts.seal).problems == []
        box = parts.store.mailbox(ref)
        assert box is not None
        assert box.uidvalidity == was.uidvalidity
        assert box.highestmodseq > was.highestmodseq
        assert {row.uid: parts.store.content(row.blob) for row in parts.store.uid_map(ref)} == saved
        uid = asyncio.run(parts.store.append(ref, b"Subject: moi\r\n\r\nmoi\r\n", 0, 1))
        assert uid > was.uidnext
        kept = dict(client.bodies)
        client.synchronise(parts, ref)
        assert set(client.flags) == {1, 3, 4, 5, uid}
        assert client.flags[1] == 0
        for known in (1, 4, 5):
            assert client.bodies[known] == kept[known] == saved[known]
        assert (done.settings.data_dir / "documents" / "1" / "file").read_bytes() == b"sealed document"
        with parts.database.reading() as conn:
            who = parts.accounts.by_address("cv@vp.example")
            assert who is not None
            (one,) = vault.of_owner(conn, parts.seal, who.ref)
        assert one.uid == 2
    finally:
        parts.close()


def test_a_store_in_a_bucket_comes_back_as_files_and_goes_up_again(tmp_path: Path) -> None:
    """The bucket is lost with the machine; what was restored moves into another one. Clients keep their caches."""
    dest = tmp_path / "dest"
    with serving(tmp_path) as bucket:
        house = House(tmp_path / "house", "", bucket)
        ref = house.inbox
        house.letters(*(f"thư {n}" for n in range(12)))
        house.expunge([2])
        take(house.parts, dest)
        house.letters("sau")
        assert 0 < take(house.parts, dest).copied_bytes < 1000
        client = Client()
        client.synchronise(house.parts, ref)
        bodies = dict(client.bodies)
        assert not (house.parts.settings.data_dir / "segments").exists()
        assert len(house.parts.segments.sizes()) > 1
        house.parts.close()
    done = restore(dest, tmp_path / "again", house.key)
    assert not done.settings.store.s3_bucket
    (tmp_path / "other").mkdir()
    with serving(tmp_path / "other") as bucket:
        settings = replace(done.settings, store=in_bucket(bucket))
        for moved in (False, True):
            parts = Installation(settings)
            work = Compaction(parts.database, parts.segments, 50)
            if not moved:
                assert isinstance(parts.segments, Relocating)
                work.round(lambda: True)
                work.round(lambda: True)
                assert work.remove(grace_s=0) > 1
            else:
                assert isinstance(parts.segments, Objects)
            assert verify_data(parts.database, parts.segments, parts.seal).problems == []
            client.synchronise(parts, ref)
            assert client.bodies == bodies
            parts.close()


def test_a_second_generation_copies_only_what_is_new(house: House, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    house.letters(*(f"thư {n}" for n in range(30)))
    first = take(house.parts, dest)
    house.letters("thêm")
    second = take(house.parts, dest)
    assert 0 < second.copied_bytes < first.copied_bytes / 10
    old = restore(dest, tmp_path / "old", house.key, generation=first.name)
    parts = Installation(old.settings)
    assert len(parts.store.uid_map(house.inbox)) == 30
    parts.close()


def test_a_segment_number_means_one_segment_for_good(tmp_path: Path) -> None:
    """Also when the newest segment went, and when an older generation was restored and goes on in the same folder:
    what a generation knows by its number is never taken for something else."""
    dest = tmp_path / "dest"
    house = House(tmp_path / "house", "")
    house.letters(*(f"thư {n}" for n in range(30)))
    first = take(house.parts, dest)
    house.expunge(list(range(1, 31)))
    house.parts.database.write(lambda conn: vault.purge(conn, vault.cutoff_us(0)))
    house.parts.close()
    house.parts = Installation(house.parts.settings)
    work = Compaction(house.parts.database, house.parts.segments, 50)
    work.round(lambda: True)
    work.remove(grace_s=-1)
    house.letters("sau")
    take(house.parts, dest)
    house.parts.close()
    for number, generation in enumerate(("", first.name)):
        done = restore(dest, tmp_path / f"again{number}", house.key, generation=generation)
        house.parts = Installation(done.settings)
        assert verify_data(house.parts.database, house.parts.segments, house.parts.seal).problems == []
        house.letters("và sau nữa", "thêm")
        take(house.parts, dest)
        house.parts.close()
        house.parts = Installation(restore(dest, tmp_path / f"last{number}", house.key).settings)
        assert verify_data(house.parts.database, house.parts.segments, house.parts.seal).problems == []
        house.parts.close()


def test_what_was_erased_after_the_backup_is_erased_again(house: House, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    house.letters("giữ", "xóa")
    first = take(house.parts, dest)
    house.expunge([2])
    house.parts.database.write(lambda conn: vault.purge(conn, vault.cutoff_us(0)))
    take(house.parts, dest)
    done = restore(dest, tmp_path / "again", house.key, generation=first.name)
    assert done.erased == 1
    parts = Installation(done.settings)
    assert [row.uid for row in parts.store.uid_map(house.inbox)] == [1]
    assert verify_data(parts.database, parts.segments, parts.seal).problems == []
    parts.close()


def test_the_queue_is_held_after_a_restore(house: House, tmp_path: Path) -> None:
    house.letters("đi")
    (row,) = house.parts.store.uid_map(house.inbox)

    def job(conn: sa.Connection) -> None:
        conn.execute(sa.update(schema.blob).values(refs=2))
        new = outbound.NewOutbound(1, row.blob, "a@vp.example", "b@elsewhere.example")
        outbound.add(conn, house.parts.seal, new)

    house.parts.database.write(job)
    take(house.parts, tmp_path / "dest")
    done = restore(tmp_path / "dest", tmp_path / "again", house.key)
    parts = Installation(done.settings)
    with parts.database.reading() as conn:
        assert [one.state for one in outbound.listed(conn, parts.seal)] == ["held"]
    parts.close()


def test_a_damaged_or_foreign_backup_is_refused(house: House, tmp_path: Path) -> None:
    house.letters("một")
    dest = tmp_path / "dest"
    taken = take(house.parts, dest)
    other = tmp_path / "other.key"
    other.write_text(str(pyrage.x25519.Identity.generate()))
    with pytest.raises(Refused) as caught:
        restore(dest, tmp_path / "a", other)
    assert caught.value.code == "backup-damaged"
    manifest = dest / taken.name / "manifest.json"
    told = json.loads(manifest.read_bytes())
    manifest.write_text(json.dumps({**told, "rows": {}}))
    with pytest.raises(Refused, match="manifest"):
        restore(dest, tmp_path / "b", house.key)
    manifest.write_text(json.dumps(told))
    path = dest / taken.name / "segments.age"
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    with pytest.raises(Refused, match="altered"):
        restore(dest, tmp_path / "c", house.key)


def test_nothing_lies_in_clear_in_a_backup_and_age_opens_it(house: House, tmp_path: Path) -> None:
    house.letters("một")
    dest = tmp_path / "dest"
    taken = take(house.parts, dest)
    for path in dest.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert WORD not in data
            assert b"vp.example" not in data
    opened = subprocess.run(
        ["age", "--decrypt", "-i", str(house.key), str(dest / taken.name / "keys.age")],
        capture_output=True,
        check=True,
    )
    assert house.parts.settings.master_key.read_bytes() in opened.stdout


def test_it_comes_back_on_the_other_engine(tmp_path: Path, postgres_url: str) -> None:
    house = House(tmp_path / "house", "")
    house.letters("một", "hai")
    take(house.parts, tmp_path / "dest")
    house.parts.close()
    _emptied(postgres_url)
    done = restore(tmp_path / "dest", tmp_path / "again", house.key, database_url=postgres_url)
    parts = Installation(done.settings)
    assert parts.database.dialect == "postgresql"
    assert verify_data(parts.database, parts.segments, parts.seal).problems == []
    assert asyncio.run(parts.store.append(house.inbox, b"x: y\r\n\r\nz", 0, 1)) > 2
    parts.close()
    _emptied(postgres_url)


def test_without_a_key_it_says_what_to_do(tmp_path: Path) -> None:
    house = House(tmp_path / "house", "")
    house.parts.settings = replace(house.parts.settings, backup=Backup())
    with pytest.raises(Refused) as caught:
        take(house.parts, tmp_path / "dest")
    assert caught.value.code == "no-backup-key"
    assert not list((tmp_path / "dest").iterdir())
    house.parts.close()
