# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the worker does for ``congvan agency pin …``: each change is a ledger entry."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from config.refusal import Refused
from exchange.exchange import Exchange
from exchange.sealing.openpgp_keyfile import is_openpgp_key, one_public_key
from exchange.trust import pins
from exchange.trust.lists import OpenPgpPin, Pin
from policy.ledger.entries import record
from policy.ledger.leaf import JSON


def acts(exchange: Exchange) -> dict[str, Callable[..., Any]]:
    """The acts on pinned certificates by name; plain values in and out."""

    def listing() -> dict[str, Any]:
        """``agency pin list``: all pins, also those written into lists.toml by hand."""
        now = datetime.now(UTC)
        lists = exchange.trust.lists()
        return {"items": [_told(one, now) for one in (*lists.pins, *lists.openpgp)]}

    def add(
        agency: str, data: bytes, since: str, until: str, by: str, fingerprint: str = ""
    ) -> dict[str, Any]:
        """``agency pin add``; ``since`` in the future announces a roll-over, ``fingerprint`` names an OpenPGP key."""
        code = exchange.agency(agency).code
        if is_openpgp_key(data):
            return _pin_openpgp(exchange, code, data, since, until, by, fingerprint)
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


def _pin_openpgp(
    exchange: Exchange, code: str, data: bytes, since: str, until: str, by: str, fingerprint: str
) -> dict[str, Any]:
    key, armour = one_public_key(data, fingerprint)
    registry = exchange.agency(code).registry_address
    if registry.lower() not in key.addresses:
        raise Refused(
            "other-agency",
            f"Khóa không ghi địa chỉ {registry} trong tên người dùng (UID).",
            f"The key does not name the address {registry} in a user id.",
        )
    made = pins.pin_openpgp(exchange.trust, code, armour, key.fingerprint, _moment(since), _moment(until))
    detail: dict[str, JSON] = {"by": by, "openpgp": made.sha256, "from": since, "until": until}
    exchange.database.write(lambda conn: record(conn, exchange.seal, "trust.pinned", code, detail))
    return {"items": [_told(made, datetime.now(UTC))], "encryption": True}


def _told(one: Pin, now: datetime) -> dict[str, Any]:
    since, until = (moment.isoformat() if moment else "" for moment in (one.since, one.until))
    kind = "openpgp" if isinstance(one, OpenPgpPin) else "certificate"
    return {
        "code": one.code,
        "kind": kind,
        "sha256": one.sha256,
        "from": since,
        "until": until,
        "holds": one.holds(now),
    }


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
