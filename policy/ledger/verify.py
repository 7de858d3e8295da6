# SPDX-License-Identifier: AGPL-3.0-or-later
"""Verifying a published log from its folder alone: no database, no server, no network.

One pass over the bundles in constant memory. What it can't see is a wholly older, honest copy: that needs a
checkpoint seen elsewhere (`seen`), and the report says up to when the copy speaks (`not_newer_than`).
"""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from config.clock import iso_local
from policy.ledger.checkpoint import MAX_TEXT, Checkpoint, CheckpointWrong, Key, read
from policy.ledger.readfolder import FolderReader, Unreadable
from policy.ledger.reconcile import Problem
from policy.ledger.succession import Eras, SuccessionBroken, eras_of
from policy.ledger.tiles import WIDTH, parse_path, width_of
from policy.ledger.walk import Expected, Walk

MAX_PROBLEMS = 200
_ATTEMPTS = 4
_PATIENCE = 0.3
_PASSING = {"file-ahead", "history-short", "key-behind"}


@dataclass(frozen=True, slots=True)
class Report:
    """What verifying found. `root` is base64 as in the checkpoint; `key` is the vkey that was believed."""

    ok: bool
    size: int
    root: str
    not_newer_than: str | None
    key: str | None
    problems: tuple[Problem, ...]

    def as_json(self) -> dict[str, object]:
        """The object of `audit verify --json` (DESIGN §5)."""
        return {
            "ok": self.ok,
            "size": self.size,
            "root": self.root,
            "not_newer_than": self.not_newer_than,
            "key": self.key,
            "problems": [{"kind": p.kind, "index": p.index, "detail": p.detail} for p in self.problems],
        }


def verify(folder: Path, key: Key | None = None, seen: Sequence[bytes] = ()) -> Report:
    """Verify the log in `folder`; `key` is believed instead of the folder's own (one of its keys, present or
    earlier, when they follow each other), `seen` are checkpoint texts.

    Never raises for what the folder holds. A folder that is being published meanwhile is looked at again.
    """
    report = _Pass(FolderReader(folder), key, seen).run()
    for _ in range(_ATTEMPTS):
        if report.report.ok or not report.moving():
            break
        report = _Pass(FolderReader(folder), key, seen).run()
    return report.report


