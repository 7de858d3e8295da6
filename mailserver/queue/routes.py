# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where a domain's mail goes: our own MX, a route of the settings, the smarthost, or nowhere (no MX look-up)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from config.refusal import Refused
from config.settings import Settings
from mailserver.accounts import Accounts

Tls: TypeAlias = Literal["opportunistic", "verified", "none"]
_ROUTE = re.compile(r"(?P<tls>tls://)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:/]+):(?P<port>\d{1,5})")
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
_LOOPBACK = ("127.", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Server:
    """A server the DNS named, with one of its addresses."""

    host: str
    address: str


@dataclass(frozen=True, slots=True)
class Route:
    """A server that takes mail. ``own`` is our own MX: what it takes lies in a mailbox of ours.

    ``servers``: those of the DNS, tried in this order; empty when ``host`` is a name for the system to look up.
    """

    host: str
    port: int
    tls: Tls = "opportunistic"
    own: bool = False
    servers: tuple[Server, ...] = ()

    @property
    def name(self) -> str:
        """For answers and logs."""
        return f"{self.host}:{self.port}" if self.host else "no route"


class Routes:
    """The routes table. A value is ``host:port`` (TLS when offered) or ``tls://host:port`` (verified TLS only).

    Raises `Refused` (``bad-settings``) for a value that is neither.
    """

    def __init__(self, settings: Settings, accounts: Accounts) -> None:
        self._accounts = accounts
        self._table = {domain.lower(): _parse(value) for domain, value in settings.queue.routes.items()}
        self._own = _own(settings.listen.smtp)

    def of(self, domain: str) -> Route | None:
        """The route of a recipient's domain, None when there is none."""
        if self._own is not None and self._accounts.agency_of_domain(domain) is not None:
            return self._own
        return self._table.get(domain.lower()) or self._table.get("*")


def _parse(value: str) -> Route:
    found = _ROUTE.fullmatch(value.strip())
    if found is None or not 0 < int(found["port"]) < 65536:
        raise Refused(
            "bad-settings",
            f"[queue] routes: “{value}” phải có dạng host:port hoặc tls://host:port.",
            f"[queue] routes: “{value}” must be host:port or tls://host:port.",
        )
    return Route(
        found["host"].strip("[]"), int(found["port"]), "verified" if found["tls"] else "opportunistic"
    )


def _own(listen: str) -> Route | None:
    if not listen:
        return None
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    host = _ANY.get(host, host)
    return Route(host, int(port), "none" if host.startswith(_LOOPBACK) else "opportunistic", own=True)
