# SPDX-License-Identifier: AGPL-3.0-or-later
"""One document as its page tells it: signatures in words, recipients with evidence, what happened when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.x509 import load_der_x509_certificate

from config.clock import from_datetime
from exchange.documents import records
from exchange.documents.model import Document, Happened
from exchange.trust.subject import subject_of
from exchange.trust.verdict import PASSED, SignatureVerdict, Verdict, advice, meaning_of
from policy.ledger.entries import PendingId, index_of
from policy.rights import may, relation
from webmail import frame, shown
from webmail.catalogue import entries
from webmail.language import current, t
from webmail.pages.documents.queries import TROUBLE, names

KINDS = {"TOTAL-PASSED": "ok", "INDETERMINATE": "wait"}
_MARKS = {
    "accepted": ("ok", "check"),
    "delivered": ("ink", "inbox"),
    "pending": ("wait", "clock"),
    "recalled": ("wait", "undo"),
    "refused": ("bad", "x"),
    "failed": ("bad", "x"),
    "expired": ("bad", "clock"),
    "incident": ("bad", "alert"),
}
_BAD_EVENTS = ("document.refused", "document.void", "document.held", "document.packet-refused")
_QUIET = ("document.content-checked", "document.form-checked", "document.issued")
"""Entries that stand beside another of the same moment: the time line leaves them to the audit page."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature in words; ``kind`` and ``icon`` are those of the component."""

    kind: str
    icon: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Receiver:
    """A recipient and its outcome; ``proved``: by a receipt, else merely claimed, None while nothing is known."""

    name: str
    note: str
    outcome: str
    kind: str
    icon: str
    at_us: int | None
    proved: bool | None


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened. ``index`` of its ledger entry, None while it waits for it."""

    state: str
    title: str
    who: str
    note: str
    at_us: int
    index: int | None
    proof: str
    linked: bool


def signatures(verdict: Verdict) -> list[Signature]:
    """The signatures of a PDF, one line each, the time-stamps last."""
    found = [_signature(one) for one in verdict.signatures if one.role != "timestamp"]
    stamped = [one for one in verdict.signatures if one.role != "timestamp" and one.stamped]
    if stamped:
        found.append(
            Signature("ok", "clock", t("document.stamped"), t("document.stamped-text", n=len(stamped)))
        )
    return found


def heading(verdict: Verdict, waits: Sequence[str] = ()) -> str:
    """What the signatures amount to. ``waits``: the agencies whose seals are still to come."""
    if verdict.passed and waits:
        return t("document.signatures-so-far", names="; ".join(waits))
    if verdict.passed and verdict.official:
        return t("document.signatures-official")
    if verdict.passed:
        return t("document.signatures-person")
    return t("document.signatures-other", meaning=meaning_of(verdict.verdict, current()))


def _signature(one: SignatureVerdict) -> Signature:
    kind = KINDS.get(one.verdict, "bad")
    icon = "sign" if one.role == "person" else "seal"
    told = []
    at_us = _moment(one.time)
    if at_us is not None:
        key = "document.signed-at" if one.stamped else "document.signed-claimed"
        told.append(t(key, clock=shown.clock(at_us), day=shown.day(at_us)))
    if one.verdict == PASSED:
        told.append(t(f"document.unchanged-{one.role}"))
        told.append(t(f"document.revocation-{one.revocation}"))
    else:
        told.append(advice(one.sub_indication, current()) or meaning_of(one.verdict, current()))
    if one.authority != "installation":
        told.append(t(f"document.authority-{one.authority}"))
    if _file_approved(one):
        told.append(t("document.file-approved"))
    where = one.organisation if one.organisation and one.organisation != one.signer else ""
    return Signature(kind, icon, f"{one.signer}, {where}" if where else one.signer, " ".join(told))


def _file_approved(one: SignatureVerdict) -> bool:
    """Whether the key is one of a demo, approved by file: shown with every verdict (DESIGN 4.15)."""
    return bool(one.certificate) and subject_of(load_der_x509_certificate(one.certificate)).file_approved


def receivers(document: Document, happened: list[Happened]) -> list[Receiver]:
    """Who gets it and what became of it there, failures first."""
    parts = frame.parts()
    with parts.database.reading() as conn:
        found = records.recipients(conn, document.ref)
    called = names(one.code for one in found)
    lines = []
    for one in found:
        own = [event for event in happened if event.partner == one.code and event.status]
        last = own[-1] if own else None
        kind, icon = _MARKS.get(one.outcome, ("", "info"))
        opened = any(event.kind == "document.opened" for event in happened if event.partner == one.code)
        key = "opened" if one.outcome == "delivered" and opened else one.outcome
        lines.append(
            Receiver(
                called[one.code],
                last.told.get("reason", "") if last and one.outcome in TROUBLE else "",
                t(f"outcome.{key}") if f"outcome.{key}" in entries() else one.outcome,
                kind,
                icon,
                last.at_us if last else None,
                last.proved if last else None,
            )
        )
    order = {"bad": 0, "wait": 1, "ink": 2}
    return sorted(lines, key=lambda line: order.get(line.kind, 3))


def steps(document: Document, happened: list[Happened]) -> list[Step]:
    """The time line, oldest first: what, who, when, and the proof of it."""
    parts, who = frame.parts(), frame.account()
    home = parts.accounts.agency_number(document.ref.agency)
    linked = may(who.role, "audit.prove", relation(who.agency_code, home.code if home else None))
    with parts.database.reading() as conn:
        indexes = {
            one.event: index_of(conn, PendingId(one.detail)) for one in happened if one.detail is not None
        }
    called = names({one.partner for one in happened})
    own = document.partner if document.direction == "outgoing" else (home.code if home else "")
    found = []
    for one in happened:
        if one.kind in _QUIET:
            continue
        by = one.told.get("by", "")
        person = shown.known_name(parts.accounts, by, by) if "@" in by else by
        agency = called.get(one.partner, one.partner) if one.partner != own else ""
        index = indexes.get(one.event)
        found.append(
            Step(
                "is-bad" if one.kind in _BAD_EVENTS else "is-done",
                entry_words(one.kind),
                " · ".join(word for word in (person, agency) if word),
                _note(one),
                one.at_us,
                index,
                _proof(one, index, foreign=bool(agency)),
                linked and index is not None,
            )
        )
    return found


def entry_words(kind: str) -> str:
    """A kind of ledger entry in words; the kind itself when it is a newer one."""
    key = f"entry.{kind}"
    return t(key) if key in entries() else kind


def _note(one: Happened) -> str:
    told = one.told
    if one.kind == "document.approved" and told.get("mode") == "file":
        declared = told.get("declared_by", "")
        if declared and declared != told.get("by"):
            name = shown.known_name(frame.parts().accounts, declared, declared)
            return t("document.declared-by", who=name)
        return t("document.mode-file")
    if told.get("reason") and one.kind in _BAD_EVENTS:
        return t("document.because", reason=told["reason"])
    if one.kind == "document.numbered" and told.get("number"):
        return t("document.given-number", number=told["number"])
    return ""


def _proof(one: Happened, index: int | None, *, foreign: bool) -> str:
    if foreign and one.status:
        return "proved" if one.proved else "claimed"
    return "entry" if index is not None else "waiting"


def _moment(text: str) -> int | None:
    try:
        return from_datetime(datetime.fromisoformat(text)) if text else None
    except ValueError:
        return None
