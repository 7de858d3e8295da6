# SPDX-License-Identifier: AGPL-3.0-or-later
"""The listeners: MX, submission (STARTTLS), submissions (implicit TLS), LMTP."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from config.settings import Settings
from mailserver.accounts import Accounts
from mailserver.delivery import Delivery
from mailserver.hygiene.screening import Screening
from mailserver.smtp.lmtp import LmtpSession
from mailserver.smtp.session import Kind, Serving, SessionBase
from mailserver.smtp.spool import Spool
from mailserver.smtp.transaction import Session

log = logging.getLogger("congvan.smtp")
_MOST_CONNECTIONS = 2000
_MEMORY = 8 * 1024 * 1024
_DISK = 4 * 1024 * 1024 * 1024
_GRACE_S = 10.0


class SmtpServer:
    """Serves SMTP on the addresses of ``settings.listen`` in the running event loop.

    ``most`` is how many connections the process takes at once; further ones get 421. ``ssl_context`` may be
    None only in tests: then there is no STARTTLS and no implicit-TLS listener. ``screening`` is asked about what
    comes in by MX; None: nothing is asked. ``submission_context`` may ask our people for certificates, whose addresses
    ``vouch`` names (SASL EXTERNAL); None: submission has the context of the others.
    ``share_ports``: other processes listen on the same ports.
    """

    def __init__(
        self,
        delivery: Delivery,
        accounts: Accounts,
        settings: Settings,
        ssl_context: ssl.SSLContext | None,
        most: int = _MOST_CONNECTIONS,
        screening: Screening | None = None,
        share_ports: bool = False,
        *,
        submission_context: ssl.SSLContext | None = None,
        vouch: Callable[[bytes], Sequence[str]] | None = None,
    ) -> None:
        self._share_ports = share_ports
        self._settings = settings
        self._context = ssl_context
        self._submission_context = submission_context or ssl_context
        self._vouch = vouch
        self._delivery = delivery
        self._accounts = accounts
        self._most = most
        self._screening = screening
        self._live: set[SessionBase] = set()
        self._spool = Spool(settings.data_dir / "spool", memory=_MEMORY, disk=_DISK)
        self._servers: dict[str, asyncio.Server] = {}

    async def start(self) -> None:
        """Listen. Raises `OSError` when an address is taken."""
        listen = self._settings.listen
        try:
            await self._listen("smtp", listen.smtp, "mx", implicit=False)
            await self._listen("submission", listen.submission, "submission", implicit=False)
            if self._context is not None:
                await self._listen("submissions", listen.submissions, "submission", implicit=True)
            await self._listen("lmtp", listen.lmtp, "lmtp", implicit=False)
        except OSError:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop listening; idle sessions get 421 now, busy ones when their command is done (10 s at most)."""
        for server in self._servers.values():
            server.close()
        for one in list(self._live):
            one.shut_down()
        for busy, seconds in ((True, _GRACE_S), (False, 1.0)):
            tasks = [one.task for one in self._live if one.task is not None and one.busy == busy]
            if tasks:
                await asyncio.wait(tasks, timeout=seconds)
        for one in list(self._live):
            if one.transport is not None:
                cast(asyncio.Transport, one.transport).abort()
        self._servers.clear()

    def address(self, name: str) -> tuple[str, int]:
        """Where ``smtp``, ``submission`` or ``submissions`` listens, also when the port was given as 0."""
        host, port = self._servers[name].sockets[0].getsockname()[:2]
        return str(host), int(port)

    @property
    def connections(self) -> int:
        """How many sessions are open."""
        return len(self._live)

    async def _listen(self, name: str, where: str, kind: Kind, *, implicit: bool) -> None:
        if not where:
            return
        loop = asyncio.get_running_loop()
        context = self._submission_context if kind == "submission" else self._context
        serving = Serving(
            kind=kind,
            delivery=self._delivery,
            accounts=self._accounts,
            hostname=self._settings.installation.tls_name,
            name="congvan",
            max_recipients=self._settings.mail.max_recipients,
            tls=context,
            plaintext_sign_in_from_loopback=self._settings.mail.plaintext_on_loopback,
            live=self._live,
            most=self._most,
            screening=self._screening if kind == "mx" else None,
            spool=self._spool,
            hold_seconds=self._settings.submission.later_days * 86_400 if kind == "submission" else 0,
            vouch=self._vouch,
        )
        if where.startswith("unix:"):
            self._servers[name] = await self._listen_unix(self._settings.at(where[5:]), serving)
            return
        session = LmtpSession if kind == "lmtp" else Session
        host, _, port = where.rpartition(":")
        self._servers[name] = await loop.create_server(
            lambda: session(serving, loop),
            host.strip("[]") or None,
            int(port),
            ssl=context if implicit else None,
            ssl_handshake_timeout=30 if implicit else None,
            ssl_shutdown_timeout=5 if implicit else None,
            backlog=512,
            reuse_port=self._share_ports or None,
        )

    @staticmethod
    async def _listen_unix(path: Path, serving: Serving) -> asyncio.Server:
        """On a socket that the owner's group may write to; one left by an earlier process is taken away."""
        loop = asyncio.get_running_loop()
        if path.is_socket():
            path.unlink()
        path.parent.mkdir(parents=True, exist_ok=True)
        server = await loop.create_unix_server(lambda: LmtpSession(serving, loop), str(path), backlog=512)
        path.chmod(0o660)
        return server
