# SPDX-License-Identifier: AGPL-3.0-or-later
"""`Delivery`: plan, examine, judge, one transaction, wake up.

`Delivery.deliver` returns only when everything it acknowledges is durable: blob, message rows, change
rows, outbound rows and ledger entries commit together or not at all.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace

from config.refusal import Refused
from mailserver.accounts import Accounts
from mailserver.delivery import judge, plan, room, spread
from mailserver.delivery.commit import Commit, Examined
from mailserver.delivery.incoming import Incoming, Outcome
from mailserver.delivery.plan import Whose
from mailserver.hygiene import Verdict
from mailserver.hygiene.scanner import Scanner
from mailserver.hygiene.verdict import Note
from mailserver.store import Store, blobs
from mailserver.store.quota import OverQuota
from policy.rulebook import Rulebook

_INLINE = 32 * 1024
"""Messages up to this size are examined in the event loop's thread: cheaper than handing them over."""


class Delivery:
    """Delivers into the store of one installation. Use from one event loop."""

    def __init__(
        self,
        store: Store,
        accounts: Accounts,
        rulebook: Rulebook,
        max_bytes: int,
        scanner: Scanner | None = None,
    ) -> None:
        self.store = store
        self.accounts = accounts
        self.rulebook = rulebook
        self.max_bytes = max_bytes
        self._scanner = scanner
        self._transaction = Commit(store)
        self._full = room.Full()
        self._spreading: asyncio.Task[None] | None = None

    def recipient(self, address: str) -> Whose:
        """What an address is to us, for the answer to RCPT. Raises `OverQuota` while it is known full."""
        self._full.refuse(self.accounts, address)
        return plan.whose(self.accounts, address)

    async def deliver(self, incoming: Incoming) -> Outcome:
        """Accept a message: when this returns, it is durable.

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
        try:
            outcome = await self.store.database.commit(
                lambda conn: self._transaction.put(conn, incoming, planned, examined, quarantined=quarantined)
            )
        except OverQuota as problem:
            raise self._full.note(self.accounts, problem) from problem
        if outcome.spread:
            self._spreading = asyncio.create_task(self.spread_all(), name="spread")
        return outcome

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
        prepared = blobs.prepare(self.store.seal, data)
        judge.check_from(self.accounts, incoming, prepared.summary)
        decision = judge.decide(self.accounts, self.rulebook, incoming, data, prepared.summary, verdict)
        if decision is not None:
            warned = [one for one in decision.findings if one.severity == "warn"]
            verdict = replace(verdict, notes=tuple(Note(one.rule_id, one.vi, one.en) for one in warned[:20]))
        sealed = None
        if verdict != Verdict():
            sealed = self.store.seal.seal(verdict.pack(), b"verdict" + prepared.name)
        return Examined(prepared, hashlib.sha256(data).hexdigest(), decision, sealed, bool(verdict.junk))
