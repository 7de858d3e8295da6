# SPDX-License-Identifier: AGPL-3.0-or-later
"""The ``signer`` process: alone holds the keys of people, agencies, time-stamps and ledger."""

from __future__ import annotations

from config.settings import Settings
from congvan.installation import signer_settings
from congvan.roles.running import serve_announced
from exchange.signing.signer import serve


async def run(settings: Settings) -> None:
    """Serve until a signal comes."""
    await serve_announced(settings, "signer", lambda ready: serve(signer_settings(settings), ready=ready))
