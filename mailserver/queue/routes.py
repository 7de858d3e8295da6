# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where a domain's mail goes: our own MX, a route of the settings, the smarthost; else the DNS is asked, or nobody."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from config.refusal import Refused
from config.settings import Settings
from mailserver.accounts import Accounts

Tls: TypeAlias = Literal["opportunistic", "verified", "none"]
_ROUTE = re.compile(
    r"(?P<tls>tls://)?(?:(?P<user>[^\s@]{1,200})@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:/@]+):(?P<port>\d{1,5})"
)
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
    ``user`` signs in with ``password``, over verified TLS only; ``ca_file``: what is trusted, "" the system's.
    """

    host: str
    port: int
    tls: Tls = "opportunistic"
    own: bool = False
    servers: tuple[Server, ...] = ()
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""

    @property
    def name(self) -> str:
        """For answers and logs."""
        return f"{self.host}:{self.port}" if self.host else "no route"


class Routes:
    """The routes table. A value is ``[tls://][user@]host:port``; ``tls://`` takes verified TLS only.

    Raises `Refused` (``bad-settings``) for a value that is none, a sign-in without ``tls://`` or without a password.
    """

    def __init__(self, settings: Settings, accounts: Accounts) -> None:
        self._accounts = accounts
        queue = settings.queue
        passwords = _passwords(settings.at(queue.password_file)) if queue.password_file else {}
        ca = str(settings.at(queue.ca_file)) if queue.ca_file else ""
        self._table = {domain.lower(): _parse(value, passwords, ca) for domain, value in queue.routes.items()}
        self._own = _own(settings.listen.smtp)

    def of(self, domain: str) -> Route | None:
        """The route of a recipient's domain, None when there is none.

        What the table names goes there, whoever has that domain.
        """
        if named := self._table.get(domain.lower()):
            return named
        if self._own is not None and self._accounts.home_of_domain(domain) is not None:
            return self._own
        return self._table.get("*")


def _parse(value: str, passwords: dict[str, str], ca_file: str) -> Route:
    found = _ROUTE.fullmatch(value.strip())
    if found is None or not 0 < int(found["port"]) < 65536:
        raise _bad(
            f"“{value}” phải có dạng [tls://][user@]host:port", f"“{value}” must be [tls://][user@]host:port"
        )
    user = found["user"] or ""
    place = f"{user}@{found['host']}:{found['port']}"
    if user and not found["tls"]:
        raise _bad(f"“{value}”: đăng nhập cần tls://", f"“{value}”: signing in needs tls://")
    if user and place not in passwords:
        raise _bad(f"password_file không có {place}", f"password_file has no {place}")
    return Route(
        found["host"].strip("[]"),
        int(found["port"]),
        "verified" if found["tls"] else "opportunistic",
        user=user,
        password=passwords.get(place, ""),
        ca_file=ca_file,
    )


def _passwords(file: Path) -> dict[str, str]:
    """Lines ``user@host:port password``; a file that others may read is refused."""
    try:
        if file.stat().st_mode & 0o077:
            raise _bad(
                f"{file}: chỉ chủ sở hữu được đọc (chmod 600)",
                f"{file}: only its owner may read it (chmod 600)",
            )
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as problem:
        raise _bad(f"{file}: {problem.strerror}", f"{file}: {problem.strerror}") from problem
    pairs = (line.split(None, 1) for line in lines if line.strip() and not line.startswith("#"))
    return {pair[0]: pair[1].strip() for pair in pairs if len(pair) == 2}


def _own(listen: str) -> Route | None:
    if not listen:
        return None
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    host = _ANY.get(host, host)
    return Route(host, int(port), "none" if host.startswith(_LOOPBACK) else "opportunistic", own=True)


def _bad(vi: str, en: str) -> Refused:
    return Refused("bad-settings", f"[queue] routes: {vi}.", f"[queue] routes: {en}.")
