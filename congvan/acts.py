# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the worker does for commands on accounts and agencies (through the control socket)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from config.refusal import Refused
from congvan.installation import Installation
from mailserver.accounts import devices, passwords
from mailserver.accounts.changes import (
    NewAccount,
    NewAgency,
    add_account,
    add_agency,
    send_elsewhere,
    set_masked,
    set_quota,
    set_state,
)
from mailserver.imap import trace
from mailserver.imap.commands.capability import MASKABLE
from mailserver.store import mailboxes

_AT_ONCE = 100


def directory_acts(parts: Installation) -> dict[str, Callable[..., Any]]:
    """Acts by name."""

    def add_agency_act(
        code: str, name: str, short: str, domain: str, parent: str, place: str, elsewhere: bool
    ) -> dict[str, Any]:
        """An agency whose domain the routes table names is elsewhere, said or not: its mail would never come here."""
        away = elsewhere or domain.lower() in {one.lower() for one in parts.settings.queue.routes}
        new = NewAgency(code, name, short, domain, parent=parent, place=place, elsewhere=away)

        def job(conn: sa.Connection) -> str:
            made = add_agency(conn, parts.seal, new)
            if not made.elsewhere:
                mailboxes.create_standard(conn, parts.seal, made.registry)
            return made.registry_address

        registry = parts.database.write(job)
        parts.accounts.forget()
        return {"code": code, "registry": registry, "elsewhere": away}

    def elsewhere_act(code: str, by: str) -> dict[str, Any]:
        home = parts.agency(code)
        parts.database.write(lambda conn: send_elsewhere(conn, parts.seal, home, by))
        parts.accounts.forget()
        return {"code": home.code, "registry": home.registry_address, "elsewhere": True}

    def import_accounts(rows: list[dict[str, str]]) -> dict[str, Any]:
        """Rows of address, name, title, agency, role, password ("" makes one up)."""
        added, problems = [], []
        for start in range(0, len(rows), _AT_ONCE):
            part = rows[start : start + _AT_ONCE]
            ready = [(row, row["password"] or passwords.new_app_password()) for row in part]

            def job(conn: sa.Connection, ready: list[tuple[dict[str, str], str]] = ready) -> list[Any]:
                return [_add(conn, row, word) for row, word in ready]

            for (row, word), problem in zip(ready, parts.database.write(job), strict=True):
                if problem is None:
                    added.append(
                        {"address": row["address"], "password": word if not row["password"] else None}
                    )
                else:
                    problems.append({"address": row["address"], "vi": problem.vi, "en": problem.en})
        parts.accounts.forget()
        return {"added": added, "problems": problems}

    def _add(conn: sa.Connection, row: dict[str, str], word: str) -> Refused | None:
        salt = passwords.scram_salt(parts.seal, row["address"])
        kept = ((passwords.APP, passwords.keep(passwords.APP, word, salt)),)
        try:
            home = parts.agency(row["agency"])
            with conn.begin_nested():
                made = add_account(
                    conn,
                    parts.seal,
                    home,
                    NewAccount(row["address"], row["name"], row["title"], row["role"], kept),
                )
                mailboxes.create_standard(conn, parts.seal, made.ref)
        except Refused as problem:
            return problem
        return None

    def lock_account(address: str, locked: bool, by: str) -> dict[str, Any]:
        found = parts.account(address)
        state = "locked" if locked else "active"
        parts.database.write(lambda conn: set_state(conn, parts.seal, found, state, by))
        parts.accounts.forget()
        return {"address": found.address, "state": state}

    def trace_account(address: str, minutes: int, by: str) -> dict[str, Any]:
        found = parts.account(address)

        def job(conn: sa.Connection) -> int:
            if minutes > 0:
                return trace.switch_on(conn, parts.seal, found, minutes, by)
            trace.switch_off(conn, parts.seal, found, by)
            return 0

        return {"address": found.address, "until": parts.database.write(job)}

    def add_device(address: str, label: str, by: str) -> dict[str, Any]:
        owner = parts.account(address)
        made, password = parts.database.write(lambda conn: devices.add(conn, parts.seal, owner, label, by))
        return {"address": owner.address, "device": made.number, "label": made.label, "password": password}

    def certify_device(address: str, label: str, certificate: str, by: str) -> dict[str, Any]:
        owner, given = parts.account(address), certificate.encode()
        made = parts.database.write(
            lambda conn: devices.add_certificate(conn, parts.seal, owner, label, given, by)
        )
        return {"address": owner.address, "device": made.number, "label": made.label}

    def revoke_device(address: str, device: int, by: str) -> dict[str, Any]:
        owner = parts.account(address)
        parts.database.write(lambda conn: devices.revoke(conn, parts.seal, owner, device, by))
        return {"address": owner.address, "device": device, "state": "revoked"}

    def mask_capabilities(address: str, off: list[str], on: list[str], by: str) -> dict[str, Any]:
        found = parts.account(address)
        masked = (found.masked | {one.upper() for one in off}) - {one.upper() for one in on}
        unknown = sorted(masked - MASKABLE)
        if unknown:
            raise Refused(
                "unknown-capability",
                f"Không tắt được {', '.join(unknown)}.",
                f"{', '.join(unknown)} can't be masked.",
            )
        parts.database.write(lambda conn: set_masked(conn, parts.seal, found, frozenset(masked), by))
        parts.accounts.forget()
        return {"address": found.address, "masked": sorted(masked)}

    def limit_account(address: str, quota_bytes: int | None, by: str) -> dict[str, Any]:
        found = parts.account(address)
        parts.database.write(lambda conn: set_quota(conn, parts.seal, found, quota_bytes, by))
        return {"address": found.address, "quota_bytes": quota_bytes}

    def limit_agency(code: str, quota_bytes: int | None, by: str) -> dict[str, Any]:
        found = parts.agency(code)
        parts.database.write(lambda conn: set_quota(conn, parts.seal, found, quota_bytes, by))
        return {"code": found.code, "quota_bytes": quota_bytes}

    return {
        "agency.add": add_agency_act,
        "agency.elsewhere": elsewhere_act,
        "account.import": import_accounts,
        "account.lock": lock_account,
        "account.trace": trace_account,
        "device.add": add_device,
        "device.certify": certify_device,
        "device.revoke": revoke_device,
        "account.quota": limit_account,
        "account.capabilities": mask_capabilities,
        "agency.quota": limit_agency,
    }
