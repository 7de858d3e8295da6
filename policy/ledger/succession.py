# SPDX-License-Identifier: AGPL-3.0-or-later
"""How the key of a log gives way to another: the last checkpoint of the old key is signed by both (C2SP signed-note).

It is an ordinary checkpoint of the log with one extension line more and a second signature, and stands in the history::

    key-succession <old key> <new key>        as vkeys, `name+hash+base64`

Up to its size checkpoints are the old key's, after it the new one's alone. Whoever trusts one of the keys is led to the others:
the old one vouches for what comes, the new one for what was. Witnesses and other readers of the format pass over the line.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from policy.ledger.checkpoint import Checkpoint, CheckpointWrong, Key, Note, Sign, read, read_signed, sign

LINE = "key-succession"
_MOST = 1000


class SuccessionBroken(Exception):
    """The successions in a history don't lead to the log's key; ``behind``: only its last one is not shown yet."""

    def __init__(self, what: str, behind: bool = False) -> None:
        super().__init__(what)
        self.behind = behind


@dataclass(frozen=True, slots=True)
class LogKeys:
    """The keys of a log of ours: the one that signs, and those before it."""

    present: Key
    earlier: tuple[Key, ...] = ()

    @property
    def all(self) -> tuple[Key, ...]:
        """The present one first."""
        return (self.present, *(one for one in self.earlier if one != self.present))

    def signer_of(self, text: bytes) -> Key:
        """The newest of them that signed a checkpoint. Raises `CheckpointWrong`."""
        note = read(text)
        found = next((one for one in self.all if note.signed_by(one)), None)
        if found is None or note.checkpoint.origin != found.name:
            raise CheckpointWrong("none of the log's keys signed it")
        return found


@dataclass(frozen=True, slots=True)
class Succession:
    """At ``size`` entries ``old`` gave way to ``new``."""

    size: int
    old: Key
    new: Key


@dataclass(frozen=True, slots=True)
class Eras:
    """Which key signs at which size: ``successions`` in order, then ``last``."""

    successions: tuple[Succession, ...]
    last: Key

    @property
    def keys(self) -> tuple[Key, ...]:
        """All of them, the oldest first."""
        return (*(one.old for one in self.successions), self.last)

    def read_signed(self, text: bytes) -> Checkpoint:
        """A checkpoint, signed by the key of its size. Raises `CheckpointWrong`."""
        size = read(text).checkpoint.size
        return read_signed(text, next((one.old for one in self.successions if size <= one.size), self.last))


def eras_of(history: Iterable[bytes], own: Key) -> Eras:
    """The eras that a history shows, of the log whose key of today is ``own``. Raises `SuccessionBroken`."""
    found: list[Succession] = []
    for text in history:
        if LINE.encode() not in text:
            continue
        try:
            one = succession_of(read(text))
        except CheckpointWrong:
            continue  # whoever reads the history line by line says so
        if one is None or one.old.name != own.name:
            continue
        if found and (one.old != found[-1].new or one.size <= found[-1].size):
            raise SuccessionBroken(f"the succession at {one.size} entries does not follow the one before")
        if len(found) == _MOST:
            raise SuccessionBroken(f"more than {_MOST} successions")
        found.append(one)
    if found and found[-1].new != own:
        raise SuccessionBroken("log.vkey is not the key that the history leads to", own == found[-1].old)
    return Eras(tuple(found), own)


def succession_of(note: Note) -> Succession | None:
    """What a checkpoint says of it; None when it says nothing, or not both keys signed."""
    for line in note.checkpoint.extensions:
        words = line.split(" ")
        if len(words) != 3 or words[0] != LINE:
            continue
        try:
            old, new = Key.parse(words[1]), Key.parse(words[2])
        except ValueError:
            return None
        named = old.name == new.name == note.checkpoint.origin and old != new
        signed = named and note.signed_by(old) and note.signed_by(new)
        return Succession(note.checkpoint.size, old, new) if signed else None
    return None


def hand_over(
    size: int, root: bytes, old: Key, new: Key, sign_old: Sign, sign_new: Sign
) -> tuple[Checkpoint, bytes]:
    """The checkpoint at which ``old`` gives way, and its note signed by both. Raises as `checkpoint.sign` does."""
    state = Checkpoint(old.name, size, root, (f"{LINE} {old.vkey} {new.vkey}",))
    first, second = sign(state, old, sign_old), sign(state, new, sign_new)
    return state, first + second[len(state.body()) + 1 :]


def only_by(text: bytes, key: Key) -> bytes:
    """The same checkpoint with the signature of ``key`` alone. Raises `CheckpointWrong` when it has none."""
    note = read(text)
    lines = text[len(note.body) + 1 :].decode("utf-8").splitlines(keepends=True)
    for line, signature in zip(lines, note.signatures, strict=True):
        if (signature.name, signature.key_hash) == (key.name, key.hash):
            return note.body + b"\n" + line.encode("utf-8")
    raise CheckpointWrong("this key did not sign it")
