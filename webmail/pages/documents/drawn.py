# SPDX-License-Identifier: AGPL-3.0-or-later
"""Pages drawn for somebody to look at, kept for a while so that each picture is not drawn again."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import Generic, TypeVar

from exchange.documents.model import DocumentRef

_MOST, _KEPT_S = 12, 900.0
Value = TypeVar("Value")


class Kept(Generic[Value]):
    """What was drawn last, by document and who looks. Safe to use from several threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._by_key: OrderedDict[tuple[DocumentRef, str], tuple[float, Value]] = OrderedDict()

    def get(self, key: tuple[DocumentRef, str]) -> Value | None:
        """The newest for this key, None after a quarter of an hour."""
        with self._guard:
            found = self._by_key.get(key)
        return found[1] if found is not None and found[0] > time.monotonic() else None

    def put(self, key: tuple[DocumentRef, str], value: Value) -> None:
        """Keep it; the oldest goes."""
        with self._guard:
            self._by_key[key] = (time.monotonic() + _KEPT_S, value)
            self._by_key.move_to_end(key)
            while len(self._by_key) > _MOST:
                self._by_key.popitem(last=False)
