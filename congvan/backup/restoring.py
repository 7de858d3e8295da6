# SPDX-License-Identifier: AGPL-3.0-or-later
"""Bringing an installation back from a backup folder, into a new folder, an empty database and, if wished, a bucket.

`province.toml` is what makes a folder an installation: it gets its name last. Until then the folder holds
`restoring.json` (which generation, how far), and the same command goes on where it was interrupted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from config.database import Database
from config.durable import write_durably
from config.refusal import Refused
from config.settings import DatabaseSettings, Paths, Settings, Store, Tls
from config.settings_file import example, read
from congvan import migrate
from congvan.backup.envelope import damaged, digest, exactly, identity_of, opening
from congvan.backup.placing import into_bucket, into_files
from congvan.backup.rows import go_on_counting, load
from congvan.backup.taking import mac, manifests
from congvan.backup.unfinished import Unfinished
from congvan.installation import open_database, open_objects, open_seal
from mailserver.store.fence import erase, fence

_KEYS = {
    "master_key": ("secrets/master.key", 0o600),
    "signer_secret": ("secrets/signer.key", 0o600),
    "keyring": ("data/keyring.json", 0o600),
    "tls_certificate": ("tls/server.pem", 0o644),
    "tls_key": ("tls/server.key", 0o600),
}
_S3_KEYS = "secrets/s3.json"


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back: ``erased`` messages were erased again because they were erased after the backup."""

    name: str
    settings: Settings
    mailboxes: int
    rows: int
    erased: int


def restore(
    folder: Path,
    target: Path,
    key: Path,
    *,
    generation: str = "",
    database_url: str = "",
    bucket: Settings | None = None,
) -> Restored:
    """Restore a generation (the newest by default) into ``target``, which is empty or new, or go on with it.

    ``database_url``: an empty database; "" is SQLite below ``target``. ``bucket``: settings whose ``[store] s3_…``
    name an empty place in a bucket for the message bytes; None: files below ``target``. Raises `Refused`:
    ``backup-damaged``, ``bad-backup-key``, ``no-such-generation``, ``folder-not-empty``, ``database-not-empty``,
    ``bucket-not-empty``, ``other-restore``; `StorageUnavailable` when the bucket is away.
    """
    identity = identity_of(key)
    found = manifests(folder)
    chosen = next((one for one in reversed(found) if generation in ("", one["name"])), None)
    if chosen is None:
        raise Refused(
            "no-such-generation",
            f"Không có bản sao lưu {generation or ''} trong {folder}.",
            f"There is no generation {generation or ''} in {folder}.",
        )
    until = [one for one in found if one["name"] <= chosen["name"]]
    later = [one for one in found if one["name"] > chosen["name"]]
    if bucket is not None:
        open_objects(bucket)
    place = bucket.store if bucket is not None else Store()
    known = Unfinished.of(target, chosen["name"], database_url, place)
    if not known.begun:
        _refuse_full(target, database_url, bucket)
    for one in until:
        _check_whole(folder, one)
    known.begin()
    settings = _keys(folder / chosen["name"], known.settings, identity, database_url, bucket)
    seal = open_seal(settings)
    for one in until:
        if one["mac"] != mac(seal, one):
            raise damaged(folder / one["name"], "its manifest is not this installation's")
    if not known.done("rows"):
        migrate.upgrade(settings.database_url, chosen["revision"])
        with _opened(settings) as database:
            rows = _rows(database, folder / chosen["name"] / "database.age", chosen, identity)
        known.note("rows", rows)
    migrate.upgrade(settings.database_url)
    with _opened(settings) as database:
        if not known.done("mailboxes"):
            go_on_counting(database)
            known.note("mailboxes", fence(database))
        known.note("erased", erase(database, _erased(folder, later, identity)) + known.done("erased"))
        if settings.store.s3_bucket:
            into_bucket(folder, until, database, open_objects(settings), chosen, identity)
        else:
            into_files(folder, found, settings.data_dir / "segments", chosen, identity)
    _files(folder, until, settings, chosen, identity)
    return Restored(
        chosen["name"], known.finish(), known.done("mailboxes"), known.done("rows"), known.done("erased")
    )


@contextmanager
def _opened(settings: Settings) -> Iterator[Database]:
    database = open_database(settings)
    try:
        yield database
    finally:
        database.close()


