# SPDX-License-Identifier: AGPL-3.0-or-later
"""Taking a generation while the installation serves.

Order matters: the ledger's folder first, then one snapshot of the rows, then what the rows name: bytes of
segments and files of documents are durable before the row that names them, so whatever the snapshot names is
there to be copied. Compaction deletes no segment meanwhile (a lease). Segments and files that an earlier
generation in the same folder has are not copied again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from config.clock import now_us, to_utc
from config.durable import sync_folder, write_durably
from config.leases import hold, release
from config.refusal import Unavailable
from config.settings import Settings
from config.settings_file import example
from congvan import schema_version
from congvan.backup.envelope import CHUNK, Writer, digest, sealing
from congvan.backup.rows import dump
from congvan.installation import Installation
from mailserver.store import schema
from mailserver.store.compaction import REMOVAL

_LEASE_S = 120.0
_FOLDERS = ("ledger", "trust", "signer", "documents")


@dataclass(frozen=True, slots=True)
class Taken:
    """A finished generation."""

    name: str
    rows: int
    copied_bytes: int
    files: int


def manifests(folder: Path) -> list[dict[str, Any]]:
    """The generations in a backup folder, oldest first; unfinished ones are left out."""
    found = [json.loads(path.read_bytes()) for path in sorted(folder.glob("[!.]*/manifest.json"))]
    return sorted(found, key=lambda one: str(one["name"]))


def take(parts: Installation, folder: Path) -> Taken:
    """Write a new generation into ``folder``. Raises `Refused`, `Unavailable`."""
    settings = parts.settings
    folder.mkdir(parents=True, exist_ok=True)
    older = manifests(folder)
    name = to_utc(now_us()).strftime("%Y%m%dT%H%M%S.%fZ")
    place = folder / f".{name}"
    recipient = settings.backup.recipient
    copied = 0
    if not hold(parts.database, REMOVAL, _LEASE_S):
        raise Unavailable(
            "compaction-runs",
            "Đang dọn kho thư, chạy lại sau một phút.",
            "Segments are being removed just now; try again in a minute.",
        )
    try:
        _clear(folder)
        place.mkdir(mode=0o700)
        _files(place / "ledger.age", recipient, settings.data_dir, ("ledger",), {})
        with parts.database.reading() as conn, sealing(place / "database.age", recipient) as out:
            counted = dump(conn, out)
            ends = _ends(conn)
            erased = [row[0].hex() for row in conn.execute(sa.select(schema.erased.c.name))]
        with sealing(place / "erased.age", recipient) as out:
            out.record({"erased": True}, json.dumps(erased).encode())
        known = _segments_known(older)
        with sealing(place / "segments.age", recipient) as out:
            for number, end in sorted(ends.items()):
                start = known.get(number, 0)
                if end > start:
                    _segment(parts, out, number, start, end)
                    copied += end - start
                if not hold(parts.database, REMOVAL, _LEASE_S):
                    raise Unavailable(
                        "lease-lost", "Mất quyền giữ kho thư.", "The lease on segments was lost."
                    )
        before = older[-1]["files"] if older else {}
        held = _files(place / "files.age", recipient, settings.data_dir, _FOLDERS[1:], before)
        _keys(place / "keys.age", recipient, settings)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    finally:
        release(parts.database, REMOVAL)
    told = {
        "name": name,
        "version": 1,
        "revision": schema_version.revision(settings.database_url),
        "rows": counted,
        "segments": {str(number): end for number, end in ends.items()},
        "files": {path: {**one, "generation": one.get("generation") or name} for path, one in held.items()},
        "sha256": {path.name: digest(path) for path in sorted(place.glob("*.age"))},
    }
    told["mac"] = mac(parts.seal, told)
    write_durably(place / "manifest.json", json.dumps(told, indent=1).encode(), mode=0o600)
    place.rename(folder / name)
    sync_folder(folder)
    return Taken(name, sum(counted.values()), copied, len(held))


def _clear(folder: Path) -> None:
    """Remove what backups left that were killed; under the lease there is no other one at work."""
    for place in folder.glob(".[0-9]*T*Z"):
        shutil.rmtree(place, ignore_errors=True)


def mac(seal: Any, told: dict[str, Any]) -> str:
    """What only this installation's keys make of a manifest."""
    plain = {key: value for key, value in told.items() if key != "mac"}
    made: bytes = seal.digest("backup-manifest", json.dumps(plain, sort_keys=True).encode())
    return made.hex()


def _ends(conn: sa.Connection) -> dict[int, int]:
    table = schema.blob
    query = sa.select(table.c.segment, sa.func.max(table.c.offset + table.c.length)).group_by(table.c.segment)
    return {int(number): int(end) for number, end in conn.execute(query)}


def _segments_known(older: list[dict[str, Any]]) -> dict[int, int]:
    known: dict[int, int] = {}
    for one in older:
        for number, end in one["segments"].items():
            known[int(number)] = max(known.get(int(number), 0), int(end))
    return known


def _segment(parts: Installation, out: Writer, number: int, start: int, end: int) -> None:
    out.begin({"segment": number, "offset": start, "size": end - start})
    while start < end:
        data = parts.segments.read(number, start, min(CHUNK, end - start))
        if not data:
            raise Unavailable(
                "segment-short",
                f"Kho thư {number} ngắn hơn dữ liệu ghi. Chạy `congvan verify-data`.",
                f"Segment {number} is shorter than its rows say. Run `congvan verify-data`.",
            )
        out.more(data)
        start += len(data)


def _files(
    target: Path, recipient: str, data: Path, folders: tuple[str, ...], before: dict[str, Any]
) -> dict[str, Any]:
    """Files below ``data``; those that ``before`` has with the same size and time are only named."""
    held: dict[str, Any] = {}
    with sealing(target, recipient) as out:
        for folder in folders:
            for path in sorted((data / folder).rglob("*")):
                if not path.is_file() or path.name.startswith("."):
                    continue
                name = str(path.relative_to(data))
                try:
                    content, found = path.read_bytes(), path.stat()
                except FileNotFoundError:
                    continue  # a file that was replaced or removed meanwhile; no row names it
                known = before.get(name)
                if known and (known["size"], known["mtime_ns"]) == (found.st_size, found.st_mtime_ns):
                    held[name] = known
                    continue
                held[name] = {
                    "size": len(content),
                    "mtime_ns": found.st_mtime_ns,
                    "sha256": hashlib.sha256(content).hexdigest(),
                }
                out.record({"path": name, "mode": found.st_mode & 0o777}, content)
    return held


def _keys(target: Path, recipient: str, settings: Settings) -> None:
    """What opens the rest, in a file of its own: it may be kept for a shorter time than the data."""
    with sealing(target, recipient) as out:
        out.record({"path": "province.toml"}, example(settings).encode())
        for name, path in (
            ("master_key", settings.master_key),
            ("signer_secret", settings.at(settings.paths.signer_secret)),
            ("keyring", settings.keyring),
            ("tls_certificate", settings.at(settings.tls.certificate)),
            ("tls_key", settings.at(settings.tls.key)),
        ):
            if path.is_file():
                out.record({"path": name}, path.read_bytes())
