# SPDX-License-Identifier: AGPL-3.0-or-later
"""BODY, TEXT and HEADER: which blobs can hold a text (by the index), and reading them to decide.

Blobs never change, so what was once found out about a text and a blob stays true and is remembered for a while:
mail programs repeat their searches.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence

from config.refusal import Refused
from mailserver.message import Summary, finder, fold_line, scan
from mailserver.message.structure import header_end, is_trace
from mailserver.search import texts
from mailserver.search.content import body_text, head_text
from mailserver.search.index import Index
from mailserver.search.keys import Key
from mailserver.store import Ref, Store

log = logging.getLogger("congvan.search")

_QUESTIONS, _ANSWERS = 64, 200_000
_EXACT, _PHRASE, _WORDS = 100, 70, 40
_RUN = texts.RUN
Test = Callable[[str], bool]


class Bodies:
    """Questions to the contents of blobs. May be asked from any thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.index = Index(store)
        self._known: OrderedDict[tuple[str, bool, bool], dict[int, bool]] = OrderedDict()
        self._lock = threading.Lock()

    def candidates(self, among: Collection[int], wanted: str, *, fuzzy: bool) -> set[int] | None:
        """As `Index.candidates`; those not indexed yet are included."""
        return self.index.candidates(among, wanted, fuzzy=fuzzy)

    def holding(
        self, blobs: Sequence[int], wanted: str, *, whole: bool, fuzzy: bool, check: Callable[[], None]
    ) -> set[int]:
        """Those of ``blobs`` that hold the folded text ``wanted`` (``fuzzy``: all its words); ``whole``: header too.

        ``check`` is called now and then and may raise to end the work.
        """
        question = (wanted, whole, fuzzy)
        with self._lock:
            known = self._known.setdefault(question, {})
            self._known.move_to_end(question)
            if len(self._known) > _QUESTIONS or sum(map(len, self._known.values())) > _ANSWERS:
                self._known.popitem(last=False)
        parts = (wanted.split() if fuzzy else [wanted]) or [""]
        octets = [one.encode("utf-8", "surrogatepass") for one in parts]
        unknown = [blob for blob in dict.fromkeys(blobs) if blob not in known]
        found = {blob for blob in blobs if known.get(blob)}
        for start in range(0, len(unknown), _RUN):
            check()
            run = unknown[start : start + _RUN]
            for blob, packed in texts.read(self._store, run):
                answer = known[blob] = texts.holds(packed, octets, whole=whole)
                if answer:
                    found.add(blob)
            if len(rest := [blob for blob in run if blob not in known]) > 0:
                found |= self._opened(rest, parts, known, whole=whole)
        return found

    def _opened(self, run: list[int], parts: list[str], known: dict[int, bool], *, whole: bool) -> set[int]:
        """`holding` of messages that have no folded text."""
        found: set[int] = set()
        tests = [finder(one) for one in parts]
        indexed = self.index.upto()
        read = self._store.contents(run)
        summaries = self._store.summaries(run)
        extracted = self.index.extracted([blob for blob in run if blob <= indexed])
        for blob in run:
            data = _bytes(read, blob)
            answer = data is not None and _holds(
                data, summaries.get(blob), extracted.get(blob, ""), tests, whole=whole
            )
            if answer:
                found.add(blob)
            if blob <= indexed:  # before that its attachments are not read yet
                known[blob] = answer
        return found

    def header_values(self, blob: int, name: str, values: Callable[[bytes, str], list[bytes]]) -> list[bytes]:
        """The raw values of the header fields ``name`` (lower case) of a blob."""
        summary = self._store.summaries([blob]).get(blob)
        head = summary.fields if summary is not None else None
        found = values(head, name) if head is not None else []
        if found or (head is not None and not is_trace(name.encode())):
            return found
        data = _bytes(self._store.content, blob)
        return [] if data is None else values(data[: header_end(data, 0, len(data))], name)

    def relevancy(self, ref: Ref, uid: int, keys: list[Key]) -> int:
        """How well a message fits the texts of ``keys``, 1 to 100."""
        rows = self._store.rows(ref, uid, uid)
        data = _bytes(self._store.content, rows[0].blob) if rows else None
        if data is None or not keys:
            return 1
        text = self._text(rows[0].blob, data)
        plain, folded = " ".join(text.split()).casefold(), ""
        total = 0
        for key in keys:
            if " ".join(key.text.split()).casefold() in plain:
                total += _EXACT
                continue
            folded = folded or fold_line(text)
            total += _PHRASE if fold_line(key.text) in folded else _WORDS
        return max(1, total // len(keys))

    def _text(self, blob: int, data: bytes) -> str:
        summary = self._store.summaries([blob]).get(blob) or scan(data)
        extracted = self.index.extracted([blob]).get(blob, "")
        return head_text(data) + "\n" + body_text(data, summary, extracted)


def _holds(data: bytes, summary: Summary | None, extracted: str, tests: list[Test], *, whole: bool) -> bool:
    head = head_text(data) if whole else ""
    if len(tests) == 1 and head and tests[0](head):
        return True
    text = body_text(data, summary or scan(data), extracted)
    if len(tests) > 1 and whole:
        text = head + "\n" + text
    return all(found(text) for found in tests)


def _bytes(read: Callable[[int], bytes], blob: int) -> bytes | None:
    try:
        return read(blob)
    except (LookupError, Refused, OSError):
        log.warning("blob %d can't be searched", blob)
        return None
