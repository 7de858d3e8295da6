# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who watches which mailboxes: one subscription to the wake-ups, many open pages."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from config.refusal import Refused
from config.wake import Wake
from mailserver.accounts import AccountRef
from mailserver.store import Ref

_STREAMS_OF_ONE = 12
_STREAMS = 5000


class TooManyStreams(Refused):
    """One person, or all together, keep too many pages open."""

    def __init__(self) -> None:
        super().__init__(
            "too-many-streams",
            "Đang mở quá nhiều trang cùng lúc. Đóng bớt trang để nhận báo thư mới.",
            "Too many pages are open. Close some to hear of new mail.",
        )


class Hub:
    """Wakes the open pages whose mailboxes changed. Lives on one event loop."""

    def __init__(self, wake: Wake) -> None:
        self._watching: dict[str, set[asyncio.Event]] = {}
        self._streams: Counter[AccountRef] = Counter()
        self.closed = False
        wake.subscribe(self._woken)

    def close(self) -> None:
        """End all streams: the server stops."""
        self.closed = True
        for changed in {one for some in self._watching.values() for one in some}:
            changed.set()

    @contextmanager
    def watch(self, who: AccountRef, boxes: Iterable[Ref]) -> Iterator[asyncio.Event]:
        """An event that is set when one of ``boxes`` changed. Raises `TooManyStreams`."""
        if self._streams[who] >= _STREAMS_OF_ONE or self._streams.total() >= _STREAMS:
            raise TooManyStreams
        changed = asyncio.Event()
        keys = [f"{box.agency}.{box.mailbox}" for box in boxes]
        self._streams[who] += 1
        for key in keys:
            self._watching.setdefault(key, set()).add(changed)
        try:
            yield changed
        finally:
            for key in keys:
                self._watching[key].discard(changed)
                if not self._watching[key]:
                    del self._watching[key]
            self._streams[who] -= 1
            if not self._streams[who]:
                del self._streams[who]

    def _woken(self, topic: str, key: str) -> None:
        if topic == "mailbox":
            for changed in self._watching.get(key, ()):
                changed.set()
