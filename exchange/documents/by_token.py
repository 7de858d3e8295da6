# SPDX-License-Identifier: AGPL-3.0-or-later
"""A person signs or initials with a token of their own: its PIN is the approval of each use (DESIGN 4.15).

What is signed is what was opened last. The token checks the PIN; the signer uses it once and keeps it nowhere.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from config.clock import now_us
from config.refusal import Refused, Unavailable
from exchange.documents import said_yes
from exchange.documents.model import Document, DocumentRef
from exchange.documents.presented import last_read, not_read, shown_differs
from exchange.documents.said_yes import Outcome, Yes
from exchange.documents.turns import Turn
from exchange.exchange import Exchange
from mailserver.accounts import Account

_STOPS = ("token-",)
"""Refusals with codes that begin so hold for every document: another try would only cost another wrong PIN."""


def sign(exchange: Exchange, ref: DocumentRef, person: Account, pin: str, digest: str = "") -> None:
    """Sign one document; ``digest``: of what the page showed, when it says so. Raises `Refused`, `Unavailable`."""

    def said(document: Document, turn: Turn) -> Yes:
        read = last_read(exchange, ref, person)
        if read is None:
            raise not_read(document)
        if digest not in ("", read[0]):
            raise shown_differs()
        return Yes(secrets.token_hex(16), now_us(), *read, mode="token", pin=pin)

    if not 0 < len(pin) <= 64:
        raise Refused("pin-missing", "Nhập mã PIN của thiết bị khóa.", "Type the PIN of your token.")
    said_yes.sign(exchange, ref, person, said)


def sign_all(exchange: Exchange, person: Account, chosen: Sequence[DocumentRef], pin: str) -> list[Outcome]:
    """One PIN for several documents, each on its own; what the token refuses is not tried again."""
    done: list[Outcome] = []
    stopped: Refused | None = None
    for ref in chosen:
        try:
            if stopped is None:
                sign(exchange, ref, person, pin)
        except (Refused, Unavailable) as problem:
            if problem.code.startswith(_STOPS):
                stopped = problem
            else:
                done.append(Outcome(ref.id, problem))
                continue
        done.append(Outcome(ref.id, stopped))
    return done
