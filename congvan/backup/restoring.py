# SPDX-License-Identifier: AGPL-3.0-or-later
"""Bringing an installation back from a backup folder, into a new folder and an empty database."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import sqlalchemy as sa

from config.database import Database
from config.durable import sync_folder, write_durably
from config.refusal import Refused
from config.settings import DatabaseSettings, Paths, Settings, Store, Tls, example, read
from congvan import migrate
from congvan.backup.envelope import damaged, digest, exactly, identity_of, opening
from congvan.backup.rows import go_on_counting, load
from congvan.backup.taking import mac, manifests
from congvan.installation import open_database, open_seal
from mailserver.store.fence import erase, fence

_KEYS = {
    "master_key": ("secrets/master.key", 0o600),
    "signer_secret": ("secrets/signer.key", 0o600),
    "keyring": ("data/keyring.json", 0o600),
    "tls_certificate": ("tls/server.pem", 0o644),
    "tls_key": ("tls/server.key", 0o600),
}


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back: ``erased`` messages were erased again because they were erased after the backup."""

    name: str
    settings: Settings
    rows: int
    mailboxes: int
    erased: int


def restore(
    folder: Path, target: Path, key: Path, *, generation: str = "", database_url: str = ""
) -> Restored:
    """Restore a generation (the newest by default) into ``target``, which is empty or new.

    ``database_url``: an empty database; "" is SQLite below ``target``. Raises `Refused`:
    ``backup-damaged``, ``bad-backup-key``, ``no-such-generation``, ``folder-not-empty``.
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
    if target.exists() and any(target.iterdir()):
        raise Refused("folder-not-empty", f"Thư mục {target} không trống.", f"{target} is not empty.")
    until = [one for one in found if one["name"] <= chosen["name"]]
    later = [one for one in found if one["name"] > chosen["name"]]
    for one in until:
        _check_whole(folder, one)
    settings = _keys(folder / chosen["name"], target, identity, database_url)
    seal = open_seal(settings)
    for one in until:
        if one["mac"] != mac(seal, one):
            raise damaged(folder / one["name"], "its manifest is not this installation's")
    _segments(folder, until, settings, chosen, identity)
    _files(folder, until, settings, chosen, identity)
    migrate.upgrade(settings.database_url, chosen["revision"])
    database = open_database(settings)
    try:
        rows = _rows(database, folder / chosen["name"] / "database.age", chosen, identity)
    finally:
        database.close()
    migrate.upgrade(settings.database_url)
    database = open_database(settings)
    try:
        go_on_counting(database)
        boxes = fence(database)
        erased = erase(database, _erased(folder, later, identity))
    finally:
        database.close()
    return Restored(chosen["name"], settings, rows, boxes, erased)


def _check_whole(folder: Path, one: dict[str, Any]) -> None:
    for name, wanted in one["sha256"].items():
        path = folder / one["name"] / name
        try:
            good = digest(path) == wanted
        except OSError as problem:
            raise damaged(path, str(problem.strerror)) from problem
        if not good:
            raise damaged(path, "it was altered")


def _keys(place: Path, target: Path, identity: Any, database_url: str) -> Settings:
    """Keys and settings, at the places a new installation has them."""
    target.mkdir(parents=True, exist_ok=True)
    path = place / "keys.age"
    kept = b""
    with opening(path, identity) as records:
        for head, stream in records:
            data = b"".join(exactly(path, stream, head["size"]))
            if head["path"] == "province.toml":
                kept = data
                continue
            name, mode = _KEYS[head["path"]]
            (target / name).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_durably(target / name, data, mode=mode)
    file = target / "province.toml"
    write_durably(file, kept)
    old = read(file)
    new = replace(
        old,
        paths=replace(Paths(), rulebook=old.paths.rulebook),
        tls=Tls(),
        database=DatabaseSettings(url=database_url),
        store=replace(old.store, s3_bucket=Store().s3_bucket),
    )
    write_durably(file, example(new).encode())
    new.run_dir.mkdir(parents=True, exist_ok=True)
    new.data_dir.mkdir(parents=True, exist_ok=True)
    return read(file)


def _segments(
    folder: Path, until: list[dict[str, Any]], settings: Settings, chosen: dict[str, Any], identity: Any
) -> None:
    """The bytes of every segment that the chosen generation names, from all generations up to it."""
    place = settings.data_dir / "segments"
    place.mkdir(parents=True, exist_ok=True)
    for one in until:
        path = folder / one["name"] / "segments.age"
        with opening(path, identity) as records:
            for head, stream in records:
                wanted = str(head["segment"]) in chosen["segments"]
                _write_at(path, place / f"{head['segment']:08d}.segment", head, stream, wanted=wanted)
    for number, end in chosen["segments"].items():
        file = place / f"{int(number):08d}.segment"
        if not file.is_file() or file.stat().st_size < end:
            raise damaged(folder / chosen["name"], f"segment {number} is not whole in these generations")
    sync_folder(place)


def _write_at(path: Path, file: Path, head: dict[str, Any], stream: BinaryIO, *, wanted: bool) -> None:
    if not wanted:
        for _ in exactly(path, stream, head["size"]):
            pass
        return
    handle = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        offset = head["offset"]
        for part in exactly(path, stream, head["size"]):
            view = memoryview(part)
            while view:
                written = os.pwrite(handle, view, offset)
                view, offset = view[written:], offset + written
        os.fsync(handle)
    finally:
        os.close(handle)


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


def is_empty(url: str) -> bool:
    """Whether a database has no tables."""
    engine = sa.create_engine(url)
    try:
        return not sa.inspect(engine).get_table_names()
    finally:
        engine.dispose()
