# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the audit pages read: entries by kind or subject, one entry opened, its proof checked before it is shown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from config.clock import to_local
from config.refusal import Refused, Unavailable
from exchange.documents import records
from exchange.documents import schema as documents
from mailserver.accounts import Account
from policy.basis import shown as basis_shown
from policy.judge import Finding
from policy.ledger import schema
from policy.ledger.entries import Disclosure, Listed, disclose, listing, of_subject, record
from policy.ledger.integrate import prove, tree_size
from policy.ledger.leaf import JSON, Leaf, decode
from policy.ledger.receipt import Proof, Proved, verify, verify_disclosure
from policy.ledger.tree import leaf_hash
from policy.rights import may, relation
from webmail import frame
from webmail.errors import NotAllowed

PAGE = 50
_MOST = 200
FAMILIES = ("document.", "register.", "mail.", "account.", "audit.")
"""The families of kinds that the list is filtered by."""
_ID = re.compile(r"([0-9]{1,9})-([0-9]{1,15})\Z")


@dataclass(frozen=True, slots=True)
class Window:
    """What is looked for: ``family`` of kinds or all (""), ``query`` a subject; ``before`` pages on."""

    query: str = ""
    family: str = ""
    before: int | None = None

    @property
    def carry(self) -> dict[str, str]:
        """The address fields that keep this window."""
        found = {"q": self.query, "kind": self.family, "before": str(self.before or "")}
        return {name: value for name, value in found.items() if value}


@dataclass(frozen=True, slots=True)
class Found:
    """Entries newest first, and the index to go on from (None at the end). ``about``: what the words named."""

    entries: list[Listed]
    older: int | None
    about: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. ``opened`` is None once its detail was erased; ``proved`` None while it waits for a checkpoint."""

    leaf: Leaf
    leaf_hash: bytes
    opened: Disclosure | None
    proof: Proof | None
    proved: Proved | None
    rules: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Log:
    """The state of the log: entries with an index, those waiting, the newest signed checkpoint's text."""

    size: int
    waiting: int
    checkpoint: str
    signed: int
    at_us: int | None


def reads_all(account: Account) -> bool:
    """Whether the whole ledger may be read (auditors)."""
    return may(account.role, "audit.read", "other")


def search(window: Window) -> Found:
    """The entries of a window. A subject is found by its keyed digest: nothing is opened for a list."""
    parts = frame.parts()
    with parts.database.reading() as conn:
        if window.query:
            subjects = _subjects(conn, window.query)
            entries: dict[int, Listed] = {}
            for one in subjects:
                for entry in of_subject(conn, parts.seal, one, before=window.before, limit=_MOST):
                    entries[entry.index] = entry
            wanted = [
                one for one in entries.values() if not window.family or one.kind.startswith(window.family)
            ]
            wanted.sort(key=lambda one: -one.index)
            older = wanted[PAGE - 1].index if len(wanted) > PAGE else None
            return Found(wanted[:PAGE], older, subjects)
        found = listing(conn, kind=window.family or None, before=window.before, limit=PAGE + 1)
    older = found[PAGE - 1].index if len(found) > PAGE else None
    return Found(found[:PAGE], older)


def _subjects(conn: sa.Connection, query: str) -> tuple[str, ...]:
    """What the typed words may name: a subject as it is, or a document by id, number or DocumentId."""
    seal = frame.parts().seal
    found = [query, query.lower()]
    table = documents.document
    match = _ID.match(query)
    if match:
        where = sa.and_(table.c.agency == int(match[1]), table.c.document == int(match[2]))
    else:
        where = sa.or_(
            table.c.identity_digest == records.identity_digest(seal, query),
            table.c.number_digest == records.number_digest(seal, query),
        )
    for row in conn.execute(sa.select(table).where(where).limit(50)):
        one = records.read(seal, row)
        found += [one.fields.document_id, one.ref.subject]
        if one.year is not None and one.sequence is not None and one.serial is not None:
            register = "outgoing" if one.direction == "outgoing" else "incoming"
            found.append(f"{one.ref.agency}/{register}/{one.year}/{one.sequence}/{one.serial}")
    return tuple(dict.fromkeys(one for one in found if one))


