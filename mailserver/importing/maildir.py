# SPDX-License-Identifier: AGPL-3.0-or-later
"""A Maildir as a source, with its subfolders in the manner of Maildir++ (``.Sent``, ``.Dự án.2025``)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

from config.refusal import Refused
from mailserver.imap.grammar.names import decode_name
from mailserver.importing.source import LARGEST, Folder, Message, folder_name, pages

_WORDS = {"S": "\\Seen", "R": "\\Answered", "F": "\\Flagged", "T": "\\Deleted", "D": "\\Draft"}


class MaildirSource:
    """Reads a Maildir from its folder on disk."""

    def __init__(self, root: Path) -> None:
        self.key = f"maildir {root.resolve()}"
        self._root = root

    async def folders(self) -> list[Folder]:
        """INBOX and the subfolders. Raises `Refused` when ``root`` is not a Maildir."""
        if not (self._root / "cur").is_dir():
            raise Refused(
                "import-maildir",
                f"{self._root} không phải Maildir: thiếu thư mục cur.",
                f"{self._root} is not a Maildir: it has no folder cur.",
            )
        found = [Folder(".", "INBOX", None, 0, len(_files(self._root)))]
        for place in sorted(self._root.iterdir()):
            if place.name.startswith(".") and (place / "cur").is_dir() and not place.is_symlink():
                name, use = folder_name(decode_name(place.name[1:].encode()).split("."))
                found.append(Folder(place.name, name, use, 0, len(_files(place))))
        return found

    async def messages(self, folder: Folder, after: int) -> AsyncIterator[list[Message]]:
        """Pages of messages; a UID is the place among the files by name, from 1."""
        files = _files(self._root / folder.path)
        for page in pages(_message(uid, file) for uid, file in enumerate(files, 1) if uid > after):
            yield page


def _files(place: Path) -> list[Path]:
    return sorted(
        (
            file
            for part in ("cur", "new")
            if (place / part).is_dir()
            for file in (place / part).iterdir()
            if file.is_file() and not file.is_symlink() and not file.name.startswith(".")
        ),
        key=lambda file: file.name,
    )


def _message(uid: int, file: Path) -> Message:
    try:
        told = file.stat()
        if told.st_size > LARGEST:
            return Message(uid, frozenset(), 0, told.st_size, None, f"larger than {LARGEST} bytes")
        data = re.sub(rb"\r?\n", b"\r\n", file.read_bytes())
    except OSError as problem:
        return Message(uid, frozenset(), 0, 0, None, f"can't be read: {problem.strerror}")
    _, _, info = file.name.partition(":2,")
    flags = frozenset(_WORDS[one] for one in info if one in _WORDS)
    return Message(uid, flags, int(told.st_mtime) * 1_000_000, len(data), data)
