# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan delegation``: who reads somebody's mail until when, who may send as or on behalf of whom."""

from __future__ import annotations

import argparse
import getpass
from datetime import date, datetime, time, timedelta
from typing import Any

from config.clock import VIETNAM, from_datetime, iso_local, now_us
from config.refusal import Refused
from congvan.installation import Installation, find_settings
from congvan.output import emit
from mailserver.accounts import delegations


def register(subparsers: Any) -> None:
    """Add ``delegation list|add|remove``."""
    noun = subparsers.add_parser("delegation", help="deputies: who reads or sends for whom, until when")
    verbs = noun.add_subparsers(title="commands", metavar="COMMAND", required=True)
    verbs.add_parser("list", help="all of them").set_defaults(run=run_list)
    add = verbs.add_parser("add", help="let somebody act for an account")
    add.add_argument("owner", metavar="OWNER", help="whose mailbox")
    add.add_argument("deputy", metavar="DEPUTY", help="who acts")
    add.add_argument("--reads", action="store_true", help="may open the mailbox (needs --until)")
    add.add_argument("--sends", choices=("as", "behalf"), default="", help="may send from the address")
    add.add_argument(
        "--from", dest="first", type=date.fromisoformat, metavar="DATE", help="first day, default today"
    )
    add.add_argument("--until", type=date.fromisoformat, metavar="DATE", help="last day")
    add.set_defaults(run=run_add)
    remove = verbs.add_parser("remove", help="take one back")
    remove.add_argument("owner", metavar="OWNER", help="address of whose mail it is")
    remove.add_argument("number", type=int, metavar="NUMBER", help="as `list` shows it")
    remove.set_defaults(run=run_remove)


def run_list(args: argparse.Namespace) -> int:
    """``delegation list``."""
    parts = Installation(find_settings(args))
    try:
        items = []
        for one in parts.accounts.delegations():
            owner, deputy = parts.accounts.by_ref(one.owner), parts.accounts.by_ref(one.deputy)
            items.append(
                {
                    "owner": owner.address if owner is not None else None,
                    "number": one.number,
                    "deputy": deputy.address if deputy is not None else None,
                    "reads": one.reads,
                    "sends": one.sends,
                    "from": iso_local(one.from_us),
                    "until": iso_local(one.until_us) if one.until_us is not None else None,
                    "holds": one.holds(now_us()),
                }
            )
    finally:
        parts.close()
    lines = [
        f"{one['owner']} {one['number']} → {one['deputy']} {'reads ' if one['reads'] else ''}{one['sends']} "
        f"{one['from']} – {one['until'] or ''}"
        for one in items
    ]
    emit(args, {"items": items}, "\n".join(lines) or "–")
    return 0


def run_add(args: argparse.Namespace) -> int:
    """``delegation add``."""
    parts = Installation(find_settings(args))
    try:
        owner, deputy = parts.account(args.owner), parts.account(args.deputy)
        first = from_datetime(datetime.combine(args.first, time(), VIETNAM)) if args.first else now_us()
        last = args.until + timedelta(days=1) if args.until else None
        until = from_datetime(datetime.combine(last, time(), VIETNAM)) if last else None
        number = parts.database.write(
            lambda conn: delegations.add(
                conn,
                parts.seal,
                owner,
                deputy,
                f"operator {getpass.getuser()}",
                reads=args.reads,
                sends=args.sends,
                from_us=first,
                until_us=until,
            )
        )
    finally:
        parts.close()
    emit(args, {"owner": owner.address, "number": number}, f"{owner.address} → {deputy.address}: {number}")
    return 0


def run_remove(args: argparse.Namespace) -> int:
    """``delegation remove``."""
    parts = Installation(find_settings(args))
    try:
        owner = parts.account(args.owner)
        by = f"operator {getpass.getuser()}"
        gone = parts.database.write(lambda conn: delegations.remove(conn, parts.seal, owner, args.number, by))
        if not gone:
            raise Refused("no-such-delegation", "Không có ủy quyền này.", "There is no such delegation.")
    finally:
        parts.close()
    emit(args, {"removed": args.number}, "Đã bỏ. / Removed.")
    return 0
