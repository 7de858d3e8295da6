# SPDX-License-Identifier: AGPL-3.0-or-later
"""Everything that can be done to a published folder is found, and named where a name is possible."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.database import Database, metadata
from config.seal import Seal
from policy.ledger.checkpoint import Checkpoint, Key, sign
from policy.ledger.leaf import Leaf, decode
from policy.ledger.tiles import encode_bundle, fresh, salvage_bundle
from policy.ledger.tree import Frontier, leaf_hash
from policy.ledger.verify import Report, verify
from tests.policy.ledger import logs
from tests.policy.ledger.logs import KEY

SIZES = (300, 300, 111)
FULL = "tile/entries/001"
EDGE = "tile/entries/002.p/199"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published log of 711 entries with three lines of history."""
    place = tmp_path_factory.mktemp("log")
    (place / "log.db").touch()
    database = Database(f"sqlite:///{place}/log.db", place / "lock")
    database.write(lambda conn: metadata.create_all(conn))
    log = logs.make(database, Seal({1: b"k" * 32}, b"d" * 32), place / "ledger")
    log.grow(*SIZES)
    database.close()
    return log.folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(original, tmp_path / "ledger"))


def leaves(folder: Path, name: str) -> list[bytes]:
    found, whole = salvage_bundle((folder / name).read_bytes())
    assert whole
    return found


def kinds(report: Report) -> set[tuple[str, int | None]]:
    assert not report.ok
    return {(problem.kind, problem.index) for problem in report.problems}


