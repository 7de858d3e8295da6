# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the worker does for ``congvan agency openpgp …``: our agencies' OpenPGP keys, made in the signer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from config.refusal import Refused
from exchange.exchange import Exchange
from exchange.sealing.openpgp_wire import read_certificate
from exchange.signing.openpgp_client import OpenPgpKeys
from policy.ledger.entries import record
from policy.ledger.leaf import JSON


def acts(exchange: Exchange) -> dict[str, Callable[..., Any]]:
    """The acts by name; plain values in and out."""

    def issue(agency: str, renew: bool, by: str) -> dict[str, Any]:
        """``agency openpgp issue``: a key pair for packets in OpenPGP form; ``renew``: in place of the one there."""
        home = exchange.agency(agency)
        keys = OpenPgpKeys(exchange.signer, home.code)
        armour, use = keys.issue(home.name, home.registry_address, by, renew=renew)
        detail: dict[str, JSON] = {
            "op": use.op,
            "by": use.who,
            "what": use.purpose,
            "signer_record": use.record,
        }
        exchange.database.write(
            lambda conn: record(conn, exchange.seal, "key.changed", use.key[:200], detail)
        )
        return _told(home.code, armour)

    def export(agency: str) -> dict[str, Any]:
        """``agency openpgp export``: the public key for partners, with its fingerprint."""
        home = exchange.agency(agency)
        found = exchange.trust.openpgp_of_agency(home.code)
        if not found:
            raise Refused(
                "no-openpgp-key",
                f"{home.name} chưa có khóa OpenPGP; tạo bằng `congvan agency openpgp issue {home.code}`.",
                f"{home.name} has no OpenPGP key; make one: `congvan agency openpgp issue {home.code}`.",
            )
        return _told(home.code, found[0])

    return {"openpgp.issue": issue, "openpgp.export": export}


def _told(code: str, armour: bytes) -> dict[str, Any]:
    primary, _ = read_certificate(armour)
    return {"agency": code, "fingerprint": primary.fingerprint.hex().upper(), "armour": armour.decode()}
