# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the worker does for ``congvan authority …``: keys of the installation itself, each act a ledger entry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exchange.exchange import Exchange
from exchange.signing.key_client import Keys
from exchange.signing.provision import days_left
from policy.ledger.entries import record


def acts(exchange: Exchange) -> dict[str, Callable[..., Any]]:
    """The acts by name; plain values in and out."""
    keys = Keys(exchange.signer)

    def listing() -> dict[str, Any]:
        """``authority list``: certificates of today, and issuing authorities that gave way and still list."""
        trust = exchange.trust
        present = trust.issuing_certificate()
        named = [("root", one) for one in trust.own_roots()]
        named += [("issuing", present)] if present is not None else []
        named += [("issuing (earlier)", one) for one in trust.earlier_issuing()]
        stamps = trust.timestamp_certificate()
        named += [("timestamps", stamps)] if stamps is not None else []
        named += [("ledger", one[0]) for one in trust.ledger_chains()[:1]]
        return {
            "items": [
                {
                    "use": use,
                    "name": one.subject.rfc4514_string(),
                    "days": days_left(one),
                    "serial": f"{one.serial_number:x}",
                }
                for use, one in named
            ]
        }

    def renew(which: str, by: str) -> dict[str, Any]:
        """``authority renew``: another key from now on; what the earlier one signed stays verifiable."""
        if which == "issuing":
            use, name = keys.succeed_issuing(by)
        elif which == "ledger":
            use, name = keys.renew_ledger(by)
        else:
            use, name = keys.renew_timestamps(by), "TSA"
        detail = {"by": by, "what": f"{which}: {name}", "signer_record": use.record}
        exchange.database.write(lambda conn: record(conn, exchange.seal, "authority.renewed", which, detail))
        return {"renewed": which, "name": name}

    return {"authority.list": listing, "authority.renew": renew}
