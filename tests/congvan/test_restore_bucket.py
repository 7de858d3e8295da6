# SPDX-License-Identifier: AGPL-3.0-or-later
"""A backup comes back straight into a bucket: whole, with the UIDs and caches of clients; interrupted, it goes on."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest

from config.refusal import Refused
from config.settings import Settings
from config.settings_file import example, read
from congvan.backup.restoring import Restored, restore
from congvan.backup.taking import take
from congvan.installation import Installation, open_objects
from congvan.main import main
from mailserver.store.objects import Bucket, Objects
from mailserver.store.verify import verify_data
from tests.congvan.test_backup import Client, House, _emptied, in_bucket
from tests.mailserver.store.bucket import serving


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    with serving(tmp_path_factory.mktemp("s3")) as found:
        yield found


@pytest.fixture
def target(bucket: Bucket, tmp_path: Path) -> Settings:
    """Settings that name an empty place in the bucket."""
    store = in_bucket(replace(bucket, prefix=tmp_path.name))
    settings = Settings(base=tmp_path, file=tmp_path / "target.toml", store=store)
    settings.file.write_text(example(settings))
    return read(settings.file)


def whole(done: Restored, house: House, client: Client) -> None:
    """All of it lies in the bucket alone, and a client that was away finds what it knows."""
    bodies = dict(client.bodies)
    parts = Installation(done.settings)
    try:
        assert isinstance(parts.segments, Objects)
        assert not (done.settings.data_dir / "segments").exists()
        assert verify_data(parts.database, parts.segments, parts.seal).problems == []
        client.synchronise(parts, house.inbox)
        assert client.bodies == bodies
        assert asyncio.run(parts.store.append(house.inbox, b"Subject: moi\r\n\r\nmoi\r\n", 0, 1)) > max(
            bodies
        )
    finally:
        parts.close()


def saved(house: House, dest: Path) -> Client:
    """Three generations of files, with waste between; and a client that knows the last state."""
    for round_ in range(3):
        house.letters(*(f"thư {round_}.{n}" for n in range(20)))
        house.expunge([20 * round_ + 2, 20 * round_ + 3])
        take(house.parts, dest)
    client = Client()
    client.synchronise(house.parts, house.inbox)
    house.parts.close()
    return client


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_files_come_back_in_a_bucket(
    engine: str, target: Settings, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    house = House(tmp_path / "house", "")
    client = saved(house, tmp_path / "dest")
    url = ""
    if engine == "postgresql":
        url = request.getfixturevalue("postgres_url")
        _emptied(url)
    shutil.rmtree(house.parts.settings.data_dir)
    done = restore(tmp_path / "dest", tmp_path / "again", house.key, database_url=url, bucket=target)
    assert (tmp_path / "again" / "secrets" / "s3.json").stat().st_mode & 0o777 == 0o600
    assert len(open_objects(done.settings).sizes()) == 1
    whole(done, house, client)
    if url:
        _emptied(url)


def test_a_bucket_comes_back_in_another_one(bucket: Bucket, target: Settings, tmp_path: Path) -> None:
    house = House(tmp_path / "house", "", replace(bucket, prefix=f"{tmp_path.name}-old"))
    client = saved(house, tmp_path / "dest")
    whole(restore(tmp_path / "dest", tmp_path / "again", house.key, bucket=target), house, client)


def test_what_was_begun_goes_on_with_the_same_command_only(target: Settings, tmp_path: Path) -> None:
    house = House(tmp_path / "house", "")
    client = saved(house, tmp_path / "dest")
    dest, again = tmp_path / "dest", tmp_path / "again"
    wrong = tmp_path / "wrong.key"
    wrong.write_text(str(pyrage.x25519.Identity.generate()))
    with pytest.raises(Refused):
        restore(dest, again, wrong, bucket=target)
    assert not (again / "province.toml").exists()
    with pytest.raises(Refused) as caught:
        restore(dest, again, house.key)
    assert caught.value.code == "other-restore"
    done = restore(dest, again, house.key, bucket=target)
    assert not (again / "restoring.json").exists()
    with pytest.raises(Refused) as caught:
        restore(dest, again, house.key, bucket=target)
    assert caught.value.code == "folder-not-empty"
    whole(done, house, client)


def test_a_place_in_use_is_refused(bucket: Bucket, target: Settings, tmp_path: Path) -> None:
    house = House(tmp_path / "house", "", replace(bucket, prefix=tmp_path.name))
    house.letters("ở đây")
    take(house.parts, tmp_path / "dest")
    house.parts.close()
    words = ["restore", str(tmp_path / "dest"), str(tmp_path / "again"), "--key", str(house.key)]
    assert main([*words, "--bucket", str(target.file)]) == 1
    assert not (tmp_path / "again").exists()
    other = example(replace(target, store=replace(target.store, s3_bucket="")))
    target.file.write_text(other)
    assert main([*words, "--bucket", str(target.file)]) == 1
    target.file.write_text(example(replace(target, store=replace(target.store, s3_prefix="free"))))
    assert main([*words, "--bucket", str(target.file)]) == 0
