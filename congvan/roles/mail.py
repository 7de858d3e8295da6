# SPDX-License-Identifier: AGPL-3.0-or-later
"""The ``mail`` process: SMTP and IMAP on one event loop."""

from __future__ import annotations

import asyncio

from config.refusal import Unavailable
from congvan.installation import Installation
from congvan.roles.running import announced, give_memory_back, tls_context, until_stopped
from mailserver.imap.server import ImapServer
from mailserver.smtp.server import SmtpServer

_NOTE_S = 60.0


async def run(parts: Installation) -> None:
    """Serve until a signal comes."""
    give_memory_back()
    settings = parts.settings
    parts.wake.start()
    await parts.delivery.spread_all()
    context = tls_context(settings)
    imap = ImapServer(parts.store, parts.accounts, settings, context)
    smtp = SmtpServer(parts.delivery, parts.accounts, settings, context, screening=parts.screening)
    await imap.start()
    await smtp.start()
    noting = asyncio.create_task(_note_uses(parts), name="uses of devices")
    try:
        async with announced(settings, "mail"):
            await until_stopped()
    finally:
        noting.cancel()
        await smtp.stop()
        await imap.stop()
        parts.wake.stop()


async def _note_uses(parts: Installation) -> None:
    """Write down once a minute which device was used when."""
    uses = parts.accounts.uses
    while True:
        await asyncio.sleep(_NOTE_S)
        while uses.waiting:
            try:
                await parts.database.commit(uses.write)
            except Unavailable:
                break
