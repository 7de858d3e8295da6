# SPDX-License-Identifier: AGPL-3.0-or-later
"""The one OUTCOME of a (document, recipient): a function of all its records, whatever their order.

Precedence of peers/exchange.md section 3.5: two packet digests under one document are an incident;
a refusal beats an acceptance when it is later and no recall had been agreed before it; delivery beats
expiry. Proved records decide before merely claimed ones (statuses from outside without a receipt), and
records are never removed: a late one may only change which of them counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

State = Literal["pending", "failed", "expired", "delivered", "accepted", "refused", "recalled", "incident"]
SKEW_US = 5 * 60 * 1_000_000

STEPS: dict[str, State] = {
    "relay-failed": "failed",
    "relay-rejected": "failed",
    "delivery-failed": "failed",
    "expired": "expired",
    "arrived": "delivered",
    "opened": "delivered",
    "registered": "accepted",
    "assigned": "accepted",
    "processing": "accepted",
    "done": "accepted",
    "refused": "refused",
    "recall-agreed": "recalled",
}
"""Which state an event speaks for; all others (sent, relayed, recall-asked, recall-refused …) for none."""

STATUS_EVENTS: dict[str, str] = {
    "01": "arrived",
    "02": "refused",
    "03": "registered",
    "04": "assigned",
    "05": "processing",
    "06": "done",
    "13": "recall-asked",
    "15": "recall-agreed",
    "16": "recall-refused",
}
"""edXML status code → event."""


@dataclass(frozen=True, slots=True)
class Record:
    """One piece of evidence. ``at_us`` is the issuer's time, ``seen_us`` when it came in here (µs UTC)."""

    event: str
    at_us: int
    packet: str = ""
    proved: bool = False
    seen_us: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The state, since when, whether proved, and whether some clock was off by more than 5 minutes."""

    state: State
    since_us: int | None
    proved: bool
    skewed: bool


def outcome(records: Iterable[Record]) -> Outcome:
    """The outcome of ``records``; the same for every order of them."""
    known = sorted(set(records), key=lambda one: (one.at_us, one.event, one.packet, one.proved))
    skewed = any(one.seen_us is not None and one.at_us - one.seen_us > SKEW_US for one in known)
    if len({one.packet for one in known if one.packet}) > 1:
        return Outcome("incident", known[-1].at_us, any(one.proved for one in known), skewed)
    deciding = _deciding([one for one in known if one.proved]) or _deciding(known)
    if deciding is None:
        return Outcome("pending", None, False, skewed)
    return Outcome(STEPS[deciding.event], deciding.at_us, deciding.proved, skewed)


def _deciding(known: list[Record]) -> Record | None:
    """The record that decides, ``None`` when none says anything."""

    def first(state: State) -> Record | None:
        return next((one for one in known if STEPS.get(one.event) == state), None)

    def last(state: State) -> Record | None:
        return next((one for one in reversed(known) if STEPS.get(one.event) == state), None)

    accepted, recalled = first("accepted"), first("recalled")
    refusals = [one for one in known if STEPS.get(one.event) == "refused"]
    last_acceptance = max((one.at_us for one in known if one.event == "registered"), default=None)
    for refusal in reversed(refusals):
        later = last_acceptance is None or refusal.at_us >= last_acceptance
        if later and (recalled is None or refusal.at_us < recalled.at_us):
            return refusal
    return recalled or accepted or first("delivered") or last("failed") or last("expired")
