# SPDX-License-Identifier: AGPL-3.0-or-later
"""The ``web`` process: the pages."""

from __future__ import annotations

from congvan.installation import Installation
from congvan.roles.running import serve_announced
from webmail.server import serve


async def run(parts: Installation) -> None:
    """Serve until a signal comes."""
    await serve_announced(parts.settings, "web", lambda ready: serve(parts, parts.settings, ready=ready))