def _refuse_full(target: Path, database_url: str, bucket: Settings | None) -> None:
    """Nothing is restored over something."""
    if target.exists() and any(not one.name.startswith(".restoring.json.") for one in target.iterdir()):
        raise Refused("folder-not-empty", f"Thư mục {target} không trống.", f"{target} is not empty.")
    if database_url and not _is_empty(database_url):
        raise Refused(
            "database-not-empty", "Cơ sở dữ liệu đích không trống.", "The target database is not empty."
        )
    if bucket is not None and open_objects(bucket).sizes():
        raise Refused(
            "bucket-not-empty",
            f"Kho S3 đích không trống; ghi s3_prefix khác trong {bucket.file}.",
            f"The target bucket is not empty there: name another s3_prefix in {bucket.file}.",
        )


def _check_whole(folder: Path, one: dict[str, Any]) -> None:
    for name, wanted in one["sha256"].items():
        path = folder / one["name"] / name
        try:
            good = digest(path) == wanted
        except OSError as problem:
            raise damaged(path, str(problem.strerror)) from problem
        if not good:
            raise damaged(path, "it was altered")


def _keys(place: Path, file: Path, identity: Any, database_url: str, bucket: Settings | None) -> Settings:
    """Keys, and the settings as ``file``, at the places a new installation has them."""
    target = file.parent
    path = place / "keys.age"
    kept = b""
    with opening(path, identity) as records:
        for head, stream in records:
            data = b"".join(exactly(path, stream, head["size"]))
            if head["path"] == "province.toml":
                kept = data
                continue
            name, mode = _KEYS[head["path"]]
            _write(target / name, data, mode)
    write_durably(file, kept)
    old = read(file)
    store = replace(old.store, s3_bucket=Store().s3_bucket)
    if bucket is not None:
        told = bucket.store
        _write(target / _S3_KEYS, bucket.at(told.s3_credentials).read_bytes(), 0o600)
        store = replace(
            old.store,
            s3_bucket=told.s3_bucket,
            s3_prefix=told.s3_prefix,
            s3_endpoint=told.s3_endpoint,
            s3_region=told.s3_region,
            s3_credentials=_S3_KEYS,
        )
    new = replace(
        old,
        paths=replace(Paths(), rulebook=old.paths.rulebook),
        tls=Tls(),
        database=DatabaseSettings(url=database_url),
        store=store,
    )
    write_durably(file, example(new).encode())
    new.run_dir.mkdir(parents=True, exist_ok=True)
    new.data_dir.mkdir(parents=True, exist_ok=True)
    return read(file)


def _write(file: Path, data: bytes, mode: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_durably(file, data, mode=mode)


def _files(
    folder: Path, until: list[dict[str, Any]], settings: Settings, chosen: dict[str, Any], identity: Any
) -> None:
    """Files of documents, trust, signer; and the ledger's folder as it was just before the rows."""
    data = settings.data_dir
    sources = [(one["name"], folder / one["name"] / "files.age") for one in until]
    sources.append(("ledger", folder / chosen["name"] / "ledger.age"))
    for name, path in sources:
        with opening(path, identity) as records:
            for head, stream in records:
                content = b"".join(exactly(path, stream, head["size"]))
                wanted = chosen["files"].get(head["path"], {}).get("generation") == name or name == "ledger"
                file = data / head["path"]
                if not wanted or ".." in Path(head["path"]).parts:
                    continue
                file.parent.mkdir(parents=True, exist_ok=True)
                write_durably(file, content, mode=head["mode"])


def _rows(database: Database, path: Path, chosen: dict[str, Any], identity: Any) -> int:
    counted: dict[str, int] = {}
    with opening(path, identity) as records:
        for head, stream in records:
            if head["table"] == "lease":
                for _ in exactly(path, stream, head["size"]):
                    pass
                counted["lease"] = chosen["rows"]["lease"]
                continue
            counted[head["table"]] = counted.get(head["table"], 0) + load(database, path, head, stream)
    wanted = {name: count for name, count in chosen["rows"].items() if count}
    if {name: count for name, count in counted.items() if count} != wanted:
        raise damaged(path, "rows are missing")
    return sum(counted.values())


def _erased(folder: Path, later: list[dict[str, Any]], identity: Any) -> set[bytes]:
    names: set[bytes] = set()
    for one in later:
        path = folder / one["name"] / "erased.age"
        with opening(path, identity) as records:
            for head, stream in records:
                told = json.loads(b"".join(exactly(path, stream, head["size"])))
                names |= {bytes.fromhex(name) for name in told}
    return names


def _is_empty(url: str) -> bool:
    """Whether a database has no tables."""
    engine = sa.create_engine(url)
    try:
        return not sa.inspect(engine).get_table_names()
    finally:
        engine.dispose()
