# SPDX-License-Identifier: AGPL-3.0-or-later
"""The ``mail`` process: SMTP and IMAP on one event loop."""

from __future__ import annotations

from congvan.installation import Installation
from congvan.roles.running import announced, give_memory_back, tls_context, until_stopped
from mailserver.imap.server import ImapServer
from mailserver.smtp.server import SmtpServer


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
    try:
        async with announced(settings, "mail"):
            await until_stopped()
    finally:
        await smtp.stop()
        await imap.stop()
        parts.wake.stop()