class _Pass:
    """One look at the folder."""

    def __init__(self, reader: FolderReader, key: Key | None, seen: Sequence[bytes]) -> None:
        self._reader = reader
        self._key = key
        self._eras: Eras | None = None if key is None else Eras((), key)
        self._seen = seen
        self._problems: list[Problem] = []
        self._text: bytes | None = None
        self.report = Report(False, 0, "", None, None, ())

    def run(self) -> _Pass:
        self._read_key()
        state = self._read_state()
        walk = None
        if state is not None:
            walk = Walk(self._reader, state, self._eras, self._expected(state), self._problem)
            walk.run()
            self._extra_files(state)
        self.report = Report(
            ok=not self._problems,
            size=0 if state is None else state.size,
            root="" if state is None else base64.b64encode(state.root).decode("ascii"),
            not_newer_than=None if walk is None or walk.last_us is None else iso_local(walk.last_us),
            key=None if self._key is None else self._key.vkey,
            problems=tuple(self._problems),
        )
        return self

    def moving(self) -> bool:
        """Is somebody publishing: did the checkpoint change, or is there what a publication shows in passing?"""
        if any(problem.kind in _PASSING for problem in self._problems):
            time.sleep(_PATIENCE)
            return True
        return self._quiet_read("checkpoint") != self._text

    def _problem(self, kind: str, index: int | None, detail: str) -> None:
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(Problem(kind, index, detail))
        elif len(self._problems) == MAX_PROBLEMS:
            self._problems.append(Problem("more", None, "there are more problems than are listed"))

    def _quiet_read(self, name: str) -> bytes | None:
        try:
            return self._reader.read(name, MAX_TEXT)
        except Unreadable:
            return None

    def _read_key(self) -> None:
        try:
            text = self._reader.read("log.vkey", MAX_TEXT)
            if text is None:
                self._problem("file-missing", None, "log.vkey is missing")
                return
            own = Key.parse(text.decode("utf-8"))
            if text != f"{own.vkey}\n".encode():
                raise ValueError("not one line with the key")
        except (Unreadable, ValueError) as problem:
            self._problem("key-malformed", None, f"log.vkey: {problem}")
            return
        try:
            eras = eras_of(self._reader.history(), own)
        except Unreadable:
            eras = Eras((), own)
        except SuccessionBroken as problem:
            self._problem("key-behind" if problem.behind else "key-succession", None, str(problem))
            eras = Eras((), own)
        if self._key is None:
            self._key, self._eras = own, eras
        elif self._key in eras.keys:
            self._eras = eras
        else:
            self._problem(
                "key-differs", None, "log.vkey is not the key that was given, and does not follow it"
            )

    def _read_state(self) -> Checkpoint | None:
        try:
            self._text = self._reader.read("checkpoint", MAX_TEXT)
        except Unreadable as problem:
            self._problem("checkpoint-malformed", None, str(problem))
            return None
        if self._text is None:
            self._problem("file-missing", None, "checkpoint is missing")
            return None
        try:
            note = read(self._text)
        except CheckpointWrong as problem:
            self._problem("checkpoint-malformed", None, f"checkpoint: {problem}")
            return None
        try:
            if self._eras is not None:
                self._eras.read_signed(self._text)
        except CheckpointWrong as problem:
            self._problem("signature-bad", None, f"checkpoint: {problem}")
        return note.checkpoint

    def _expected(self, state: Checkpoint) -> list[Expected]:
        """Earlier roots the log must pass through, from checkpoints seen elsewhere."""
        expected: list[Expected] = []
        for number, text in enumerate(self._seen, 1):
            try:
                if self._eras is None:
                    raise CheckpointWrong("there is no key to check it with")
                other = self._eras.read_signed(text)
            except CheckpointWrong as problem:
                self._problem("seen-unusable", None, f"seen checkpoint {number}: {problem}")
                continue
            if other.size > state.size:
                self._problem(
                    "older-than-seen",
                    state.size,
                    f"a checkpoint of {other.size} entries was seen: cut off, or old",
                )
            else:
                expected.append(Expected(other.size, other.root, "fork", f"seen checkpoint {number}"))
        return sorted([*expected], key=lambda one: one.size)

    def _extra_files(self, state: Checkpoint) -> None:
        newest = self._newest_size(state)
        for name in self._reader.files():
            if name in {"checkpoint", "checkpoints", "log.vkey"}:
                continue
            tile = parse_path(name)
            if tile is None:
                self._problem("file-extra", None, f"{name} does not belong to a log")
                continue
            width = width_of(tile.level, tile.number, newest)
            first = (tile.number * WIDTH) << (8 * max(tile.level, 0))
            if tile.width > width:
                kind = "file-ahead" if width or first == state.size else "file-extra"
                self._problem(kind, max(first, state.size), f"{name} is not covered by the checkpoint")
            elif tile.width < width:
                self._stale(name, tile.width, first)

    def _newest_size(self, state: Checkpoint) -> int:
        """Files of a checkpoint that came meanwhile are no strangers."""
        text = self._quiet_read("checkpoint")
        try:
            if text is None or self._eras is None:
                return state.size
            return max(state.size, self._eras.read_signed(text).size)
        except CheckpointWrong:
            return state.size

    def _stale(self, name: str, width: int, first: int) -> None:
        """A narrower tile may stay beside the one that replaced it, if it says the same."""
        tile = parse_path(name)
        if tile is None:
            return
        try:
            old = self._reader.read(name, 1 << 17)
            wide, _ = self._reader.tile(type(tile)(tile.level, tile.number, WIDTH))
        except Unreadable as problem:
            self._problem("file-malformed", first, str(problem))
            return
        if old is None or wide is None:
            return
        if not old or not wide.startswith(old) or (tile.level >= 0 and len(old) != 32 * width):
            self._problem("file-extra", first, f"{name} is not the beginning of its successor")
