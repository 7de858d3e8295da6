# SPDX-License-Identifier: AGPL-3.0-or-later
"""The one pass of `verify` over bundles and tiles, from the first entry to the last, in constant memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from policy.ledger.checkpoint import Checkpoint, CheckpointWrong
from policy.ledger.readfolder import FolderReader, Unreadable
from policy.ledger.reconcile import OwnWords, compare
from policy.ledger.succession import Eras
from policy.ledger.tiles import BITS, ENTRIES, WIDTH, Tile, salvage_bundle, split_hashes, width_of
from policy.ledger.tree import HASH, Frontier, leaf_hash, node_hash, root_of_hashes

Report = Callable[[str, "int | None", str], None]

_GIVE_UP = 64
_UNKNOWN = bytes(HASH)


@dataclass(frozen=True, slots=True)
class Expected:
    """The log must have this root at this size; `kind` is the problem when it has not."""

    size: int
    root: bytes
    kind: str
    name: str


class Walk:
    """Compares entries, hash tiles, the checkpoint, its history and checkpoints seen elsewhere.

    `last_us` is the time of the last entry that could be read.
    """

    def __init__(
        self,
        reader: FolderReader,
        state: Checkpoint,
        eras: Eras | None,
        seen: Sequence[Expected],
        report: Report,
    ) -> None:
        self._reader = reader
        self._state = state
        self._eras = eras
        self._seen = sorted(seen, key=lambda one: one.size)
        self._report = report
        self._words = OwnWords()
        self._blocks = Frontier()
        self._upper: dict[int, list[bytes]] = defaultdict(list)
        self._parent: tuple[int, Sequence[bytes]] = (-1, ())
        self._lost = False
        self._good_until = 0
        self._history_wrong = False

    @property
    def last_us(self) -> int | None:
        """Time of the last entry, µs."""
        return self._words.last_us

    def run(self) -> None:
        """Walk the whole log."""
        history = self._history()
        line = next(history, None)
        size = self._state.size
        missing = 0
        for number in range((size + WIDTH - 1) // WIDTH):
            width = width_of(ENTRIES, number, size)
            hashes = self._bundle(number, width)
            missing = 0 if hashes else missing + 1
            if missing == _GIVE_UP:
                self._report("truncated", (number - _GIVE_UP + 1) * WIDTH, f"of {size} signed entries")
                return
            high = number * WIDTH + width
            while line is not None and line.size <= high:
                self._check(line, number, hashes)
                line = next(history, None)
            while self._seen and self._seen[0].size <= high:
                self._check(self._seen.pop(0), number, hashes)
            if high == size:
                name = "the signed checkpoint"
                self._check(Expected(size, self._state.root, "root-differs", name), number, hashes)
            if width == WIDTH:
                self._push(1, number, root_of_hashes(hashes) if hashes else self._parent_of(number))
        while line is not None:
            self._check(line, 0, ())
            line = next(history, None)
        if size == 0:
            self._check(Expected(0, self._state.root, "root-differs", "the signed checkpoint"), 0, ())
        for level, buffer in sorted(self._upper.items()):
            if buffer:
                self._compare_tile(level, (size >> (BITS * level)) // WIDTH, buffer)

    # --- bundles

    def _bundle(self, number: int, width: int) -> Sequence[bytes]:
        """The leaf hashes to go on with; empty when they can't be known."""
        base = number * WIDTH
        leaves = self._leaves(number, width)
        hashes = self._hashes(0, number, width)
        if leaves is None:
            self._words.skip(hashes[-1] if hashes else None)
            return hashes
        found = [leaf_hash(leaf) for leaf in leaves]
        if not hashes:
            hashes = found if len(found) == width else ()
        elif found != list(hashes):
            if len(found) == width and self._is_right(number, found) and not self._is_right(number, hashes):
                for i in (i for i in range(width) if found[i] != hashes[i]):
                    self._report("tile-edited", base + i, f"the hash of entry {base + i} was changed")
                hashes = found
            else:
                for problem in compare(base, leaves, hashes):
                    self._report(problem.kind, problem.index, problem.detail)
        for i, leaf in enumerate(leaves):
            if i < len(hashes) and found[i] == hashes[i]:
                self._words.read(base + i, leaf, leaves[i + 1] if i + 1 < len(leaves) else None)
            else:
                self._words.skip(hashes[i] if i < len(hashes) else None)
        if len(hashes) == width != len(leaves):
            self._words.skip(hashes[-1])
        for problem in self._words.problems:
            self._report(problem.kind, problem.index, problem.detail)
        self._words.problems.clear()
        return hashes

    def _leaves(self, number: int, width: int) -> list[bytes] | None:
        tile, base = Tile(ENTRIES, number, width), number * WIDTH
        data, found = self._read(tile)
        if data is None:
            return None
        leaves, whole = salvage_bundle(data)
        if not whole:
            self._report("file-malformed", base + max(0, len(leaves) - 1), f"{tile.path} is cut or garbled")
        if found < width:
            self._report(
                "truncated", base + len(leaves), f"{tile.path} is missing, {found} entries are there"
            )
        return leaves[:width] if found > width else leaves

    def _hashes(self, level: int, number: int, width: int) -> Sequence[bytes]:
        tile = Tile(level, number, width)
        data, found = self._read(tile)
        if data is None:
            return ()
        first = (number * WIDTH) << (BITS * level)
        if found < width:
            self._report("file-missing", first, f"{tile.path} is missing")
            return ()
        try:
            hashes = split_hashes(data)
        except ValueError as problem:
            self._report("file-malformed", first, f"{tile.path}: {problem}")
            return ()
        if len(hashes) != found:
            self._report("file-malformed", first, f"{tile.path} holds {len(hashes)} hashes")
            return ()
        return hashes[:width]

    def _read(self, tile: Tile) -> tuple[bytes | None, int]:
        first = (tile.number * WIDTH) << (BITS * max(tile.level, 0))
        try:
            data, found = self._reader.tile(tile)
        except Unreadable as problem:
            self._report("file-malformed", first, str(problem))
            return None, 0
        if data is None:
            self._report("file-missing", first, f"{tile.path} is missing")
        return data, found

    # --- the tree above

    def _is_right(self, number: int, hashes: Sequence[bytes]) -> bool:
        """Do these leaf hashes lead to what stands above them: the parent tile, or at the edge the checkpoint?"""
        if len(hashes) == WIDTH:
            return root_of_hashes(hashes) == self._parent_of(number)
        return self._root_with(hashes) == self._state.root

    def _parent_of(self, number: int) -> bytes:
        above, at = divmod(number, WIDTH)
        if self._parent[0] != above:
            tile = Tile(1, above, width_of(1, above, self._state.size))
            try:
                data, _ = self._reader.tile(tile)
                self._parent = (above, split_hashes(data or b""))
            except (Unreadable, ValueError):
                self._parent = (above, ())
        hashes = self._parent[1]
        if at < len(hashes):
            return hashes[at]
        return _UNKNOWN

    def _push(self, level: int, index: int, value: bytes) -> None:
        if level == 1:
            self._blocks.append(value)
            self._lost = self._lost or value == _UNKNOWN
        buffer = self._upper[level]
        buffer.append(value)
        if len(buffer) == WIDTH:
            self._compare_tile(level, index // WIDTH, buffer)
            self._push(level + 1, index // WIDTH, root_of_hashes(buffer))
            buffer.clear()

    def _compare_tile(self, level: int, number: int, hashes: Sequence[bytes]) -> None:
        shown = self._hashes(level, number, len(hashes))
        for i, (mine, theirs) in enumerate(zip(hashes, shown, strict=False)):
            if mine not in {theirs, _UNKNOWN}:
                first = (number * WIDTH + i) << (BITS * level)
                self._report("tile-edited", first, f"level {level}, tile {number}, hash {i}")

    # --- checkpoints

    def _root_with(self, hashes: Sequence[bytes]) -> bytes:
        """The root of all full bundles so far and these leaf hashes after them."""
        if not hashes:
            return self._blocks.root()
        top = root_of_hashes(hashes)
        for left in reversed(self._blocks.roots()):
            top = node_hash(left, top)
        return top

    def _check(self, expected: Expected, number: int, hashes: Sequence[bytes]) -> None:
        base = number * WIDTH
        if expected.kind == "history" and (expected.size > self._state.size or self._history_wrong):
            return
        if expected.size > base and not hashes:
            return
        part = hashes[: expected.size - base] if expected.size > base else ()
        if self._lost or (expected.size > base and len(part) != expected.size - base):
            return
        if self._root_with(part) == expected.root:
            if expected.kind == "history":
                self._good_until = expected.size
            return
        kind = "root-differs" if expected.kind == "history" else expected.kind
        self._history_wrong = self._history_wrong or expected.kind == "history"
        self._report(
            kind,
            self._good_until,
            f"entries {self._good_until} to {expected.size - 1} don't lead to the root of {expected.name}",
        )

    def _history(self) -> Iterator[Expected]:
        """The checkpoints of the history that are signed, in order; reports the others."""
        last = -1
        try:
            for number, text in enumerate(self._reader.history(), 1):
                if self._eras is None:
                    continue
                try:
                    state = self._eras.read_signed(text)
                except CheckpointWrong as problem:
                    self._report("history-edited", None, f"checkpoint {number} of the history: {problem}")
                    continue
                if state.size <= last:
                    self._report(
                        "history-edited", state.size, f"checkpoint {number} of the history is out of order"
                    )
                    continue
                last = state.size
                if state.size > self._state.size:
                    self._report(
                        "truncated",
                        self._state.size,
                        f"the history has a signed checkpoint of {state.size} entries",
                    )
                yield Expected(state.size, state.root, "history", f"checkpoint {number} of the history")
        except Unreadable as problem:
            self._report("file-missing", None, str(problem))
            return
        if self._eras is not None and (last < 0 or last // WIDTH < self._state.size // WIDTH):
            self._report("history-short", max(last, 0), "lines are missing at the end of the history")
