# SPDX-License-Identifier: AGPL-3.0-or-later
"""Fields of the mail pages' forms and addresses, as values."""

from __future__ import annotations

from dataclasses import dataclass

from flask import request

from config.refusal import Refused
from mailserver.message import fold
from webmail.errors import NotThere
from webmail.pages.mail.queries import SHOW

_MOST = 100
ACTS = ("archive", "trash", "junk", "inbox", "move", "flag", "unflag", "seen", "unread", "discard")


class NothingChosen(Refused):
    """No letter was ticked."""

    def __init__(self) -> None:
        super().__init__(
            "nothing-chosen",
            "Chưa chọn thư nào. Đánh dấu ít nhất một thư rồi bấm lại.",
            "No letter is chosen. Tick at least one and press again.",
        )


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of a list is looked at: filter, search, page. ``carry`` goes into the links of its rows."""

    show: str
    query: str
    everywhere: bool
    before: int | None
    choosing: bool

    @property
    def asks_for_files(self) -> bool:
        """Whether the search has ``has:`` in it already."""
        return any(word.startswith(("has:", "co:")) for word in fold(self.query).split())

    @property
    def carry(self) -> dict[str, str]:
        """The address fields that keep this window."""
        fields = {
            "show": self.show if self.show != "all" else "",
            "q": self.query,
            "in": "all" if self.everywhere else "",
            "before": str(self.before or ""),
        }
        return {name: value for name, value in fields.items() if value}


@dataclass(frozen=True, slots=True)
class Act:
    """What to do with which letters; ``target`` is a mailbox slug for ``move``; ``sure`` answers a question."""

    do: str
    uids: list[int]
    target: str
    sure: bool


def window() -> Window:
    """The window of this request's address."""
    show = request.args.get("show", "all")
    before = request.args.get("before", "")
    return Window(
        show if show in SHOW else "all",
        " ".join(request.args.get("q", "").split())[:200],
        request.args.get("in") == "all",
        int(before) if _is_uid(before) else None,
        "choose" in request.args and request.args.get("in") != "all",
    )


def act() -> Act:
    """The act of this request's form. Raises `NothingChosen`, `NotThere`."""
    do = request.form.get("do", "")
    if do not in ACTS:
        raise NotThere
    uids = [int(one) for one in request.form.getlist("uid")[:_MOST] if _is_uid(one)]
    if not uids:
        raise NothingChosen
    return Act(do, sorted(set(uids)), request.form.get("target", ""), request.form.get("sure") == "1")


def _is_uid(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < len(text) <= 10
