# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a search asks for: a tree of keys (RFC 9051 §6.4.4), the same for IMAP and the pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Numbers(Protocol):
    """A set of messages named by number or UID."""

    def positions(self, uids: Sequence[int], *, uid: bool) -> list[range]:
        """The positions it names among these UIDs."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key. Which fields count depends on ``name``:

    ``AND``, ``OR``, ``NOT``: ``keys``. ``FLAG``: bit ``number``, ``wanted``. ``KEYWORD``: ``text``, ``wanted``.
    ``SEQ``, ``UID``: ``set``. Dates: ``number`` days since 1970. Sizes, seconds, ``MODSEQ``: ``number``.
    Texts: ``text``; ``HEADER``: ``header`` and ``text``; ``fuzzy``: words in any order do (RFC 6203).
    ``EMAILID``, ``THREADID``: ``text`` (RFC 8474 §6). ``ALL``, ``NONE``, ``FILES`` (has attachments): nothing.
    """

    name: str
    keys: tuple[Key, ...] = ()
    number: int = 0
    wanted: bool = True
    text: str = ""
    header: str = ""
    set: Numbers | None = None
    fuzzy: bool = False


TEXTS = frozenset({"BCC", "BODY", "CC", "FROM", "SUBJECT", "TEXT", "TO"})
"""Keys that look for a text; ``HEADER`` does so too."""

_COST = {"SEQ": 0, "UID": 0, "FLAG": 0, "KEYWORD": 0, "ALL": 0, "NONE": 0, "MODSEQ": 0}
_COST |= dict.fromkeys(("BEFORE", "ON", "SINCE", "LARGER", "SMALLER", "YOUNGER", "OLDER"), 1)
_COST |= dict.fromkeys(
    ("SUBJECT", "FROM", "TO", "CC", "BCC", "SENTBEFORE", "SENTON", "SENTSINCE", "FILES"), 2
)
_COST |= {**dict.fromkeys(("SAVEDBEFORE", "SAVEDON", "SAVEDSINCE", "EMAILID"), 1), "THREADID": 2}
_COST |= {"HEADER": 3, "BODY": 4, "TEXT": 4}


def cost(key: Key) -> int:
    """How dear a key is: 0 arrays in memory, 1 rows, 2 columns, 3 header fields, 4 the bytes of messages."""
    if key.keys:
        return max(cost(one) for one in key.keys)
    return _COST[key.name]


def has(key: Key, name: str) -> bool:
    """Whether a key of this name is anywhere in the tree."""
    return key.name == name or any(has(one, name) for one in key.keys)


class Lasting(Enum):
    """How long an answer to a key stays true."""

    UIDS = "while the mailbox has the same messages"
    MODSEQ = "while nothing changes"
    NOT = "for this moment"


def lasting(key: Key) -> Lasting:
    """How long what matches a key goes on matching. Of BODY and TEXT it is not known: attachments are read later."""
    if key.keys:
        found = {lasting(one) for one in key.keys}
        return next(one for one in (Lasting.NOT, Lasting.MODSEQ, Lasting.UIDS) if one in found)
    if key.name in ("YOUNGER", "OLDER") or cost(key) == 4:
        return Lasting.NOT
    return Lasting.MODSEQ if key.name in ("FLAG", "KEYWORD", "MODSEQ") else Lasting.UIDS


_KINDS = {"SUBJECT": "subject", "FROM": "from", "TO": "to", "CC": "cc", "BCC": "bcc", "FILES": "files"}
_KINDS |= dict.fromkeys(("LARGER", "SMALLER"), "size") | dict.fromkeys(
    ("SENTBEFORE", "SENTON", "SENTSINCE"), "date"
)
_KINDS |= dict.fromkeys(("BEFORE", "ON", "SINCE", "YOUNGER", "OLDER"), "arrival")


def kinds(key: Key) -> set[str]:
    """The kinds of columns that decide a key of cost 0 to 2; "" stands for what no column decides."""
    if key.keys:
        return set().union(*(kinds(one) for one in key.keys))
    return set() if cost(key) == 0 else {_KINDS.get(key.name, "")}


def fuzzy_texts(key: Key) -> list[Key]:
    """The text keys by which relevancy is judged: those of FUZZY, not under NOT."""
    if key.name == "NOT":
        return []
    if key.keys:
        return [found for one in key.keys for found in fuzzy_texts(one)]
    return [key] if key.fuzzy and (key.name in TEXTS or key.name == "HEADER") else []
