# SPDX-License-Identifier: AGPL-3.0-or-later
"""A ``mail`` process: SMTP and IMAP on one event loop.

Several of them listen on the same ports; the kernel gives each connection to one (SO_REUSEPORT). What they know in
common is the store; a Unix socket for LMTP belongs to the first.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from functools import partial

from config.refusal import Unavailable
from congvan.installation import Installation
from congvan.roles import processes
from congvan.roles.running import announced, give_memory_back, tls_context, until_stopped
from exchange.trust.vouching import authorities, vouched
from mailserver.accounts import certificates
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
    people, vouch = context, None
    if settings.tls.client_certificates:
        people, vouch = tls_context(settings), partial(vouched, directory=parts.trust)
        people.verify_mode = ssl.CERT_OPTIONAL
        people.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        trust_clients(people, parts)
    imap = ImapServer(parts.store, parts.accounts, settings, people, vouch=vouch, share_ports=several)
    smtp = SmtpServer(
        parts.delivery,
        parts.accounts,
        settings,
        context,
        screening=parts.screening,
        submission_context=people,
        vouch=vouch,
        share_ports=several,
    )
    await imap.start()
    await smtp.start()
    noting = asyncio.create_task(_now_and_then(parts, people), name="uses and certificates of devices")
    try:
        async with announced(settings, name):
            await until_stopped()
    finally:
        noting.cancel()
        await smtp.stop()
        await imap.stop()
        parts.wake.stop()


def trust_clients(context: ssl.SSLContext, parts: Installation) -> None:
    """Accept in handshakes the certificates of our authority and those pinned to devices, also new ones.

    Accepting is not signing in: what was taken back meanwhile opens nothing (`Accounts.authenticate_certificate`).
    """
    with parts.database.reading() as conn:
        known = [*authorities(parts.trust), *certificates.pinned(conn)]
    context.load_verify_locations(cadata=b"".join(known))


async def _now_and_then(parts: Installation, people: ssl.SSLContext) -> None:
    """Once a minute write down which device was used when, and take in certificates of new devices."""
    uses = parts.accounts.uses
    while True:
        await asyncio.sleep(_NOTE_S)
        try:
            while uses.waiting:
                await parts.database.commit(uses.write)
            if people.verify_mode is ssl.CERT_OPTIONAL:
                await asyncio.to_thread(trust_clients, people, parts)
        except Unavailable:
            continue
