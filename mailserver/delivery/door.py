# SPDX-License-Identifier: AGPL-3.0-or-later
"""`Delivery`: plan, examine, judge, one transaction, wake up.

`Delivery.deliver` returns only when everything it acknowledges is durable: blob, message rows, change
rows, outbound rows and ledger entries commit together or not at all.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias, cast

import sqlalchemy as sa

from config.refusal import Refused
from config.settings import Filters
from mailserver.accounts import Account, AccountRef, Accounts
from mailserver.delivery import judge, plan, room, spread
from mailserver.delivery.commit import Commit, Examined, Gone
from mailserver.delivery.filtering import Filter, Filtered
from mailserver.delivery.incoming import Door, Incoming, Outcome, Recipient
from mailserver.delivery.plan import Plan, Whose
from mailserver.hygiene import Verdict
from mailserver.hygiene.scanner import Scanner
from mailserver.hygiene.verdict import Note
from mailserver.message import scan
from mailserver.store import Store, blobs
from mailserver.store.quota import OverQuota
from mailserver.store.submissions import Submission
from policy.rulebook import Rulebook

_INLINE = 128 * 1024
"""Messages up to this size are examined in the event loop's thread: cheaper than handing them over."""

Along: TypeAlias = Callable[[sa.Connection], None]
"""What is done in the transaction of a message."""


