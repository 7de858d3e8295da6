# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the worker does for ``congvan agency key …``: each act asks the signer and leaves a ledger entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from config.refusal import Refused
from exchange.documents import compromised as stopping
from exchange.documents import marks
from exchange.exchange import Exchange
from exchange.signing.key_client import Keys
from exchange.signing.protocol import Use
from mailserver.accounts import Account
from policy.ledger.entries import record


def acts(exchange: Exchange) -> dict[str, Callable[..., Any]]:
    """The acts on keys by name; plain values in and out."""
    keys = Keys(exchange.signer)

    def listing() -> dict[str, Any]:
        """``agency key list``."""
        return {"items": [asdict(one) for one in keys.listing()]}

    def issue(
        agency: str, person: str, approval: str, renew: str, by: str, token: str = "", pin: str = ""
    ) -> dict[str, Any]:
        """``agency key issue`` and ``renew``: one of ``agency`` and ``person`` is given."""
        return _issue(exchange, keys, agency, person, approval, renew, by, token, pin)

    def compromised(
        agency: str, person: str, approval: str, which: str, by: str, token: str = "", pin: str = ""
    ) -> dict[str, Any]:
        """``agency key compromised``: revoke, make a new key, say what hung on the old one."""
        made = _issue(exchange, keys, agency, person, approval, which, by, token, pin)
        for serial in made["replaced"]:
            _noted(exchange, exchange.signer.revoke(int(serial, 16), "keyCompromise", by))
        return made | stopping.stop(exchange, agency, person.lower(), by)

    def put_by(agency: str, officers: list[dict[str, Any]], threshold: int, by: str) -> dict[str, Any]:
        """``agency key put-by``."""
        exchange.agency(agency)
        people = [(str(one["name"]), bytes(one["key"])) for one in officers]
        file, use = keys.put_by(agency, people, threshold, by)
        _noted(exchange, use)
        return {"file": file, "threshold": threshold, "officers": [name for name, _ in people]}

    def recover(file: bytes, shares: list[str], by: str) -> dict[str, Any]:
        """``agency key recover``."""
        restored, use = keys.recover(file, shares, by)
        _noted(exchange, use)
        return {"restored": restored}

    def invite(person: str, by: str) -> dict[str, Any]:
        """``agency key invite``: a code for enrolling a passkey."""
        who = _account(exchange, person)
        code, use = keys.invite_passkey(
            who.address, who.name, who.title, who.agency_name, who.agency_code, by
        )
        _noted(exchange, use)
        return {"address": who.address, "code": code}

    def lost(person: str, by: str) -> dict[str, Any]:
        """``agency key lost``: no passkey of this person approves anything any more."""
        who = _account(exchange, person)
        gone = keys.passkeys(who.address)
        for one in gone:
            _noted(exchange, keys.forget_passkey(who.address, one.credential, by))
        return {"address": who.address, "revoked": [one.serial for one in gone]}

    def picture(agency: str, person: str, data: bytes, millimetres: float) -> dict[str, Any]:
        """``agency key picture``: how a seal or a hand signature looks."""
        if agency:
            marks.install_seal(exchange, exchange.agency(agency), data, millimetres)
            return {"agency": agency, "diameter_mm": millimetres}
        who = _account(exchange, person)
        marks.install_hand(exchange, who.address, data)
        return {"person": who.address}

    return {
        "key.list": listing,
        "key.issue": issue,
        "key.compromised": compromised,
        "key.put-by": put_by,
        "key.recover": recover,
        "key.invite": invite,
        "key.lost": lost,
        "key.picture": picture,
    }


def _issue(
    exchange: Exchange,
    keys: Keys,
    agency: str,
    person: str,
    approval: str,
    renew: str,
    by: str,
    token: str,
    pin: str,
) -> dict[str, Any]:
    if agency:
        home = exchange.agency(agency)
        if home.elsewhere:
            raise Refused(
                "agency-elsewhere",
                f"Khóa của {home.code} ở máy chủ khác: nhận chứng thư của cơ quan đó bằng `congvan agency pin add`.",
                f"The keys of {home.code} are on another server: take its certificates by `congvan agency pin add`.",
            )
        mode = approval or exchange.approval_of_seal(home.code) or "passkey"
        use, old = keys.agency(home.code, home.name, home.registry_address, by, approval=mode, renew=renew)
        told: dict[str, Any] = {"agency": home.code}
    else:
        who = _account(exchange, person)
        mode = approval or exchange.approval_of_person(who.address) or "passkey"
        if mode == "token" and not token:
            raise Refused(
                "token-needed",
                "Khóa kiểu “token” được tạo trong thiết bị riêng của người ký: thêm --token NHÃN (người ký nhập mã PIN), hoặc chọn --approval passkey.",
                "A key of mode “token” is made in the person's own token: add --token LABEL (the person types the PIN), or take --approval passkey.",
            )
        use, old = keys.person(
            who.address,
            who.name,
            who.title,
            who.agency_name,
            by,
            approval=mode,
            renew=bool(renew),
            token=token,
            pin=pin,
        )
        told = {"person": who.address}
    _noted(exchange, use)
    return told | {"approval": mode, "replaced": [f"{one:x}" for one in old]}


def _account(exchange: Exchange, address: str) -> Account:
    found = exchange.accounts.by_address(address)
    if found is None or found.role == "registry":
        raise Refused(
            "no-such-account", f"Không có tài khoản {address[:100]}.", f"There is no account {address[:100]}."
        )
    return found


def _noted(exchange: Exchange, use: Use) -> None:
    """The ledger entry about a use of the authority."""
    detail = {"op": use.op, "by": use.who, "what": use.purpose, "signer_record": use.record}
    exchange.database.write(lambda conn: record(conn, exchange.seal, "key.changed", use.key[:200], detail))
