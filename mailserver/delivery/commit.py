# SPDX-License-Identifier: AGPL-3.0-or-later
"""The one transaction of a message: blob, message rows, change rows, outbound rows, ledger entry."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from config.clock import now_us
from config.refusal import Refused
from config.writer import after_commit
from mailserver.accounts import AccountRef, Accounts
from mailserver.delivery import room, spread
from mailserver.delivery.filtering import Filtered
from mailserver.delivery.incoming import Incoming, Outcome
from mailserver.delivery.plan import Plan
from mailserver.delivery.replying import Reply
from mailserver.sieve import FileInto, answered
from mailserver.store import SEEN, Ref, Store, blobs, mailboxes, messages, outbound, submissions
from mailserver.store.model import ANSWERED, DELETED, DRAFT, FLAGGED
from mailserver.store.submissions import Envelope, Submission
from policy.judge import Decision
from policy.ledger.entries import record
from policy.ledger.leaf import JSON

_QUARANTINE = "Cách ly"
_FLAGS = {
    "\\seen": SEEN,
    "\\answered": ANSWERED,
    "\\flagged": FLAGGED,
    "\\deleted": DELETED,
    "\\draft": DRAFT,
}


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found out about a message's bytes; the transaction needs no more of them.

    ``digest`` is the SHA-256 of the bytes in hex; ``sealed_verdict`` is kept beside the message, None when it
    says nothing; ``junk``: the message goes to Thư rác; ``sent_as``: whose From it is (``own``, ``as``, ``behalf``).
    """

    prepared: blobs.Prepared
    digest: str
    decision: Decision | None
    sealed_verdict: bytes | None = None
    junk: bool = False
    sent_as: str = "own"


class Gone(Exception):
    """The held submission is not there any more."""


