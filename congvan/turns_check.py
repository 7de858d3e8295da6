# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan check``: whether a process keeps the others from writing."""

from __future__ import annotations

import time

from config.settings import Settings
from config.turns import Holder, holder

_SECONDS = 5.0
_STEP_S = 0.01


def look(settings: Settings) -> tuple[bool, str, str]:
    """(nobody does, words in Vietnamese, in English). Looks on for some seconds while one process has the turn."""
    file = settings.run_dir / "write.lock"
    first = found = holder(file)
    deadline = time.monotonic() + _SECONDS
    while found is not None and found == first and not found.stopped and time.monotonic() < deadline:
        time.sleep(_STEP_S)
        found = holder(file)
    if found is None or found != first:
        return True, "các tiến trình lần lượt ghi", "processes take turns"
    return _stuck(found)


def _stuck(found: Holder) -> tuple[bool, str, str]:
    vi, en = ("bị dừng", "is stopped") if found.stopped else ("không trả lại", "does not go on")
    first = f"`kill -CONT {found.pid}`, " if found.stopped else ""
    return (
        False,
        f"tiến trình {found.pid} giữ quyền ghi và {vi}, mọi thư bị hoãn: {first}`kill -9 {found.pid}` "
        "(được khởi động lại, không mất gì đã nhận)",
        f"process {found.pid} has the right to write and {en}, all mail is deferred: {first}`kill -9 {found.pid}` "
        "(it is started again, nothing acknowledged is lost)",
    )
