# SPDX-License-Identifier: AGPL-3.0-or-later
"""Statuses of a (document, recipient): making their packets, and the table of legal moves (R-MET-13, -14).

For 01–06, 15, 16 the packet goes from the receiver of the document to its sender. 13 is the reverse:
From is the sender, ``ResponseFor/OrganId`` the receiver whose copy is asked back (edxml.md section 5).
"""

from __future__ import annotations

from typing import Literal

from config.refusal import Refused
from exchange.edxml.codes import write_moment
from exchange.edxml.model import DocumentPacket, Organ, ResponseFor, Staff, StatusPacket

ARRIVED, REFUSED, ACCEPTED, ASSIGNED, WORKING, DONE = "01", "02", "03", "04", "05", "06"
RECALL_ASKED, RECALL_AGREED, RECALL_REFUSED = "13", "15", "16"

STATUS_NAMES: dict[str, tuple[str, str]] = {
    ARRIVED: ("Đã đến", "arrived"),
    REFUSED: ("Từ chối tiếp nhận", "refused"),
    ACCEPTED: ("Đã tiếp nhận", "accepted"),
    ASSIGNED: ("Phân công", "assigned"),
    WORKING: ("Đang xử lý", "in work"),
    DONE: ("Hoàn thành", "done"),
    RECALL_ASKED: ("Yêu cầu lấy lại", "recall asked"),
    RECALL_AGREED: ("Đồng ý cập nhật/lấy lại", "recall agreed"),
    RECALL_REFUSED: ("Từ chối cập nhật/lấy lại", "recall refused"),
}
"""Code → Vietnamese and English name."""

PERSONAL = frozenset({REFUSED, ACCEPTED, RECALL_ASKED, RECALL_AGREED, RECALL_REFUSED})
"""Acts of a person: their receipts carry the agency's signature."""

NEEDS_REASON = frozenset({REFUSED, RECALL_ASKED, RECALL_REFUSED})

START = ""
"""The state before any status: sent."""

_BEFORE_RECALL = (ARRIVED, ACCEPTED, ASSIGNED, WORKING, DONE)

MOVES: frozenset[tuple[str, str]] = frozenset(
    {
        (START, ARRIVED),
        (START, ACCEPTED),  # 03 without 01 counts as arrived and accepted
        (START, REFUSED),
        (ARRIVED, REFUSED),
        (ARRIVED, ACCEPTED),
        (ACCEPTED, ASSIGNED),
        (ACCEPTED, WORKING),  # live systems send 03 and 05 together
        (ACCEPTED, DONE),
        (ASSIGNED, WORKING),
        (ASSIGNED, DONE),
        (WORKING, ASSIGNED),  # re-assignment
        (WORKING, DONE),
        *((state, RECALL_ASKED) for state in _BEFORE_RECALL),
        (RECALL_ASKED, RECALL_AGREED),
        (RECALL_ASKED, RECALL_REFUSED),
    }
)
"""Legal moves (edxml.md section 6). After 16 the document stays in the state it had before 13."""

Step = Literal["apply", "repeat", "record"]


def step(state: str, code: str, answers_packet: bool = False) -> Step:
    """What a status ``code`` does in ``state``: apply it, it is a repeat, or keep the record only.

    ``answers_packet``: 15 or 16 that matches an update or recall packet instead of a 13.
    """
    if code not in STATUS_NAMES:
        raise Refused(
            "no-such-status",
            f"Không có mã trạng thái {code!r}.",
            f"There is no status code {code!r}.",
            rule="R-MET-13",
        )
    if code == state:
        return "repeat"
    if (state, code) in MOVES:
        return "apply"
    if answers_packet and code in (RECALL_AGREED, RECALL_REFUSED) and state in _BEFORE_RECALL:
        return "apply"
    return "record"


def state_of(codes: list[str], answers_packet: bool = False) -> str:
    """The state after ``codes`` in order of arrival."""
    state, before = START, START
    for code in codes:
        if step(state, code, answers_packet) != "apply":
            continue
        if code == RECALL_REFUSED:
            state = before if state == RECALL_ASKED else state
            continue
        if code == RECALL_ASKED:
            before = state
        state = code
    return state


def answer(
    document: DocumentPacket,
    sender: Organ,
    code: str,
    at_us: int,
    description: str = "",
    staff: Staff | None = None,
) -> StatusPacket:
    """The status packet of the receiver ``sender`` for ``document``; ``at_us`` is µs UTC.

    Raises ``Refused`` for an unknown code, for 13 (see ``ask_back``), or a missing reason.
    """
    if code == RECALL_ASKED:
        raise Refused("wrong-way", "13 do bên gửi phát.", "13 is the sender's.", rule="R-MET-13")
    return _packet(document, sender, document.sender.organ_id, code, at_us, description, staff)


def ask_back(
    document: DocumentPacket, receiver_id: str, at_us: int, reason: str, staff: Staff | None = None
) -> StatusPacket:
    """Status 13: the sender of ``document`` asks ``receiver_id`` to give its copy back."""
    return _packet(document, document.sender, receiver_id, RECALL_ASKED, at_us, reason, staff)


def _packet(
    document: DocumentPacket,
    sender: Organ,
    other: str,
    code: str,
    at_us: int,
    description: str,
    staff: Staff | None,
) -> StatusPacket:
    step(START, code)
    if code in NEEDS_REASON and not description.strip():
        raise Refused(
            "reason-needed",
            f"Trạng thái {code} phải có lý do.",
            f"Status {code} needs a reason.",
            rule="R-REC-05",
        )
    answered = ResponseFor(other, document.number, document.promulgation_date, document.document_id)
    text = description or STATUS_NAMES[code][0]
    return StatusPacket(sender, answered, code, text, write_moment(at_us), staff)
