# SPDX-License-Identifier: AGPL-3.0-or-later
"""The ``worker`` process: courier, sequencer of the ledger, receiving documents, search index, commands."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from config.leases import hold, release
from config.refusal import Refused
from congvan.acts import directory_acts
from congvan.control import ControlServer
from congvan.installation import Installation
from congvan.keeping import store_acts
from congvan.roles.running import announced, until_stopped
from exchange.receiving import reconsidering
from exchange.trust import refreshing
from exchange.worker import ExchangeWorker, acts
from mailserver.delivery.warning import Warnings
from mailserver.hygiene.learning import Learner
from mailserver.queue.courier import Courier
from mailserver.search.building import Builder
from mailserver.store.upkeep import Upkeep

log = logging.getLogger("congvan.worker")
_LEASE = "ledger-sequencer"
_LEASE_S = 10.0
_AGAIN_S = 2.0


async def run(parts: Installation) -> None:
    """Serve until a signal comes."""
    settings = parts.settings
    parts.wake.start()
    await asyncio.to_thread(lambda: parts.sequencer)
    courier = Courier(
        parts.store, parts.accounts, parts.delivery, settings, parts.wake, exchangers=parts.exchangers
    )
    exchange = ExchangeWorker(parts.exchange)
    own = settings.store
    upkeep = Upkeep(parts.store, own.vault_days, own.compact_percent)
    control = ControlServer(settings, acts(parts.exchange) | directory_acts(parts) | store_acts(parts))
    duties = [
        asyncio.create_task(_always("courier", courier.run)),
        asyncio.create_task(_always("sequencer", lambda: _sequence(parts))),
        asyncio.create_task(_always("exchange", exchange.run)),
        asyncio.create_task(_always("revocation", lambda: refreshing.run(parts.exchange.new_fetcher()))),
        asyncio.create_task(
            _always("words awaited", lambda: reconsidering.run(parts.exchange, parts.exchange.new_fetcher()))
        ),
        asyncio.create_task(_always("spam filter", Learner(parts.store, parts.wake).run)),
        asyncio.create_task(_always("upkeep", upkeep.run)),
        asyncio.create_task(
            _always("quota letters", Warnings(parts.delivery, settings.installation.tls_name).run)
        ),
        asyncio.create_task(_always("spread", parts.delivery.spread_all)),
        asyncio.create_task(_always("search", Builder(parts.store).run)),
    ]
    await control.start()
    try:
        async with announced(settings, "worker"):
            await until_stopped()
    finally:
        await control.stop()
        for duty in duties:
            duty.cancel()
        await asyncio.gather(*duties, return_exceptions=True)
        await asyncio.to_thread(release, parts.database, _LEASE)
        parts.wake.stop()


async def _always(name: str, duty: Callable[[], Awaitable[None]]) -> None:
    """Run a duty for ever: what fails is logged and begun again after a pause."""
    while True:
        try:
            await duty()
        except Refused as problem:
            log.warning("%s waits: %s", name, problem)
        except Exception:
            log.exception("%s failed and begins again", name)
        await asyncio.sleep(_AGAIN_S)


async def _sequence(parts: Installation) -> None:
    """Give pending ledger entries their index, about once a second, while holding the lease."""
    while True:
        if await asyncio.to_thread(hold, parts.database, _LEASE, _LEASE_S):
            for _ in range(5):
                if await asyncio.to_thread(parts.sequencer.sequence_once):
                    parts.wake.publish("ledger")
                await asyncio.sleep(parts.settings.ledger.pause)
        else:
            await asyncio.sleep(_LEASE_S / 2)
