# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan agency list|show|add|elsewhere|quota|key|openpgp|pin``."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from config.refusal import Refused
from congvan import limits
from congvan.commands import agency_key, agency_openpgp, agency_pin
from congvan.control import call
from congvan.installation import find_settings, open_database, open_seal
from congvan.output import emit
from mailserver.accounts import Accounts, Agency


def register(subparsers: Any) -> None:
    """Add the command."""
    command = subparsers.add_parser("agency", help="agencies")
    acts = command.add_subparsers(metavar="ACT", required=True)
    acts.add_parser("list", help="all agencies").set_defaults(run=show_all)
    one = acts.add_parser("show", help="one agency with its accounts")
    one.add_argument("code", help="its public code")
    one.set_defaults(run=show)
    add = acts.add_parser("add", help="a new agency with its registry mailbox")
    add.add_argument("code", help="its public code, e.g. H12.05")
    add.add_argument("--name", required=True, help="its full name, as certificates write it")
    add.add_argument("--short", required=True, help="abbreviation in notations")
    add.add_argument("--domain", required=True, help="its mail domain")
    add.add_argument("--parent", default="", metavar="CODE", help="the agency above it")
    add.add_argument("--place", default="Cà Mau", help="place name in front of dates (default: %(default)s)")
    add.add_argument(
        "--elsewhere",
        action="store_true",
        help="another server has its mailboxes: none here, mail to it leaves by [queue] routes or MX"
        " (a domain that routes name is elsewhere anyway)",
    )
    add.set_defaults(run=add_agency)
    away = acts.add_parser("elsewhere", help="another server has an agency's mail from now on")
    away.add_argument("code", help="its public code")
    away.add_argument("--by", default="cli", metavar="ADDRESS", help="who does it, for the ledger")
    away.set_defaults(run=send_elsewhere)
    limit = acts.add_parser("quota", help="show or set how much mail all accounts of an agency may keep")
    limit.add_argument("code", help="its public code")
    limits.add_limit(limit)
    limit.set_defaults(run=quota)
    agency_key.register(acts)
    agency_openpgp.register(acts)
    agency_pin.register(acts)


def show_all(args: argparse.Namespace) -> int:
    """List agencies."""
    found = _accounts(args).agencies()
    lines = [f"{one.code:12} {one.short:10} {one.registry_address:40} {one.name}" for one in found]
    emit(args, {"items": [_told(one) for one in found]}, "\n".join(lines))
    return 0


def show(args: argparse.Namespace) -> int:
    """Show one agency. Raises `Refused` (``no-such-agency``)."""
    accounts = _accounts(args)
    found = accounts.agency(args.code)
    if found is None:
        raise Refused(
            "no-such-agency",
            f"Không có cơ quan mã {args.code}. Xem `congvan agency list`.",
            f"There is no agency with the code {args.code}. See `congvan agency list`.",
        )
    people = [
        {"address": one.address, "name": one.name, "title": one.title, "role": one.role, "state": one.state}
        for one in accounts.members(found.code)
    ]
    lines = [f"{found.code}  {found.name} ({found.short}), {found.domain}"]
    lines += [f"  {one['role']:15} {one['address']:45} {one['title']}" for one in people]
    emit(args, _told(found) | {"accounts": people}, "\n".join(lines))
    return 0


def add_agency(args: argparse.Namespace) -> int:
    """Add one through the running installation."""
    names = ("code", "name", "short", "domain", "parent", "place", "elsewhere")
    answer = call(find_settings(args), "agency.add", {name: getattr(args, name) for name in names})
    where = " (máy chủ khác / elsewhere)" if answer["elsewhere"] else ""
    emit(args, answer, f"{answer['code']}: {answer['registry']}{where}")
    return 0


def send_elsewhere(args: argparse.Namespace) -> int:
    """Say through the running installation that the mailboxes of an agency are on another server."""
    answer = call(find_settings(args), "agency.elsewhere", {"code": args.code, "by": args.by})
    emit(args, answer, f"{answer['code']}: {answer['registry']} (máy chủ khác / elsewhere)")
    return 0


def quota(args: argparse.Namespace) -> int:
    """Show use and limit, or set the limit. Raises `Refused` (``no-such-agency``)."""
    whose = {"code": args.code}
    return limits.show(
        args, "agency.quota", whose, lambda parts: parts.store.agency_quota(parts.agency(args.code).number)
    )


def _accounts(args: argparse.Namespace) -> Accounts:
    settings = find_settings(args)
    return Accounts(open_database(settings), open_seal(settings))


def _told(one: Agency) -> dict[str, Any]:
    told = asdict(one)
    del told["registry"], told["number"]
    return {key: value for key, value in told.items() if value is not None} | {
        "registry": one.registry_address
    }
