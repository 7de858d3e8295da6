# SPDX-License-Identifier: AGPL-3.0-or-later
"""FETCH answers out of the sealed pages of a mailbox: 512 messages by a few rows, where summaries are a row each.

The pages are written behind delivery (`mailserver.search.pages`); what is in none yet, and items that no page has,
come from the summaries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mailserver.imap.grammar import strings
from mailserver.imap.grammar.fetching import Item
from mailserver.imap.sections import is_kept, only, only_behind
from mailserver.search.columns import Column, Pieces
from mailserver.search.facts import Facts
from mailserver.store import Ref

_KIND = {"INTERNALDATE": "arrival", "RFC822.SIZE": "size", "ENVELOPE": "envelope", "BODYSTRUCTURE": "struct"}
_FIELDS = "fields"


class Leaves:
    """The pages of one mailbox, for one list of items; the last one opened is kept."""

    def __init__(self, facts: Facts, ref: Ref, items: list[Item]) -> None:
        self._facts = facts
        self._ref = ref
        self._items = items
        kinds = [_kind(one) for one in items]
        self._kinds = [one for one in kinds if one is not None]
        self._can = len(self._kinds) == len(items) > 0
        self._template = b" ".join([_template(one) for one in items]) if self._can else b""
        self._first = self._last = 0
        self._page: dict[int, bytes] = {}

    def page(self, uid: int) -> dict[int, bytes]:
        """The items of all messages in the page of ``uid``, by UID; not to be changed. Empty when no page has it.

        What is very long is in no page. Raises `SealBroken`.
        """
        if not self._can:
            return {}
        if not self._first <= uid <= self._last:
            found = self._facts.page(self._ref, uid, self._kinds)
            if found is None:
                return {}
            self._first, self._last, columns = found
            self._page = self._rendered(columns)
        return self._page

    def _rendered(self, columns: Sequence[Column]) -> dict[int, bytes]:
        values = [_values(item, column) for item, column in zip(self._items, columns, strict=True)]
        uids, template = columns[0].uids, self._template
        if all(one.uids == uids for one in columns[1:]):
            return dict(zip(uids, [template % row for row in zip(*values, strict=True)], strict=True))
        by_uid = [dict(zip(one.uids, some, strict=True)) for one, some in zip(columns, values, strict=True)]
        common = [uid for uid in uids if all(uid in one for one in by_uid)]
        return {uid: template % tuple([one[uid] for one in by_uid]) for uid in common}


def chosen(head: bytes, fields: tuple[bytes, ...]) -> bytes:
    """The fields of these names in a header, and the empty line."""
    if not head.endswith(b"\n"):
        return b"".join([*only(fields).findall(head), b"\r\n"])
    found = b"".join(only_behind(fields).findall(b"\n" + head))
    return found[1:] + b"\n\r\n" if found else b"\r\n"


def _kind(item: Item) -> str | None:
    if item.section is not None:
        return _FIELDS if item.first is None and item.name == "BODY[]" and is_kept(item.section) else None
    return _KIND.get(item.name)


def _template(item: Item) -> bytes:
    if item.section is not None:
        return b"BODY[" + item.section.wire().replace(b"%", b"%%") + b"] %b"
    return item.name.encode() + (b" %d" if item.name == "RFC822.SIZE" else b" %b")


def _values(item: Item, column: Any) -> Sequence[Any]:
    """What goes into the template for each message of a page."""
    if item.section is not None:
        fields = item.section.fields
        heads = [chosen(one, fields) for one in column.values()]
        return [b"{%d}\r\n%b" % (len(one), one) for one in heads]
    if item.name == "INTERNALDATE":
        return [strings.internaldate(us) for us in column.values]
    return column.values() if isinstance(column, Pieces) else column.values
