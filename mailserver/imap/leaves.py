# SPDX-License-Identifier: AGPL-3.0-or-later
"""FETCH answers out of the sealed pages of a mailbox: 512 messages by a few rows, where summaries are a row each.

The pages are written behind delivery (`mailserver.search.pages`); what is in none yet, and items that no page has,
come from the summaries.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

from mailserver.imap.grammar import strings
from mailserver.imap.grammar.fetching import Item
from mailserver.imap.sections import is_kept
from mailserver.search import fields
from mailserver.search.columns import Column, Pieces
from mailserver.search.facts import Facts
from mailserver.search.fields import Fields
from mailserver.store import Ref

_KIND = {"INTERNALDATE": "arrival", "RFC822.SIZE": "size", "ENVELOPE": "envelope", "BODYSTRUCTURE": "struct"}
_FIELDS = "fields"


class Leaf(NamedTuple):
    """The page of UIDs ``first`` to ``last``: what goes into the template for each message of ``uids``."""

    first: int
    last: int
    uids: array[int]
    values: Sequence[Sequence[Any]]


class Leaves:
    """The pages of one mailbox, for one list of items; the last one opened is kept."""

    def __init__(self, facts: Facts, ref: Ref, items: list[Item]) -> None:
        self._facts = facts
        self._ref = ref
        self._items = items
        kinds = [_kind(one) for one in items]
        self._kinds = [one for one in kinds if one is not None]
        self._can = len(self._kinds) == len(items) > 0
        self._leaf: Leaf | None = None
        self._page: dict[int, bytes] | None = None
        self.template = b" ".join([_template(one) for one in items]) if self._can else b""
        """How the items of one message are written."""

    def leaf(self, uid: int) -> Leaf | None:
        """The page of ``uid``, None when no page has it. What is very long is in no page. Raises `SealBroken`."""
        if not self._can:
            return None
        if self._leaf is None or not self._leaf.first <= uid <= self._leaf.last:
            found = self._facts.page(self._ref, uid, self._kinds)
            self._page = None
            self._leaf = Leaf(found[0], found[1], *self._values(found[2])) if found is not None else None
        return self._leaf

    def page(self, uid: int) -> dict[int, bytes]:
        """The items of all messages in the page of ``uid``, by UID; not to be changed. As `leaf`, else empty."""
        leaf = self.leaf(uid)
        if leaf is None:
            return {}
        if self._page is None:
            template = self.template
            rows = zip(*leaf.values, strict=True)
            self._page = dict(zip(leaf.uids, [template % row for row in rows], strict=True))
        return self._page

    def _values(self, columns: Sequence[Column | Fields]) -> tuple[array[int], list[Sequence[Any]]]:
        each = [_values(item, column) for item, column in zip(self._items, columns, strict=True)]
        uids = columns[0].uids
        if any(one.uids != uids for one in columns[1:]):
            common = set(uids).intersection(*(one.uids for one in columns[1:]))
            uids = array("I", sorted(common))
            each = [
                [
                    [value for uid, value in zip(column.uids, some, strict=True) if uid in common]
                    for some in values
                ]
                for column, values in zip(columns, each, strict=True)
            ]
        return uids, [some for values in each for some in values]


def written(template: bytes, columns: Sequence[Iterable[Any]], count: int) -> bytes:
    """``template`` for each of ``count`` rows, all at once, which halves what a row costs."""
    return (template * count) % tuple(chain.from_iterable(zip(*columns, strict=True)))


def _kind(item: Item) -> str | None:
    section = item.section
    if section is None:
        return _KIND.get(item.name)
    whole = item.first is None and item.name == "BODY[]"
    return _FIELDS if whole and is_kept(section) and fields.answers(section.fields) else None


def _template(item: Item) -> bytes:
    if item.section is not None:
        return b"BODY[" + item.section.wire().replace(b"%", b"%%") + b"] {%d}\r\n%b"
    return item.name.encode() + (b" %d" if item.name == "RFC822.SIZE" else b" %b")


def _values(item: Item, column: Any) -> list[Sequence[Any]]:
    """What goes into the template for each message of a page."""
    if item.section is not None:
        heads = column.chosen(item.section.fields)
        return [list(map(len, heads)), heads]
    if item.name == "INTERNALDATE":
        return [[strings.internaldate(us) for us in column.values]]
    return [column.values() if isinstance(column, Pieces) else column.values]
