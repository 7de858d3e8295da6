# SPDX-License-Identifier: AGPL-3.0-or-later
"""The ``public`` process: anybody looks up whether a document is genuine; reads only."""

from __future__ import annotations

from congvan.installation import Installation
from congvan.roles.running import serve_announced
from webmail.public import serve


async def run(parts: Installation) -> None:
    """Serve until a signal comes."""
    await serve_announced(parts.settings, "public", lambda ready: serve(parts, parts.settings, ready=ready))