def rewrite_tiles(folder: Path, all_leaves: list[bytes]) -> None:
    """Write all bundles and tiles anew, as somebody would who has no signing key but knows the format."""
    shutil.rmtree(folder / "tile")
    frontier = Frontier()
    hashes: dict[int, list[bytes]] = {}
    for leaf in all_leaves:
        for level, _, value in frontier.append(leaf_hash(leaf)):
            if level % 8 == 0:
                hashes.setdefault(level // 8, []).append(value)
    for tile in fresh(0, len(all_leaves)):
        low = tile.number * 256
        path = folder / tile.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if tile.level < 0:
            path.write_bytes(encode_bundle(all_leaves[low : low + tile.width]))
        else:
            path.write_bytes(b"".join(hashes[tile.level][low : low + tile.width]))


def everything(folder: Path) -> list[bytes]:
    return [leaf for name in ("tile/entries/000", FULL, EDGE) for leaf in leaves(folder, name)]


def test_the_original_is_good(original: Path) -> None:
    report = verify(original)
    assert report.ok, report.problems
    assert (report.size, report.key) == (711, KEY.vkey)
    assert report.not_newer_than == "2023-11-15T05:13:20+07:00"
    assert verify(original, KEY, [(original / "checkpoint").read_bytes()]).ok


@pytest.mark.parametrize(("name", "at"), [(FULL, 0), (FULL, 77), (FULL, 255), (EDGE, 0), (EDGE, 198)])
def test_an_edited_entry_is_named(folder: Path, name: str, at: int) -> None:
    found = leaves(folder, name)
    index = decode(found[at]).index
    found[at] = found[at].replace(b"mail.accepted", b"mail.rejected")
    (folder / name).write_bytes(encode_bundle(found))
    assert kinds(verify(folder)) == {("entry-edited", index)}


@pytest.mark.parametrize(("name", "at"), [(FULL, 0), (FULL, 77), (FULL, 255), (EDGE, 0), (EDGE, 198)])
def test_a_dropped_and_an_inserted_entry_is_named(folder: Path, name: str, at: int) -> None:
    found = leaves(folder, name)
    index = decode(found[at]).index
    (folder / name).write_bytes(encode_bundle(found[:at] + found[at + 1 :]))
    assert kinds(verify(folder)) == {("entry-missing", index)}
    forged = found[at].replace(b"mail.accepted", b"mail.rejected")
    if len(found) < 256:
        (folder / name).write_bytes(encode_bundle([*found[:at], forged, *found[at:]]))
        assert ("entry-inserted", index) in kinds(verify(folder))


def test_swapped_entries_are_named(folder: Path) -> None:
    found = leaves(folder, FULL)
    found[3], found[200] = found[200], found[3]
    (folder / FULL).write_bytes(encode_bundle(found))
    assert kinds(verify(folder)) == {("entry-swapped", 259)}
    other = leaves(folder, "tile/entries/000")
    found = leaves(folder, FULL)
    found[3], found[200] = found[200], found[3]
    found[9], other[9] = other[9], found[9]
    (folder / FULL).write_bytes(encode_bundle(found))
    (folder / "tile/entries/000").write_bytes(encode_bundle(other))
    assert kinds(verify(folder)) == {("entry-swapped", 9), ("entry-swapped", 265)}


@pytest.mark.parametrize("index", [0, 300, 511, 512, 709])
def test_an_edit_with_all_tiles_made_anew_is_named(folder: Path, index: int) -> None:
    found = everything(folder)
    found[index] = found[index].replace(b"mail.accepted", b"mail.rejected")
    rewrite_tiles(folder, found)
    problems = kinds(verify(folder))
    assert ("entry-edited", index) in problems
    assert "root-differs" in {kind for kind, _ in problems}


def test_drops_inserts_and_swaps_with_all_tiles_made_anew_are_named(folder: Path) -> None:
    found = everything(folder)
    rewrite_tiles(folder, found[:400] + found[401:] + found[-1:])
    assert ("entry-missing", 400) in kinds(verify(folder))
    rewrite_tiles(folder, [*found[:300], found[300], *found[300:-1]])
    assert ("entry-inserted", 300) in kinds(verify(folder))
    rewrite_tiles(folder, [*found[:20], found[30], *found[21:30], found[20], *found[31:]])
    assert {("entry-swapped", 20), ("entry-swapped", 30)} <= kinds(verify(folder))


def test_a_rewritten_chain_is_narrowed_down_by_the_history(folder: Path) -> None:
    found = everything(folder)
    previous = leaf_hash(found[399])
    for index in range(400, 711):
        leaf = decode(found[index])
        kind = "mail.rejected" if index == 400 else leaf.kind
        found[index] = Leaf(index, kind, leaf.at_us, previous, leaf.commitment).encode()
        previous = leaf_hash(found[index])
    rewrite_tiles(folder, found)
    assert ("root-differs", 300) in kinds(verify(folder))


def test_truncation_is_named(folder: Path) -> None:
    for name in ("tile/entries/002.p/199", "tile/0/002.p/199"):
        path = folder / name
        data = path.read_bytes()
        path.unlink()
        short = encode_bundle(salvage_bundle(data)[0][:150]) if "entries" in name else data[: 32 * 150]
        (path.parent / "150").write_bytes(short)
    assert ("truncated", 512 + 150) in kinds(verify(folder))


def test_truncation_of_whole_bundles_is_named(folder: Path) -> None:
    shutil.rmtree(folder / "tile/entries/002.p")
    assert ("file-missing", 512) in kinds(verify(folder))
    (folder / FULL).unlink()
    assert {("file-missing", 512), ("file-missing", 256)} <= kinds(verify(folder))


def test_an_older_checkpoint_beside_its_history_is_truncation(folder: Path) -> None:
    notes = (folder / "checkpoints").read_bytes().split(b"test.example/ledger\n")
    (folder / "checkpoint").write_bytes(b"test.example/ledger\n" + notes[1])
    assert ("truncated", 300) in kinds(verify(folder))


def test_an_older_honest_copy_needs_a_checkpoint_seen_elsewhere(folder: Path, tmp_path: Path) -> None:
    newest = (folder / "checkpoint").read_bytes()
    found = everything(folder)
    notes = (folder / "checkpoints").read_bytes().split(b"test.example/ledger\n")
    rewrite_tiles(folder, found[:300])
    (folder / "checkpoint").write_bytes(b"test.example/ledger\n" + notes[1])
    (folder / "checkpoints").write_bytes(b"test.example/ledger\n" + notes[1])
    report = verify(folder)
    assert report.ok, report.problems
    assert kinds(verify(folder, None, [newest])) == {("older-than-seen", 300)}


def test_a_fork_is_found_with_a_seen_checkpoint(folder: Path) -> None:
    for size in (0, 1, 400, 711):
        other = sign(Checkpoint(KEY.name, size, b"f" * 32), KEY, logs.SECRET.sign)
        assert {kind for kind, _ in kinds(verify(folder, KEY, [other]))} == {"fork"}
    assert kinds(verify(folder, KEY, [b"garbage"])) == {("seen-unusable", None)}


@pytest.mark.parametrize(
    "name", ["checkpoint", "checkpoints", "log.vkey", FULL, EDGE, "tile/0/001", "tile/1/000.p/2"]
)
def test_missing_cut_and_garbled_files_are_found(folder: Path, name: str) -> None:
    path = folder / name
    data = path.read_bytes()
    for other in (
        None,
        b"",
        data[:-1],
        data[: len(data) // 2],
        b"\xff" * len(data),
        data * 3,
        os.urandom(9000),
    ):
        path.unlink(missing_ok=True)
        if other is not None:
            path.write_bytes(other)
        assert not verify(folder).ok, (name, other and len(other))
    path.unlink()
    path.mkdir()
    assert not verify(folder).ok
    path.rmdir()
    os.mkfifo(path)
    assert not verify(folder).ok
    path.unlink()
    path.symlink_to("/dev/zero")
    assert not verify(folder).ok


@pytest.mark.parametrize(
    "name",
    [
        "note.txt",
        "tile/entries/003",
        "tile/entries/002.p/200",
        "tile/entries/0",
        "tile/9/000",
        ".hidden",
        "tile/entries/000.p/5",
        "tile/0/000.p/255",
        "tile/2/000.p/1",
    ],
)
def test_an_extra_file_is_found(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True, parents=True)
    (folder / name).write_bytes(b"extra")
    assert {kind for kind, _ in kinds(verify(folder))} <= {"file-extra", "file-ahead"}


def test_a_narrower_tile_that_says_the_same_may_stay(folder: Path) -> None:
    (folder / "tile/entries/002.p/5").write_bytes(encode_bundle(leaves(folder, EDGE)[:5]))
    (folder / "tile/0/001.p").mkdir()
    (folder / "tile/0/001.p/7").write_bytes((folder / "tile/0/001").read_bytes()[: 7 * 32])
    assert verify(folder).ok


@pytest.mark.parametrize(("name", "index"), [("tile/0/001", 256 + 9), ("tile/0/002.p/199", 512 + 9)])
def test_an_edited_hash_is_told_from_an_edited_entry(folder: Path, name: str, index: int) -> None:
    data = bytearray((folder / name).read_bytes())
    data[9 * 32] ^= 1
    (folder / name).write_bytes(data)
    assert kinds(verify(folder)) == {("tile-edited", index)}


def test_a_signature_of_somebody_else_is_bad(folder: Path) -> None:
    stranger = Ed25519PrivateKey.generate()
    key = Key(KEY.name, stranger.public_key().public_bytes_raw())
    text = (folder / "checkpoint").read_bytes()
    state = Checkpoint(KEY.name, 711, base64.b64decode(text.split(b"\n")[2]))
    (folder / "checkpoint").write_bytes(sign(state, key, stranger.sign))
    assert ("signature-bad", None) in kinds(verify(folder))
    (folder / "log.vkey").write_text(key.vkey + "\n")
    assert ("key-differs", None) in kinds(verify(folder, KEY))


def test_a_huge_size_in_the_checkpoint_ends_soon(folder: Path) -> None:
    (folder / "checkpoint").write_bytes(sign(Checkpoint(KEY.name, 10**18, b"f" * 32), KEY, logs.SECRET.sign))
    assert "truncated" in {kind for kind, _ in kinds(verify(folder))}


def _flip(path: Path, at: int, change: int) -> None:
    data = bytearray(path.read_bytes())
    data[at % len(data)] ^= change
    path.write_bytes(data)


@given(st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_byte_of_the_folder_can_be_changed(folder: Path, data: st.DataObject) -> None:
    names = sorted(path for path in folder.rglob("*") if path.is_file())
    path = data.draw(st.sampled_from(names))
    whole = path.read_bytes()
    _flip(path, data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(1, 255)))
    try:
        assert not verify(folder, KEY).ok
    finally:
        path.write_bytes(whole)


def test_nothing_at_all_is_reported(tmp_path: Path) -> None:
    assert not verify(tmp_path).ok
    assert not verify(tmp_path / "nowhere").ok


def test_a_log_that_is_published_meanwhile_is_good(
    sqlite_database: Database, seal: Seal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = logs.make(sqlite_database, seal, tmp_path / "ledger")
    log.grow(250)
    grown: list[int] = []
    real: Callable[..., object] = verify.__globals__["Walk"].run

    def run(self: object) -> object:
        if len(grown) < 2:
            grown.append(1)
            log.grow(5)
        return real(self)

    monkeypatch.setattr(verify.__globals__["Walk"], "run", run)
    report = verify(log.folder)
    assert report.ok, report.problems
