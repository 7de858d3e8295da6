# SPDX-License-Identifier: AGPL-3.0-or-later
"""The one transaction of a message: blob, message rows, change rows, outbound rows, ledger entry."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from config.clock import now_us
from config.database import after_commit
from mailserver.accounts import AccountRef
from mailserver.delivery import room, spread
from mailserver.delivery.incoming import Incoming, Outcome
from mailserver.delivery.plan import Plan
from mailserver.store import SEEN, Ref, Store, blobs, mailboxes, messages, outbound
from policy.judge import Decision
from policy.ledger.entries import record
from policy.ledger.leaf import JSON

_QUARANTINE = "Cách ly"


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found out about a message's bytes; the transaction needs no more of them.

    ``digest`` is the SHA-256 of the bytes in hex; ``sealed_verdict`` is kept beside the message, None when it
    says nothing; ``junk``: the message goes to Thư rác.
    """

    prepared: blobs.Prepared
    digest: str
    decision: Decision | None
    sealed_verdict: bytes | None = None
    junk: bool = False


class Commit:
    """Writes messages into the store of one installation."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._inboxes: dict[AccountRef, Ref] = {}  # INBOX can't be deleted or renamed away

    def put(
        self, conn: sa.Connection, incoming: Incoming, plan: Plan, examined: Examined, *, quarantined: bool
    ) -> Outcome:
        """All of a message, in the writer's transaction."""
        prepared, store = examined.prepared, self._store
        many = len(plan.local) > spread.ABOVE
        refs = len(plan.local) + len(plan.remote) + (incoming.sent_copy is not None)
        now, size = now_us(), prepared.size
        boxes = sorted(self._box(conn, owner, quarantined, examined.junk) for owner in plan.local)
        room.require(conn, store, incoming, [] if quarantined else plan.local)
        wanted = [] if many else [(box, 0) for box in boxes]
        if incoming.sent_copy is not None:
            wanted = sorted([*wanted, (incoming.sent_copy, SEEN)])
        taken = [(messages.must_take(conn, box, flags, size), flags) for box, flags in wanted]
        # after the mailboxes: locks go in one order
        blob = blobs.put(conn, store.segments, prepared, refs, examined.sealed_verdict)
        put = messages.Put
        messages.fill(conn, [(place, put(place.ref, blob, flags, now, size)) for place, flags in taken])
        if many:
            spread.later(conn, store.seal, blob, size, boxes, now)
        if incoming.sent_copy is not None:
            store.woken(conn, incoming.sent_copy)
        places = [(place.ref, place.uid) for place, flags in taken if not flags]
        self._queue(conn, incoming, plan, blob)
        self._note(conn, incoming, examined, quarantined)
        store.woken(conn, *(box for box, _ in places))
        return Outcome(
            examined.decision,
            tuple(places),
            len(plan.remote),
            len(boxes) if many else 0,
            quarantined,
            examined.digest,
        )

    def note_refusal(self, conn: sa.Connection, incoming: Incoming, decision: Decision, digest: str) -> None:
        """A ledger entry for a message that the rules refused."""
        detail: dict[str, JSON] = {
            "door": incoming.door,
            "verdict": decision.verdict,
            "rules": [one.rule_id for one in decision.findings],
            "digest": digest,
        }
        record(conn, self._store.seal, "mail.refused", incoming.sender or "<>", detail)

    def _box(self, conn: sa.Connection, owner: AccountRef, quarantined: bool, junk: bool) -> Ref:
        if junk and not quarantined:
            found = mailboxes.find_use(conn, owner, "\\Junk")
            if found is not None:
                return found
        return self._inbox(conn, owner, quarantined)

    def _inbox(self, conn: sa.Connection, owner: AccountRef, quarantined: bool) -> Ref:
        if not quarantined and (known := self._inboxes.get(owner)) is not None:
            return known
        seal = self._store.seal
        name = _QUARANTINE if quarantined else "INBOX"
        found = mailboxes.find(conn, seal, owner, name)
        if found is None:
            if not quarantined:
                return mailboxes.create_standard(conn, seal, owner)
            return mailboxes.create(conn, seal, owner, name)
        if not quarantined:
            self._inboxes[owner] = found
        return found

    def _queue(self, conn: sa.Connection, incoming: Incoming, plan: Plan, blob: int) -> None:
        if not plan.remote:
            return
        agency = incoming.account.agency if incoming.account is not None else 0
        for one in plan.remote:
            new = outbound.NewOutbound(
                agency,
                blob,
                incoming.sender,
                one.address,
                one.notify,
                one.original,
                incoming.envelope_id,
            )
            outbound.add(conn, self._store.seal, new, not_before_us=incoming.not_before_us)
        after_commit(conn, lambda: self._store.wake.publish("queue"))

    def _note(self, conn: sa.Connection, incoming: Incoming, examined: Examined, quarantined: bool) -> None:
        decision = examined.decision
        detail: dict[str, JSON] = {
            "door": incoming.door,
            "digest": examined.digest,
            "size": examined.prepared.size,
            "recipients": len(incoming.recipients),
            "message_id": (examined.prepared.summary.message_id or "")[:200],
            "rules": [one.rule_id for one in decision.findings] if decision is not None else [],
        }
        if incoming.reason:
            detail["reason"] = incoming.reason[:1000]
        kind = "mail.quarantined" if quarantined else "mail.accepted"
        record(conn, self._store.seal, kind, incoming.sender or "<>", detail)
