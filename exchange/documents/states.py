# SPDX-License-Identifier: AGPL-3.0-or-later
"""A document's states and the table of legal moves (ND30/2020 Art. 14: the order of issuing).

A move is made by `exchange.documents.records.advance`, which changes the row only from the state the
move starts in: two hands, or a hand and a resumption after a crash, never both make it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from config.refusal import Refused

State: TypeAlias = Literal[
    "drafted",
    "approved",
    "signing",
    "returned",
    "signed",
    "numbered",
    "sealing",
    "sealed",
    "sent",
    "void",
    "arrived",
    "held",
    "registered",
    "refused",
]

NAMES: dict[str, tuple[str, str]] = {
    "drafted": ("Dự thảo", "draft"),
    "approved": ("Đã duyệt", "approved"),
    "signing": ("Đang ký", "being signed"),
    "returned": ("Bị trả lại", "returned"),
    "signed": ("Đã ký", "signed"),
    "numbered": ("Đã cấp số", "numbered"),
    "sealing": ("Chờ cơ quan liên tịch ký", "waits for the joint seals"),
    "sealed": ("Đã ký số cơ quan", "sealed"),
    "sent": ("Đã phát hành", "sent"),
    "void": ("Đã hủy số", "void"),
    "arrived": ("Đã đến", "arrived"),
    "held": ("Chờ văn thư xem xét", "held for the clerk"),
    "registered": ("Đã tiếp nhận", "registered"),
    "refused": ("Từ chối tiếp nhận", "refused"),
}
"""Vietnamese and English, as pages show them."""


@dataclass(frozen=True, slots=True)
class Move:
    """One arrow: from a state to a state, and the ledger entry it leaves."""

    before: State
    after: State
    entry: str


MOVES: dict[str, Move] = {
    "approve": Move("drafted", "approved", "document.approved"),
    "initial": Move("drafted", "signing", "document.initialled"),
    "initial-approved": Move("approved", "signing", "document.initialled"),
    "initial-next": Move("signing", "signing", "document.initialled"),
    "sign": Move("approved", "signed", "document.person-signed"),
    "sign-first": Move("approved", "signing", "document.person-signed"),
    "sign-next": Move("signing", "signing", "document.person-signed"),
    "sign-last": Move("signing", "signed", "document.person-signed"),
    "return-drafted": Move("drafted", "returned", "document.returned"),
    "return-approved": Move("approved", "returned", "document.returned"),
    "return-signing": Move("signing", "returned", "document.returned"),
    "return-signed": Move("signed", "returned", "document.returned"),
    "submit-again": Move("returned", "drafted", "document.drafted"),
    "number": Move("signed", "numbered", "document.numbered"),
    "seal": Move("numbered", "sealed", "document.sealed"),
    "seal-first": Move("numbered", "sealing", "document.sealed"),
    "seal-next": Move("sealing", "sealing", "document.sealed"),
    "seal-last": Move("sealing", "sealed", "document.sealed"),
    "send": Move("sealed", "sent", "document.sent"),
    "void-numbered": Move("numbered", "void", "document.void"),
    "void-sealing": Move("sealing", "void", "document.void"),
    "void-sealed": Move("sealed", "void", "document.void"),
    "accept": Move("arrived", "registered", "document.registered"),
    "accept-held": Move("held", "registered", "document.registered"),
    "refuse": Move("arrived", "refused", "document.refused"),
    "refuse-held": Move("held", "refused", "document.refused"),
    "release": Move("held", "arrived", "document.judged"),
    "keep-held": Move("held", "held", "document.judged"),
    "reopen": Move("held", "refused", "document.reopened"),
}
"""Every legal move by name. What is not here can't be done: an issued document is never changed in place."""

FIRST: dict[str, tuple[State, ...]] = {
    "outgoing": ("drafted",),
    "incoming": ("arrived", "held", "refused"),
}
"""States in which a document may begin."""


def move_from(state: str, *names: str) -> Move:
    """The move among ``names`` that starts in ``state``. Raises `WrongState`."""
    for name in names:
        if MOVES[name].before == state:
            return MOVES[name]
    raise WrongState(state)


def name_from(state: str, *names: str) -> str:
    """The name of that move. Raises `WrongState`."""
    move = move_from(state, *names)
    return next(name for name in names if MOVES[name] is move)


class WrongState(Refused):
    """A move that does not start in ``state``."""

    def __init__(self, state: str) -> None:
        vi, en = NAMES.get(state, (state, state))
        super().__init__(
            "wrong-state",
            f"Văn bản đang ở trạng thái “{vi}” nên không làm được việc này.",
            f"The document is in the state “{en}”, so this can't be done.",
        )
