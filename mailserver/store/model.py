# SPDX-License-Identifier: AGPL-3.0-or-later
"""Values of the store: mailbox, message row, change; flags as bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mailserver.accounts.model import AccountRef

SEEN, ANSWERED, FLAGGED, DELETED, DRAFT = 1, 2, 4, 8, 16
FIRST_KEYWORD_BIT = 8
LAST_KEYWORD_BIT = 61
INBOX = "INBOX"
SEPARATOR = "/"

SPECIAL_FOLDERS = (
    ("\\Sent", "Đã gửi"),
    ("\\Drafts", "Nháp"),
    ("\\Trash", "Thùng rác"),
    ("\\Junk", "Thư rác"),
    ("\\Archive", "Lưu trữ"),
)
"""RFC 6154 uses and the names they have in a new account."""


class Ref(NamedTuple):
    """A mailbox's key: the agency of its birth and its number there."""

    agency: int
    mailbox: int


class Row(NamedTuple):
    """One message in one mailbox. ``flags`` are bits; times are µs UTC; ``size`` in bytes."""

    uid: int
    flags: int
    modseq: int
    blob: int
    size: int
    internaldate_us: int


def flagged(flags: int, how: str, mask: int) -> int:
    """The flags after a change: ``add``, ``remove`` or ``replace``."""
    if how == "add":
        return flags | mask
    return flags & ~mask if how == "remove" else mask


class Change(NamedTuple):
    """An entry of a mailbox's change log: ``kind`` is ``new``, ``flags`` or ``expunged``.

    ``how`` and ``mask`` say what was done to the flags of every message there (`flagged`); "" when that is not known.
    """

    modseq: int
    first_uid: int
    last_uid: int
    kind: str
    how: str = ""
    mask: int = 0


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mailbox with its counters, as one read saw it. ``size`` in bytes; ``keywords``: bit -> name."""

    ref: Ref
    owner: AccountRef
    name: str
    special_use: str | None
    uidvalidity: int
    uidnext: int
    highestmodseq: int
    exists: int
    unseen: int
    size: int
    subscribed: bool
    keywords: dict[int, str] = field(default_factory=dict)


def ranges(uids: Sequence[int]) -> list[tuple[int, int]]:
    """Rising ``uids`` as closed ranges: ``[1, 2, 3, 7]`` gives ``[(1, 3), (7, 7)]``."""
    if uids and uids[-1] - uids[0] == len(uids) - 1:
        return [(uids[0], uids[-1])]
    found: list[tuple[int, int]] = []
    for uid in uids:
        if found and uid == found[-1][1] + 1:
            found[-1] = (found[-1][0], uid)
        else:
            found.append((uid, uid))
    return found


def spans_of(wanted: list[int]) -> list[tuple[int, int]]:
    """What to read for these rising UIDs: one span when they lie close together, else their ranges."""
    if wanted and wanted[-1] - wanted[0] < 4 * len(wanted):
        return [(wanted[0], wanted[-1])]
    return ranges(wanted)
