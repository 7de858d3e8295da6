# SPDX-License-Identifier: AGPL-3.0-or-later
"""A form that gives a number acts once: the second press of the same form gets the answer of the first."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_KEPT_S = 3600.0
_MOST = 2_000


class Once:
    """Answers by the form's own mark, for an hour. Two presses at the same moment come one after the other."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._turns: dict[str, threading.Lock] = {}
        self._answers: OrderedDict[str, tuple[float, str]] = OrderedDict()

    def do(self, mark: str, act: Callable[[], str]) -> str:
        """The answer of ``act``, or the one it gave for this mark before. What raised may be tried again."""
        with self._turn(mark):
            with self._guard:
                known = self._answers.get(mark)
            if known is not None:
                return known[1]
            answer = act()
            with self._guard:
                self._answers[mark] = (time.monotonic(), answer)
                while len(self._answers) > _MOST or self._oldest_is_over():
                    self._answers.popitem(last=False)
            return answer

    def _oldest_is_over(self) -> bool:
        first = next(iter(self._answers.values()), None)
        return first is not None and time.monotonic() - first[0] > _KEPT_S

    @contextmanager
    def _turn(self, mark: str) -> Iterator[None]:
        with self._guard:
            lock = self._turns.setdefault(mark, threading.Lock())
        with lock:
            try:
                yield
            finally:
                with self._guard:
                    self._turns.pop(mark, None)
