# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the worker does for ``congvan agency pin …``: each change is a ledger entry."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from config.refusal import Refused
from exchange.exchange import Exchange
from exchange.trust import pins
from exchange.trust.lists import Pin
from policy.ledger.entries import record
from policy.ledger.leaf import JSON


def acts(exchange: Exchange) -> dict[str, Callable[..., Any]]:
    """The acts on pinned certificates by name; plain values in and out."""

    def listing() -> dict[str, Any]:
        """``agency pin list``: all pins, also those written into lists.toml by hand."""
        now = datetime.now(UTC)
        return {"items": [_told(one, now) for one in exchange.trust.lists().pins]}

    def add(agency: str, data: bytes, since: str, until: str, by: str) -> dict[str, Any]:
        """``agency pin add``; ``since`` in the future announces a roll-over."""
        code = exchange.agency(agency).code
        done = pins.pin(exchange.trust, code, data, _moment(since), _moment(until))
        now = datetime.now(UTC)
        told: list[JSON] = [one.sha256 for one in done.pins]
        detail: dict[str, JSON] = {
            "by": by,
            "pins": told,
            "from": since,
            "until": until,
            "encryption": "yes" if done.encryption else "no",
        }
        exchange.database.write(lambda conn: record(conn, exchange.seal, "trust.pinned", code, detail))
        return {"items": [_told(one, now) for one in done.pins], "encryption": done.encryption}

    def remove(agency: str, sha256: str, by: str) -> dict[str, Any]:
        """``agency pin remove``."""
        count = pins.unpin(exchange.trust, agency, sha256)
        detail: dict[str, JSON] = {"by": by, "pin": sha256[:80]}
        exchange.database.write(lambda conn: record(conn, exchange.seal, "trust.unpinned", agency, detail))
        return {"code": agency, "removed": count}

    return {"pin.list": listing, "pin.add": add, "pin.remove": remove}


def _told(one: Pin, now: datetime) -> dict[str, Any]:
    since, until = (moment.isoformat() if moment else "" for moment in (one.since, one.until))
    return {"code": one.code, "sha256": one.sha256, "from": since, "until": until, "holds": one.holds(now)}


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(
            "bad-time", "Thời điểm viết theo ISO 8601.", "Write the moment as in 2026-12-01T00:00:00+07:00."
        ) from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
