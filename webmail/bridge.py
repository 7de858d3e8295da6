# SPDX-License-Identifier: AGPL-3.0-or-later
"""From a page's thread to the event loop that owns writes and deliveries."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from config.refusal import Unavailable

T = TypeVar("T")


class TookTooLong(Unavailable):
    """The loop did not answer in time; whether the act was done is not known here."""

    def __init__(self) -> None:
        super().__init__(
            "took-too-long",
            "Máy chủ trả lời quá chậm. Hãy xem lại danh sách trước khi làm lại, có thể việc đã xong.",
            "The server took too long. Look at the list before trying again: it may have been done.",
        )


class Bridge:
    """Runs coroutines on ``loop`` for callers in other threads."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def wait(self, work: Coroutine[Any, Any, T], seconds: float = 60.0) -> T:
        """The result of ``work``, or what it raised. Raises `TookTooLong`. Not for the loop's own thread."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(seconds)
        except TimeoutError as problem:
            if future.done():
                raise
            raise TookTooLong from problem
