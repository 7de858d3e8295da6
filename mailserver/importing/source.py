# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a source of old mail gives: folders, and their messages by UID."""

from __future__ import annotations

import unicodedata
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from mailserver.store.model import INBOX, SEPARATOR

LARGEST = 64 * 1024 * 1024
"""Bytes of the largest message that is taken; more is refused by name in the report."""

_PAGE = 25
_PAGE_BYTES = 4 * 1024 * 1024
_KNOWN_NAMES = {
    "sent": "\\Sent",
    "sent items": "\\Sent",
    "sent mail": "\\Sent",
    "sent messages": "\\Sent",
    "đã gửi": "\\Sent",
    "thư đã gửi": "\\Sent",
    "drafts": "\\Drafts",
    "nháp": "\\Drafts",
    "thư nháp": "\\Drafts",
    "trash": "\\Trash",
    "deleted": "\\Trash",
    "deleted items": "\\Trash",
    "deleted messages": "\\Trash",
    "thùng rác": "\\Trash",
    "junk": "\\Junk",
    "junk e-mail": "\\Junk",
    "junk email": "\\Junk",
    "spam": "\\Junk",
    "thư rác": "\\Junk",
    "archive": "\\Archive",
    "archives": "\\Archive",
    "lưu trữ": "\\Archive",
}
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder of a source.

    ``path`` is how the source names it, ``name`` how it is called here (NFC, ``/`` between levels),
    ``use`` its special use (RFC 6154) or None. ``uidvalidity`` 0: its UIDs mean nothing later, so what is
    there already is found by content.
    """

    path: str
    name: str
    use: str | None
    uidvalidity: int
    count: int


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it came; ``data`` is None when the source could not give it, ``problem`` says why.

    ``size`` is what the source said it has, in bytes; ``internaldate_us`` in µs UTC.
    """

    uid: int
    flags: frozenset[str]
    internaldate_us: int
    size: int
    data: bytes | None
    problem: str = ""


class Source(Protocol):
    """A place old mail comes from."""

    key: str
    """Names the source for resuming: the same place has the same key."""

    async def folders(self) -> list[Folder]:
        """The folders that hold messages. Raises `Refused` when the source can't be read."""
        ...

    def messages(self, folder: Folder, after: int) -> AsyncIterator[list[Message]]:
        """Messages with a UID above ``after``, by UID, in pages of bounded size."""
        ...


def pages(found: Iterable[Message]) -> Iterator[list[Message]]:
    """Messages in pages that are stored by one transaction each: few, and of a few megabytes."""
    page: list[Message] = []
    held = 0
    for one in found:
        page.append(one)
        held += one.size if one.data is not None else 0
        if len(page) >= _PAGE or held >= _PAGE_BYTES:
            yield page
            page, held = [], 0
    if page:
        yield page


def folder_name(parts: list[str]) -> tuple[str, str | None]:
    """(name here, special use by a well-known name or None) of a folder with these levels.

    Servers that keep everything below INBOX are flattened: ``INBOX.Dự án`` is ``Dự án``.
    """
    clean = [_level(one) for one in parts if one]
    if len(clean) > 1 and clean[0].upper() == INBOX:
        clean = clean[1:]
    if len(clean) == 1 and clean[0].upper() == INBOX:
        return INBOX, None
    name = SEPARATOR.join(clean)[:_LONGEST_NAME].rstrip(f"{SEPARATOR} ") or "?"
    return name, _KNOWN_NAMES.get(name.casefold())


def _level(text: str) -> str:
    composed = unicodedata.normalize("NFC", text)
    return "".join("_" if not one.isprintable() or one == SEPARATOR else one for one in composed).strip()