class Commit:
    """Writes messages into the store of one installation."""

    def __init__(self, store: Store, accounts: Accounts) -> None:
        self._store = store
        self._accounts = accounts
        self._inboxes: dict[AccountRef, Ref] = {}  # INBOX can't be deleted or renamed away

    def put(
        self,
        conn: sa.Connection,
        incoming: Incoming,
        plan: Plan,
        examined: Examined,
        filtered: Filtered,
        *,
        quarantined: bool,
        released: Submission | None = None,
    ) -> Outcome:
        """All of a message, in the writer's transaction. ``released``: it was held until now.

        Raises `Gone` when the held submission was taken back or released meanwhile.
        """
        prepared, store = examined.prepared, self._store
        if released is not None and not submissions.take(conn, released):
            raise Gone
        many = len(plan.local) > spread.ABOVE
        now, size = now_us(), prepared.size
        boxes = sorted(self._box(conn, owner, quarantined, examined.junk) for owner in plan.local)
        filed = [(self._folder(conn, owner, one, examined.junk), one) for owner, one in filtered.filed]
        if released is None:  # what was held was let in then, and must end in a mailbox now
            owners = [*plan.local, *(owner for owner, _ in filtered.filed)]
            room.require(conn, store, incoming, [] if quarantined else owners)
        wanted = [] if many else [(box, 0) for box in boxes]
        wanted += [(box, self._flags(conn, box, one.flags)) for box, one in filed]
        if incoming.sent_copy is not None:
            wanted.append((incoming.sent_copy, SEEN))
        taken = [(messages.must_take(conn, box, flags, size), flags) for box, flags in sorted(wanted)]
        copies = len(plan.local) + len(plan.remote) + len(filed) + len(filtered.redirected)
        refs = copies + (incoming.sent_copy is not None)
        # after the mailboxes: locks go in one order
        blob = blobs.put(conn, store.segments, prepared, refs, examined.sealed_verdict) if refs else 0
        if released is not None:
            blobs.refer(conn, released.blob, -1)
        put = messages.Put
        messages.fill(conn, [(place, put(place.ref, blob, flags, now, size)) for place, flags in taken])
        if many:
            spread.later(conn, store.seal, blob, size, boxes, now)
        if incoming.sent_copy is not None:
            store.woken(conn, incoming.sent_copy)
        places = [(place.ref, place.uid) for place, _ in taken if place.ref != incoming.sent_copy]
        queued = self._queue(conn, incoming, plan, filtered, blob)
        for reply in filtered.replies:
            self._reply(conn, reply, now)
        kind = "mail.quarantined" if quarantined else "mail.released" if released else "mail.accepted"
        self._note(conn, kind, incoming, examined, filtered)
        store.woken(conn, *(box for box, _ in places))
        return Outcome(
            examined.decision,
            tuple(places),
            queued,
            len(boxes) if many else 0,
            quarantined,
            examined.digest,
        )

    def hold(
        self, conn: sa.Connection, incoming: Incoming, plan: Plan, examined: Examined, release_us: int
    ) -> Outcome:
        """Keep a message until ``release_us``: nobody gets it, its sender may take it back.

        Raises `OverQuota` now for a mailbox that has no room, so that it need not be refused then.
        """
        assert incoming.account is not None
        room.require(conn, self._store, incoming, plan.local)
        blob = blobs.put(conn, self._store.segments, examined.prepared, 1, examined.sealed_verdict)
        envelope = Envelope(
            incoming.sender,
            tuple((one.address, one.notify, one.original) for one in incoming.recipients),
            examined.prepared.summary.subject[:300],
            incoming.door,
            incoming.envelope_id,
            incoming.ret,
            incoming.sent_copy,
        )
        seal = self._store.seal
        number = submissions.add(conn, seal, incoming.account.ref, blob, envelope, release_us)
        self._note(conn, "mail.held", incoming, examined, Filtered())
        after_commit(conn, lambda: self._store.wake.publish("queue"))
        return Outcome(examined.decision, digest=examined.digest, held=number)

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

    def _folder(self, conn: sa.Connection, owner: AccountRef, one: FileInto, junk: bool) -> Ref:
        """Where a script files a copy; a mailbox that is not there is made when asked for, else it is the inbox."""
        if one.mailbox == "INBOX":
            return self._box(conn, owner, False, junk)
        found = mailboxes.find(conn, self._store.seal, owner, one.mailbox)
        if found is None and one.create:
            try:
                with conn.begin_nested():
                    return mailboxes.create(conn, self._store.seal, owner, one.mailbox)
            except Refused:
                found = None
        return found if found is not None else self._inbox(conn, owner, False)

    def _flags(self, conn: sa.Connection, box: Ref, names: tuple[str, ...]) -> int:
        bits = 0
        for name in names:
            known = _FLAGS.get(name.lower())
            if known is None:
                try:
                    known = 1 << mailboxes.add_keyword(conn, self._store.seal, box, name)
                except Refused:
                    continue
            bits |= known
        return bits

    def _reply(self, conn: sa.Connection, reply: Reply, now: int) -> None:
        """An answer of a program: to an inbox here (no script is asked about it), or into the queue."""
        if reply.most and answered.recent(conn, reply.who) >= reply.most:
            return
        if reply.seconds and not answered.claim(conn, reply.who, reply.whom, reply.seconds):
            return
        seal = self._store.seal
        blob = blobs.put(conn, self._store.segments, reply.prepared, 1)
        here = self._accounts.by_address(reply.to)
        if here is not None and here.state != "left":
            box = self._inbox(conn, here.ref, False)
            messages.put(conn, messages.Put(box, blob, 0, now, reply.prepared.size))
            self._store.woken(conn, box)
            return
        new = outbound.NewOutbound(reply.who.agency, blob, "", reply.to, "NEVER")
        outbound.add(conn, seal, new)
        after_commit(conn, lambda: self._store.wake.publish("queue"))

    def _queue(
        self, conn: sa.Connection, incoming: Incoming, plan: Plan, filtered: Filtered, blob: int
    ) -> int:
        if not plan.remote and not filtered.redirected:
            return 0
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
                incoming.ret,
            )
            outbound.add(conn, self._store.seal, new)
        for account, address in filtered.redirected:
            again = outbound.NewOutbound(
                account.agency, blob, incoming.sender, address, redirected_by=account.address
            )
            outbound.add(conn, self._store.seal, again)
        after_commit(conn, lambda: self._store.wake.publish("queue"))
        return len(plan.remote) + len(filtered.redirected)

    def _note(
        self, conn: sa.Connection, kind: str, incoming: Incoming, examined: Examined, filtered: Filtered
    ) -> None:
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
        if incoming.account is not None and examined.sent_as != "own":
            detail["by"] = incoming.account.address
            detail["sent_as"] = examined.sent_as
        if filtered.filed or filtered.redirected or filtered.discarded:
            detail["filed"] = len(filtered.filed)
            detail["redirected"] = len(filtered.redirected)
            detail["discarded"] = filtered.discarded
        record(conn, self._store.seal, kind, incoming.sender or "<>", detail)
