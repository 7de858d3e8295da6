# SPDX-License-Identifier: AGPL-3.0-or-later
"""BODY, TEXT and HEADER: which blobs can hold a text (by the index), and reading them to decide.

Blobs never change, so what was once found out about a text and a blob stays true and is remembered for a while:
mail programs repeat their searches.
"""

from __future__ import annotations

import logging
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable

from config.refusal import Refused
from mailserver.message import Summary, finder, fold_line, scan
from mailserver.message.structure import header_end, is_trace
from mailserver.search.content import body_text, head_text
from mailserver.search.index import Index
from mailserver.search.keys import Key
from mailserver.store import Ref, Store

log = logging.getLogger("congvan.search")

_QUESTIONS, _ANSWERS = 64, 200_000
_EXACT, _PHRASE, _WORDS = 100, 70, 40
Test = Callable[[int], bool]


class Bodies:
    """Questions to the contents of blobs. May be asked from any thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.index = Index(store)
        self._known: OrderedDict[tuple[str, bool, bool], dict[int, bool]] = OrderedDict()
        self._lock = threading.Lock()

    def candidates(self, among: set[int], wanted: str, *, fuzzy: bool) -> set[int] | None:
        """The blobs of ``among`` that may hold ``wanted`` (folded), those not indexed yet included; None: any may."""
        return self.index.candidates(among, wanted, fuzzy=fuzzy)

    def holds(self, wanted: str, *, whole: bool, fuzzy: bool) -> Test:
        """A test whether a blob holds the folded text ``wanted`` (``fuzzy``: all its words); ``whole``: header too."""
        with self._lock:
            known = self._known.setdefault((wanted, whole, fuzzy), {})
            self._known.move_to_end((wanted, whole, fuzzy))
            if len(self._known) > _QUESTIONS or sum(map(len, self._known.values())) > _ANSWERS:
                self._known.popitem(last=False)
        texts = wanted.split() if fuzzy else [wanted]
        tests = [finder(one) for one in texts] or [finder("")]
        indexed = self.index.upto()

        def test(blob: int) -> bool:
            answer = known.get(blob)
            if answer is None:
                answer = self._look(blob, tests, whole=whole)
                if blob <= indexed:  # before that its attachments are not read yet
                    known[blob] = answer
            return answer

        return test

    def header_values(self, blob: int, name: str, values: Callable[[bytes, str], list[bytes]]) -> list[bytes]:
        """The raw values of the header fields ``name`` (lower case) of a blob."""
        summary = self._store.summaries([blob]).get(blob)
        head = summary.fields if summary is not None else None
        found = values(head, name) if head is not None else []
        if found or (head is not None and not is_trace(name.encode())):
            return found
        data = self._bytes(blob)
        return [] if data is None else values(data[: header_end(data, 0, len(data))], name)

    def relevancy(self, ref: Ref, uid: int, keys: list[Key]) -> int:
        """How well a message fits the texts of ``keys``, 1 to 100."""
        rows = self._store.rows(ref, uid, uid)
        data = self._bytes(rows[0].blob) if rows else None
        if data is None or not keys:
            return 1
        text = self._text(rows[0].blob, data, whole=True)
        plain, folded = " ".join(text.split()).casefold(), ""
        total = 0
        for key in keys:
            if " ".join(key.text.split()).casefold() in plain:
                total += _EXACT
                continue
            folded = folded or fold_line(text)
            total += _PHRASE if fold_line(key.text) in folded else _WORDS
        return max(1, total // len(keys))

    def _look(self, blob: int, tests: list[Callable[[str], bool]], *, whole: bool) -> bool:
        data = self._bytes(blob)
        if data is None:
            return False
        if len(tests) == 1 and whole and tests[0](head_text(data)):
            return True
        text = self._text(blob, data, whole=whole)
        return all(found(text) for found in tests)

    def _text(self, blob: int, data: bytes, *, whole: bool) -> str:
        summary: Summary | None = self._store.summaries([blob]).get(blob)
        text = body_text(data, summary or scan(data), self.index.extracted(blob))
        return head_text(data) + "\n" + text if whole else text

    def _bytes(self, blob: int) -> bytes | None:
        try:
            return self._store.content(blob)
        except (LookupError, Refused, OSError, zlib.error):
            log.warning("blob %d can't be searched", blob)
            return None