class Delivery:
    """Delivers into the store of one installation. Use from one event loop."""

    def __init__(
        self,
        store: Store,
        accounts: Accounts,
        rulebook: Rulebook,
        max_bytes: int,
        scanner: Scanner | None = None,
        filters: Filters | None = None,
    ) -> None:
        self.store = store
        self.accounts = accounts
        self.rulebook = rulebook
        self.max_bytes = max_bytes
        self._scanner = scanner
        self._transaction = Commit(store, accounts)
        self._filter = Filter(store, accounts, filters or Filters())
        self._full = room.Full()
        self._spreading: asyncio.Task[None] | None = None

    def recipient(self, address: str, writer: Account | None = None) -> Whose:
        """What an address is to us, for the answer to RCPT; ``writer`` is who signed in.

        Raises `OverQuota` while it is known full, `Refused` for a list that takes no mail from ``writer`` or has nobody.
        """
        self._full.refuse(self.accounts, address)
        plan.require_writer(self.accounts, address, writer)
        plan.require_members(self.accounts, address)
        return plan.whose(self.accounts, address)

    async def deliver(self, incoming: Incoming, along: Along | None = None) -> Outcome:
        """Accept a message: when this returns, it is durable.

        ``along`` is done in the same transaction: a notice comes and the row it speaks of goes, or neither.
        Raises `Refused` with the rule's id when the rules hold or block it, for an unknown recipient, a
        From that is not the sender's, or a message too large; `OverQuota` naming a full mailbox;
        `Unavailable` when it can't be stored now.
        """
        if len(incoming.data) > self.max_bytes:
            raise Refused(
                "message-too-large",
                f"Thư lớn hơn {self.max_bytes // (1024 * 1024)} MB. Gửi tệp lớn bằng liên kết.",
                f"The message is larger than {self.max_bytes // (1024 * 1024)} MB. Send large files as a link.",
            )
        planned = plan.plan(self.accounts, incoming)
        verdict = await self._scan(incoming)
        if len(incoming.data) <= _INLINE:
            examined = self._examine(incoming, verdict)
        else:
            examined = await asyncio.to_thread(self._examine, incoming, verdict)
        decision, quarantined = examined.decision, False
        if decision is not None and decision.verdict in ("hold", "block"):
            if incoming.door != "mx" or decision.verdict == "block":
                await self.store.database.commit(
                    lambda conn: self._transaction.note_refusal(conn, incoming, decision, examined.digest)
                )
                raise judge.refusal_of(decision)
            planned, quarantined = plan.quarantine(self.accounts), True
        incoming = self._with_copy(incoming, examined)
        if incoming.not_before_us is not None and incoming.account is not None:
            until = incoming.not_before_us
            examined = await self._ready(incoming, planned.local, examined)
            try:
                return await self.store.database.commit(
                    lambda conn: self._transaction.hold(conn, incoming, planned, examined, until)
                )
            except OverQuota as problem:
                raise self._full.note(self.accounts, problem) from problem
        filtered = Filtered() if quarantined else await self._ask(planned, incoming, examined)
        return await self._put(incoming, planned, examined, filtered, quarantined=quarantined, along=along)

    def lost(self, one: Submission) -> list[tuple[Recipient, Refused]]:
        """Recipients of a held submission that can't be delivered to any more, and why."""
        found: list[tuple[Recipient, Refused]] = []
        incoming = self._incoming(one, b"")
        for recipient in incoming.recipients:
            try:
                plan.plan(self.accounts, replace(incoming, recipients=(recipient,)))
            except Refused as problem:
                found.append((recipient, problem))
        return found

    async def prepared(self, incoming: Incoming) -> Along:
        """A message of the installation's own, to be put in along with another one. Raises `Refused`, `Unavailable`."""
        planned = plan.plan(self.accounts, incoming)
        examined = await asyncio.to_thread(self._examine, incoming, Verdict())
        filtered = await self._ask(planned, incoming, examined)
        ready = await self._ready(incoming, (), examined)

        def job(conn: sa.Connection) -> None:
            self._transaction.put(conn, incoming, planned, ready, filtered, quarantined=False)

        return job

    async def release(
        self, one: Submission, skip: Sequence[str] = (), along: Along | None = None
    ) -> Outcome | None:
        """Deliver a held submission and take its row away, in one transaction; None when the row is gone already.

        Recipients in ``skip`` get nothing (``along`` tells their sender). Raises `Unavailable`, `Refused` for a recipient
        that is not there and not in ``skip``, `LookupError` when the message can't be read.
        """
        data = await asyncio.to_thread(self.store.content, one.blob)
        incoming = self._incoming(one, data)
        left = tuple(to for to in incoming.recipients if to.address not in skip)
        if incoming.sent_copy is not None and self.store.mailbox(incoming.sent_copy) is None:
            incoming = replace(incoming, sent_copy=None)  # that mailbox was deleted meanwhile
        incoming = replace(incoming, recipients=left)
        planned = plan.plan(self.accounts, incoming) if left else Plan()
        prepared = await asyncio.to_thread(blobs.prepare, self.store.seal, data)
        account = incoming.account
        sent_as = "own" if account is None or incoming.sender == account.address else "as"
        examined = Examined(prepared, hashlib.sha256(data).hexdigest(), None, sent_as=sent_as)
        filtered = await self._ask(planned, incoming, examined)
        try:
            return await self._put(incoming, planned, examined, filtered, released=one, along=along)
        except Gone:
            return None

    def _incoming(self, one: Submission, data: bytes) -> Incoming:
        told = one.envelope
        return Incoming(
            sender=told.sender,
            recipients=tuple(Recipient(*given) for given in told.recipients),
            data=data,
            door=cast(Door, told.door),
            account=self.accounts.by_ref(one.account),
            envelope_id=told.envelope_id,
            ret=told.ret,
            sent_copy=told.sent,
            carry_all=any("SUCCESS" in notify for _, notify, _ in told.recipients),
        )

    async def _ask(self, planned: Plan, incoming: Incoming, examined: Examined) -> Filtered:
        """What the scripts of the recipients want; a thread runs them, as they may cost something."""
        if not self._filter.concerns(planned, incoming):
            return Filtered()
        found = await asyncio.to_thread(self._filter.ask, planned, incoming, examined.prepared.summary)
        if examined.junk:
            found.replies.clear()  # who sends spam is not answered, and mostly is not who he says
        return found

    async def _put(
        self,
        incoming: Incoming,
        planned: Plan,
        examined: Examined,
        filtered: Filtered,
        *,
        quarantined: bool = False,
        released: Submission | None = None,
        along: Along | None = None,
    ) -> Outcome:
        ready = examined
        if released is None:
            owners = [*planned.local, *(owner for owner, _ in filtered.filed)]
            ready = await self._ready(incoming, [] if quarantined else owners, examined)

        # Before the transaction, so that its lock is not held while the disk takes the bytes. What was held until
        # now has its bytes in a segment already.
        def append() -> None:
            nonlocal ready
            ready = replace(ready, prepared=blobs.appended(self.store.segments, ready.prepared))

        def job(conn: sa.Connection) -> Outcome:
            done = self._transaction.put(
                conn, incoming, planned, ready, filtered, quarantined=quarantined, released=released
            )
            if along is not None:
                along(conn)
            return done

        try:
            outcome = await self.store.database.commit(job, before=append if released is None else None)
        except OverQuota as problem:
            raise self._full.note(self.accounts, problem) from problem
        if outcome.spread:
            self._spreading = asyncio.create_task(self.spread_all(), name="spread")
        return outcome

    async def _ready(self, incoming: Incoming, owners: Sequence[AccountRef], examined: Examined) -> Examined:
        """``examined``, its bytes in the bucket when there is one. Raises `OverQuota` before a large one costs disk."""
        remote = self.store.segments.is_remote
        if len(incoming.data) > _INLINE or remote:
            try:
                await asyncio.to_thread(room.look, self.store, incoming, owners)
            except OverQuota as problem:
                raise self._full.note(self.accounts, problem) from problem
        if not remote:
            return examined
        return replace(examined, prepared=await blobs.staged(self.store.segments, examined.prepared))

    def _with_copy(self, incoming: Incoming, examined: Examined) -> Incoming:
        """A message in another's name leaves its copy with that mailbox, whichever program sent it."""
        if incoming.sent_copy is not None or examined.sent_as == "own":
            return incoming
        owner = self.accounts.by_address(examined.prepared.summary.from_[0].address)
        place = self.store.find_use(owner.ref, "\\Sent") if owner is not None else None
        return replace(incoming, sent_copy=place) if place is not None else incoming

    async def spread_all(self) -> None:
        """Finish spreading letters to many mailboxes, also after a crash (DESIGN 4.2)."""
        if not await asyncio.to_thread(spread.is_waiting, self.store):
            return
        while await self.store.database.commit(lambda conn: spread.one_slice(conn, self.store)):
            pass

    async def _scan(self, incoming: Incoming) -> Verdict:
        """The verdict with the scanner's. Raises `Unavailable` when there is a scanner that must be asked and can't."""
        verdict = incoming.verdict or Verdict()
        if self._scanner is None or incoming.door in ("exchange", "bounce"):
            return verdict
        found = await self._scanner.scan(incoming.data)
        return replace(verdict, scan=found.scan, malware=found.malware)

    def _examine(self, incoming: Incoming, verdict: Verdict) -> Examined:
        """All that needs the bytes and no database: scan, seal, whose From it is, what the rules say."""
        data = incoming.data
        summary = scan(data)
        sent_as = judge.check_from(self.accounts, incoming, summary)
        decision = judge.decide(self.accounts, self.rulebook, incoming, data, summary, verdict)
        # Sealed last: until here attachments were decoded, and both at once would be much of a large message.
        prepared = blobs.prepare(self.store.seal, data, summary)
        if decision is not None:
            warned = [one for one in decision.findings if one.severity == "warn"]
            verdict = replace(verdict, notes=tuple(Note(one.rule_id, one.vi, one.en) for one in warned[:20]))
        sealed = None
        if verdict != Verdict():
            sealed = self.store.seal.seal(verdict.pack(), b"verdict" + prepared.name)
        digest = hashlib.sha256(data).hexdigest()
        return Examined(prepared, digest, decision, sealed, bool(verdict.junk), sent_as)