def entry(index: int) -> Entry:
    """One entry opened for who signed in; the opening is an entry of its own. Raises `NotAllowed`, `Refused`."""
    parts, who = frame.parts(), frame.account()
    with parts.database.reading() as conn:
        row = conn.execute(
            sa.select(schema.entry.c.leaf, schema.entry.c.detail).where(schema.entry.c.index == index)
        ).first()
        if row is None:
            raise Refused("no-such-entry", f"Sổ không có mục {index}.", f"The ledger has no entry {index}.")
        if not reads_all(who) and not _of_own_document(conn, who, int(row.detail)):
            raise NotAllowed(
                "Mục nhật ký này không thuộc văn bản của cơ quan đang đăng nhập. Thanh tra mở được mọi mục.",
                "This entry is not about a document of your agency. Auditors open every entry.",
            )
        leaf = decode(bytes(row.leaf))
    detail: dict[str, JSON] = {"by": who.address, "entry": index, "kind": leaf.kind}
    parts.database.write(lambda conn: record(conn, parts.seal, "audit.viewed", who.address, detail))
    return _opened(index, bytes(row.leaf), leaf)


def _opened(index: int, data: bytes, leaf: Leaf) -> Entry:
    parts = frame.parts()
    opened: Disclosure | None = None
    proof: Proof | None = None
    proved: Proved | None = None
    with parts.database.reading() as conn:
        try:
            opened = disclose(conn, parts.seal, index)
        except Refused as problem:
            if problem.code != "entry-erased":
                raise
        try:
            proof = prove(conn, index)
        except Unavailable:
            proof = None
    if proof is not None:
        proved = verify(proof, parts.exchange.ledger_keys.signer_of(proof.checkpoint))
    if opened is not None:
        verify_disclosure(leaf, opened.nonce, opened.subject, opened.detail)
    rules = _rules(opened, to_local(leaf.at_us).date()) if opened is not None else ()
    return Entry(leaf, leaf_hash(data), opened, proof, proved, rules)


def _of_own_document(conn: sa.Connection, who: Account, detail: int) -> bool:
    """Whether the entry belongs to a document of the person's agency, and they may prove it."""
    home = frame.parts().accounts.agency(who.agency_code)
    if home is None or not may(who.role, "audit.prove", relation(who.agency_code, home.code)):
        return False
    e = documents.document_event.c
    return (
        conn.execute(sa.select(e.event).where(e.agency == home.number, e.detail == detail).limit(1)).first()
        is not None
    )


def _rules(opened: Disclosure, day: date) -> tuple[Finding, ...]:
    """The rules that spoke, with severity and basis as they held that day."""
    told: Any = opened.detail.get("rules")
    if not isinstance(told, list):
        return ()
    found = []
    for name in told[:50]:
        for holding in frame.parts().exchange.rulebook.of(str(name)):
            if holding.holds(day):
                rule = holding.rule
                basis, status = basis_shown(rule.bases, day)
                severities = set(holding.moments.values())
                severity = max(severities, key=("record", "warn", "hold", "block").index)
                found.append(Finding(rule.id, severity, basis, status, rule.vi, rule.en))
    return tuple(found)


def log() -> Log:
    """The state of the log."""
    c = schema.checkpoint.c
    with frame.parts().database.reading() as conn:
        size, _ = tree_size(conn)
        waiting = conn.execute(sa.select(sa.func.count()).select_from(schema.pending)).scalar_one()
        newest = conn.execute(sa.select(c.size, c.text, c.at_us).order_by(c.size.desc()).limit(1)).first()
    if newest is None:
        return Log(size, int(waiting), "", 0, None)
    return Log(size, int(waiting), bytes(newest.text).decode("utf-8"), int(newest.size), int(newest.at_us))


def window_of(query: str, family: str, before: str) -> Window:
    """A window from address fields."""
    return Window(
        " ".join(query.split())[:300],
        family if family in FAMILIES else "",
        int(before) if before.isascii() and before.isdigit() and len(before) <= 15 else None,
    )
