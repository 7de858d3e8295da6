# SPDX-License-Identifier: AGPL-3.0-or-later
"""What is typed into the search box → the keys of a search, and the newest letters it finds.

Words may be anywhere in a letter, also in its files; marks need not be typed. ``from:`` ``to:`` ``subject:`` ``has:``
``before:`` ``after:`` (and ``từ:`` ``đến:`` ``chủ-đề:`` ``có:`` ``trước:`` ``sau:``) narrow it; “quotes” keep words together.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from mailserver.message import Summary, fold, fold_line
from mailserver.search.keys import Key
from mailserver.search.searching import Searcher, Searches, TooMuchWork
from mailserver.store import Ref, Row, Store
from webmail.pages.mail.places import Place

Found = tuple[Place, Row, Summary]
_TERM = re.compile(r'(?:([\w-]{1,12}):)?(?:["“”]([^"“”]+)["“”]?|(\S+))')
_DATE = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})|(\d{1,2})[/-](\d{1,2})[/-](\d{4})")
_OPERATORS = {
    "from": "FROM",
    "tu": "FROM",
    "to": "TO",
    "den": "TO",
    "subject": "SUBJECT",
    "chu-de": "SUBJECT",
    "before": "BEFORE",
    "truoc": "BEFORE",
    "after": "SINCE",
    "since": "SINCE",
    "sau": "SINCE",
}
_HAS = frozenset({"has", "co"})
_FILES = frozenset({"attachment", "attachments", "file", "files", "tep", "dinh-kem"})
_TERMS = 20
_RUN = 400
EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Asked:
    """A search as it was understood. ``typed``: the words to be anywhere, as typed, for the order of what is found."""

    key: Key
    typed: str


def understood(query: str) -> Asked:
    """The search that ``query`` stands for; what is no operator is a word."""
    keys: list[Key] = []
    words: list[str] = []
    for term in list(_TERM.finditer(unicodedata.normalize("NFC", query)))[:_TERMS]:
        name, value = fold(term[1] or ""), term[2] or term[3]
        kind = _OPERATORS.get(name)
        if name in _HAS and fold(value) in _FILES:
            keys.append(Key("FILES"))
        elif kind in ("BEFORE", "SINCE"):
            day = _day(value)
            if day is not None:
                keys.append(Key(kind, number=day))
        elif kind is not None:
            keys.append(Key(kind, text=value))
        else:
            words.append(term[0])
            keys.append(Key("TEXT", text=value if not term[1] else term[0]))
    if not keys:
        return Asked(Key("ALL"), "")
    return Asked(keys[0] if len(keys) == 1 else Key("AND", tuple(keys)), " ".join(words).strip('"“”'))


def _day(value: str) -> int | None:
    match = _DATE.fullmatch(value)
    if match is None:
        return None
    numbers = match.group(1, 2, 3) if match[1] else match.group(6, 5, 4)
    try:
        return (date(*(int(one) for one in numbers)) - EPOCH).days
    except ValueError:
        return None


class _Box:
    """A mailbox as a search sees it; no flags are asked for here."""

    def __init__(self, ref: Ref, uids: array[int]) -> None:
        self.ref = ref
        self.uids = uids

    def all_flags(self) -> array[int]:
        """No key here asks."""
        raise NotImplementedError

    def modseqs(self, position: int) -> int:
        """No key here asks."""
        raise NotImplementedError

    def keyword_bit(self, name: str) -> int | None:
        """No key here asks."""
        raise NotImplementedError


def newest(
    searches: Searches, within: list[Place], asked: Asked, before: int | None, most: int
) -> tuple[list[Found], bool]:
    """The newest letters that match, at most ``most`` of a mailbox and below UID ``before``; True when cut short.

    Mailboxes are searched from their newest letters on, so a page of results costs no more than it needs.
    """
    found: list[Found] = []
    for place in within:
        ref = place.box.ref
        uids = searches.facts.numbers(ref, "blob", place.box.uidnext - 1).uids
        if before is not None:
            uids = array("I", [uid for uid in uids if uid < before])
        job = Searcher(searches, _Box(ref, uids))
        here: list[int] = []
        try:
            for end in range(len(uids), 0, -_RUN):
                here += reversed(job.match(asked.key, range(max(0, end - _RUN), end)))
                if len(here) > most:
                    break
        except TooMuchWork:
            return found, True
        found += _letters(searches.store, place, [uids[at] for at in here[: most + 1]])
    return found, False


def _letters(store: Store, place: Place, uids: list[int]) -> list[Found]:
    rows = [row for uid in uids for row in store.rows(place.box.ref, uid, uid)]
    known = store.summaries([row.blob for row in rows])
    return [(place, row, known[row.blob]) for row in rows if row.blob in known]


def nearness(asked: Asked) -> Callable[[Found], tuple[bool, bool, int]]:
    """The order of results: those with the words as typed first, then with the phrase, then the newest."""
    typed, phrase = asked.typed.casefold(), fold_line(asked.typed)

    def key(one: Found) -> tuple[bool, bool, int]:
        _, row, summary = one
        text = f"{summary.subject} {summary.preview}"
        return typed not in text.casefold(), phrase not in fold_line(text), -row.internaldate_us

    return key
