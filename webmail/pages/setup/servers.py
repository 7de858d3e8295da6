# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where mail programs connect to: names and ports out of the settings."""

from __future__ import annotations

from dataclasses import dataclass

from config.settings import Settings


@dataclass(frozen=True, slots=True)
class Servers:
    """One host, implicit TLS on both ports (RFC 8314 §3)."""

    host: str
    imaps: int
    submissions: int
    province: str


def of(settings: Settings) -> Servers:
    """The servers of this installation."""
    return Servers(
        settings.installation.tls_name,
        _port(settings.listen.imaps, 993),
        _port(settings.listen.submissions, 465),
        settings.installation.name,
    )


def _port(address: str, usual: int) -> int:
    _, _, port = address.rpartition(":")
    return int(port) if port.isdigit() and int(port) else usual
