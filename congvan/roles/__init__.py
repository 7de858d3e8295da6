# SPDX-License-Identifier: AGPL-3.0-or-later
"""The processes of an installation (DESIGN 4.20): mail (one or more), web, worker, signer, public."""

from __future__ import annotations

import os

from config.settings import Settings

ROLES = ("signer", "mail", "worker", "web", "public")
"""In the order of starting."""
_MOST_BY_ITSELF = 4


def processes(settings: Settings, roles: tuple[str, ...] = ROLES) -> tuple[str, ...]:
    """Names of the processes of these roles: the role's, and ``mail-2`` … beside ``mail``."""
    wanted = settings.mail.processes or min(_MOST_BY_ITSELF, os.cpu_count() or 1)
    found: list[str] = []
    for role in roles:
        found.append(role)
        if role == "mail":
            found += [f"mail-{number}" for number in range(2, wanted + 1)]
    return tuple(found)


def role_of(process: str) -> str:
    """The role of a process by its name."""
    return process.partition("-")[0]
