# SPDX-License-Identifier: AGPL-3.0-or-later
"""What mail from outside is asked before it is taken, in one place: who sent it, is it wanted."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from config.clock import now_us
from config.refusal import Unavailable
from config.settings import Settings
from mailserver.accounts import Accounts
from mailserver.dns import Resolver
from mailserver.hygiene.blocklists import BlockLists
from mailserver.hygiene.features import features
from mailserver.hygiene.greylisting import Greylist
from mailserver.hygiene.scanner import Scanner
from mailserver.hygiene.spam import LEAST, Model, SpamFilter
from mailserver.hygiene.verdict import Verdict
from mailserver.message import scan
from mailserver.senderauth.sender import Sender, SenderCheck
from mailserver.store import Store

_MODEL_S = 60.0


def resolver_of(settings: Settings) -> Resolver | None:
    """The resolver of the settings; None when the DNS is not to be asked."""
    if not settings.dns.enabled:
        return None
    return Resolver(settings.dns.servers, settings.dns.timeout)


def scanner_of(settings: Settings) -> Scanner | None:
    """The scanner of the settings; None when there is none."""
    chosen = settings.hygiene
    if not chosen.scanner:
        return None
    return Scanner(
        chosen.scanner,
        fail_closed=chosen.scanner_fail_closed,
        timeout_s=chosen.scanner_seconds,
        most_bytes=chosen.scanner_max_bytes,
    )


class Screening:
    """Screens what comes in by MX for one installation. Use from one event loop."""

    def __init__(
        self, store: Store, accounts: Accounts, settings: Settings, resolver: Resolver | None
    ) -> None:
        self._accounts = accounts
        self._trusted = SenderCheck(
            resolver or Resolver(["127.0.0.1"]),
            settings.installation.tls_name,
            settings.hygiene.trusted_networks,
            settings.hygiene.check_seconds,
        )
        self._asks = resolver is not None
        chosen = settings.hygiene
        self._lists = BlockLists(resolver, chosen.block_lists) if resolver is not None else None
        self._greylist = Greylist(store.database, store.seal, chosen.greylist_minutes, chosen.greylist_days)
        self._store = store
        self._filter = SpamFilter(store.seal) if chosen.spam_filter else None
        self._spam_above = chosen.spam_above
        self._model: Model | None = None
        self._model_at = float("-inf")

    def asks(self, client: str) -> bool:
        """Whether the DNS is asked about mail from this address."""
        return self._asks and not self._trusted.is_trusted(client)

    async def screen(
        self, client: str, helo: str, sender: str, recipients: tuple[str, ...], data: bytes | bytearray
    ) -> tuple[bytes, Verdict, bytes | bytearray]:
        """The Authentication-Results field (empty when nothing was asked), the verdict, and the message without such
        fields in our name. Raises `Unavailable` when it must be tried again later, `Refused` (``listed``).
        """
        if self._trusted.is_trusted(client):
            return b"", Verdict(), data
        if not self._asks:
            await self._greylist.check(client, sender, now_us())
            return b"", await self._judged(Verdict(), data), data
        if self._lists is not None:
            await self._lists.check(client)
        at_s = now_us() // 1_000_000
        found, field, data = await self._trusted.check(client, helo, sender, data, at_s)
        if found.dmarc.result == "temperror" and found.dmarc.policy == "reject":
            raise Unavailable(
                "sender-not-checked",
                "Chưa kiểm tra được người gửi (DNS không trả lời). Máy gửi sẽ tự gửi lại.",
                "The sender could not be checked (no answer of the DNS). The sending server tries again.",
            )
        verdict = _verdict(found)
        if not found.proved and not (found.dmarc.result == "fail" and found.dmarc.policy == "reject"):
            await self._greylist.check(client, sender, now_us())
        if found.dmarc.result == "fail" and found.dmarc.policy == "quarantine":
            verdict = replace(verdict, junk="dmarc")
        return field, await self._judged(verdict, data), data

    async def _judged(self, verdict: Verdict, data: bytes | bytearray) -> Verdict:
        """With the spam filter's word, once it has learned enough to have one."""
        if self._filter is None:
            return verdict
        model = await self._learned(self._filter)
        if min(model.totals) < LEAST:
            return verdict
        whole = bytes(data)
        chance = await asyncio.to_thread(lambda: model.probability(features(whole, scan(whole))))
        if chance is None:
            return verdict
        junk = verdict.junk or ("spam" if chance >= self._spam_above else "")
        return replace(verdict, spam=round(chance, 3), junk=junk)

    async def _learned(self, chosen: SpamFilter) -> Model:
        """What was learned, looked up again after a minute."""
        if self._model is None or time.monotonic() - self._model_at > _MODEL_S:
            self._model_at = time.monotonic()
            self._model = await asyncio.to_thread(self._read, chosen)
        return self._model

    def _read(self, chosen: SpamFilter) -> Model:
        with self._store.database.reading() as conn:
            return chosen.model(conn, self._model)


def _verdict(found: Sender) -> Verdict:
    return Verdict(
        sender="proved" if found.proved else "failed" if found.dmarc.result == "fail" else "unproved",
        author=found.author or "",
        spf=found.spf.result if found.spf is not None else "temperror",
        spf_domain=found.spf.domain if found.spf is not None else "",
        dkim=tuple(f"{one.result} {one.domain}" for one in found.signatures),
        dmarc=found.dmarc.result,
        policy=found.dmarc.policy,
        odd_label=found.odd_label or "",
    )
