# SPDX-License-Identifier: AGPL-3.0-or-later
"""A ``mail`` process: SMTP and IMAP on one event loop.

Several of them listen on the same ports; the kernel gives each connection to one (SO_REUSEPORT). What they know in
common is the store; a Unix socket for LMTP belongs to the first.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from config.refusal import Unavailable
from congvan.installation import Installation
from congvan.roles import processes
from congvan.roles.running import announced, give_memory_back, tls_context, until_stopped
from mailserver.imap.server import ImapServer
from mailserver.smtp.server import SmtpServer

_NOTE_S = 60.0


async def run(parts: Installation, name: str = "mail") -> None:
    """Serve until a signal comes."""
    give_memory_back()
    settings = parts.settings
    if name != "mail" and settings.listen.lmtp.startswith("unix:"):
        settings = replace(settings, listen=replace(settings.listen, lmtp=""))
    parts.wake.start()
    parts.database.keep_a_reader()
    await parts.delivery.spread_all()
    context = tls_context(settings)
    several = len(processes(settings, ("mail",))) > 1
    imap = ImapServer(parts.store, parts.accounts, settings, context, share_ports=several)
    smtp = SmtpServer(
        parts.delivery, parts.accounts, settings, context, screening=parts.screening, share_ports=several
    )
    await imap.start()
    await smtp.start()
    noting = asyncio.create_task(_note_uses(parts), name="uses of devices")
    try:
        async with announced(settings, name):
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
