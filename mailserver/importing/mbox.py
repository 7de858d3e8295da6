# SPDX-License-Identifier: AGPL-3.0-or-later
"""An mbox file as a source: one folder, read message by message (RFC 4155)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO

from config.refusal import Refused
from mailserver.importing.source import LARGEST, Folder, Message, folder_name, pages

_LONGEST_LINE = 1024 * 1024
_BEGINS = re.compile(rb"From (-\s|.*\d\d:\d\d)")
"""The line before a message: a sender with a time, or Thunderbird's dash. A sentence that begins with
From after a blank line is none.
"""
_STATUS = re.compile(rb"^(X-)?Status:[ \t]*([A-Z]+)", re.I | re.M)
_WORDS = {b"R": "\\Seen", b"A": "\\Answered", b"F": "\\Flagged", b"D": "\\Deleted", b"T": "\\Draft"}
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.M)


class MboxSource:
    """Reads one mbox file into the folder ``name`` (empty: named as the file is)."""

    def __init__(self, file: Path, name: str = "") -> None:
        self.key = f"mbox {file.resolve()}"
        self._file = file
        self._name, self._use = folder_name((name or file.stem).split("/"))

    async def folders(self) -> list[Folder]:
        """The one folder. Raises `Refused` when the file is not an mbox."""
        try:
            with self._file.open("rb") as stream:
                if stream.read(5) not in (b"From ", b""):
                    raise _not_mbox(self._file, "it does not begin with “From ”")
                stream.seek(0)
                count = sum(1 for _ in _cut(stream, keep=False))
        except OSError as problem:
            raise _not_mbox(self._file, str(problem)) from problem
        return [Folder(self._file.name, self._name, self._use, 0, count)]

    async def messages(self, folder: Folder, after: int) -> AsyncIterator[list[Message]]:
        """Pages of messages; a UID is the place in the file, from 1."""
        with self._file.open("rb") as stream:
            found = enumerate(_cut(stream), 1)
            for page in pages(_message(uid, *one) for uid, one in found if uid > after):
                yield page


def _cut(stream: BinaryIO, keep: bool = True) -> Iterator[tuple[bytes, bytes, int]]:
    """(the From line, the lines after it, their size); of a message above `LARGEST` only the size."""
    first, size, blank = b"", 0, True
    lines: list[bytes] = []
    while line := stream.readline(_LONGEST_LINE):
        if blank and _BEGINS.match(line):
            if first:
                yield first, b"".join(lines), size
            first, lines, size = line, [], 0
        elif first:
            size += len(line)
            if not keep or size > LARGEST:
                lines = []
            else:
                lines.append(line)
        blank = line in (b"\n", b"\r\n")
    if first:
        yield first, b"".join(lines), size


def _message(uid: int, first: bytes, lines: bytes, size: int) -> Message:
    if size > LARGEST:
        return Message(uid, frozenset(), 0, size, None, f"larger than {LARGEST} bytes")
    data = re.sub(rb"\r?\n", b"\r\n", _QUOTED_FROM.sub(rb"\1", lines))
    data = data.removesuffix(b"\r\n") if data.endswith(b"\r\n\r\n") else data
    head = data[: data.find(b"\r\n\r\n") + 2 or None]
    letters = {bytes([one]) for _, found in _STATUS.findall(head) for one in found}
    flags = frozenset(_WORDS[one] for one in letters if one in _WORDS)
    return Message(uid, flags, _moment(first, head), len(data), data)


def _moment(first: bytes, head: bytes) -> int:
    """When it came: the From line's date, else the Date field's, in µs UTC; 0 when neither can be read."""
    words = first.decode("ascii", "replace").split(None, 2)
    told = re.search(rb"^Date:[ \t]*([^\r\n]+)", head, re.I | re.M)
    try:
        if len(words) > 2 and len(words[2].split()) == 5:
            when = datetime.strptime(words[2].strip(), "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC)
        elif told is not None:
            when = parsedate_to_datetime(told[1].decode("ascii", "replace"))
        else:
            return 0
        return int(when.timestamp()) * 1_000_000
    except (ValueError, TypeError, OverflowError):
        return 0


def _not_mbox(file: Path, why: str) -> Refused:
    return Refused(
        "import-mbox",
        f"{file} không phải tệp mbox đọc được: {why}.",
        f"{file} is not a readable mbox file: {why}.",
    )
