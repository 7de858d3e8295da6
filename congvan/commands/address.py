# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan address``: aliases, groups and lists by rule; who may write to them and in their name."""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, get_args

from config.refusal import Refused
from congvan.installation import Installation, find_settings
from congvan.output import emit
from mailserver.accounts import shared
from mailserver.accounts.model import ROLES, canonical
from mailserver.accounts.shared import Kind, Rule, SharedAddress, Writers


def register(subparsers: Any) -> None:
    """Add ``address list|show|add|remove``."""
    noun = subparsers.add_parser("address", help="aliases, groups, lists by rule")
    verbs = noun.add_subparsers(title="commands", metavar="COMMAND", required=True)
    verbs.add_parser("list", help="all shared addresses").set_defaults(run=run_list)
    show = verbs.add_parser("show", help="one, with the accounts it stands for now")
    show.add_argument("address", help="the shared address")
    show.set_defaults(run=run_show)
    add = verbs.add_parser("add", help="make one, or change it")
    add.add_argument("address", help="the shared address")
    add.add_argument(
        "--kind",
        choices=get_args(Kind),
        required=True,
        help="another name of one account, its members, or a list by rule",
    )
    add.add_argument("--name", default="", help="how people read it")
    add.add_argument("--member", action="append", default=[], metavar="ADDRESS", help="of an alias or group")
    add.add_argument("--agency", action="append", default=[], metavar="CODE", help="rule of a list")
    add.add_argument(
        "--level", action="append", default=[], type=int, help="rule of a list: level of the agency"
    )
    add.add_argument("--role", action="append", default=[], choices=ROLES, help="rule of a list")
    add.add_argument("--title", default="", help="rule of a list: the title contains this")
    add.add_argument("--writers", choices=get_args(Writers), default="inside", help="who may write to it")
    add.add_argument(
        "--writer", action="append", default=[], metavar="ADDRESS", help="may write to it in any case"
    )
    add.add_argument(
        "--send-as", action="append", default=[], metavar="ADDRESS", help="may write in its name"
    )
    add.set_defaults(run=run_add)
    remove = verbs.add_parser("remove", help="take one away")
    remove.add_argument("address", help="the shared address")
    remove.set_defaults(run=run_remove)


def run_list(args: argparse.Namespace) -> int:
    """``address list``."""

    def act(parts: Installation) -> int:
        found = parts.accounts.all_shared()
        lines = [f"{one.kind:6} {one.address:45} {one.writers:8} {one.name}" for one in found]
        emit(args, {"items": [asdict(one) for one in found]}, "\n".join(lines) or "–")
        return 0

    return _with(args, act)


def run_show(args: argparse.Namespace) -> int:
    """``address show``."""

    def act(parts: Installation) -> int:
        found = parts.accounts.shared(args.address)
        if found is None:
            raise _none(args.address)
        people = sorted(one.address for one in shared.members(parts.accounts, found))
        emit(
            args, {**asdict(found), "accounts": people}, "\n".join([f"{found.kind} {found.address}", *people])
        )
        return 0

    return _with(args, act)


def run_add(args: argparse.Namespace) -> int:
    """``address add``."""

    def act(parts: Installation) -> int:
        new = SharedAddress(
            canonical(args.address),
            args.name,
            args.kind,
            0,
            tuple(canonical(one) for one in args.member),
            Rule(tuple(args.agency), tuple(args.level), tuple(args.role), args.title),
            args.writers,
            tuple(canonical(one) for one in args.writer),
            tuple(canonical(one) for one in args.send_as),
        )
        parts.database.write(lambda conn: shared.put(conn, parts.seal, parts.accounts, new, _operator()))
        parts.accounts.forget()
        made = parts.accounts.shared(new.address)
        assert made is not None
        count = len(shared.members(parts.accounts, made))
        emit(
            args,
            {"address": made.address, "accounts": count},
            f"{made.address}: {count} tài khoản / accounts",
        )
        return 0

    return _with(args, act)


def run_remove(args: argparse.Namespace) -> int:
    """``address remove``."""

    def act(parts: Installation) -> int:
        if not parts.database.write(lambda conn: shared.remove(conn, parts.seal, args.address, _operator())):
            raise _none(args.address)
        emit(args, {"removed": args.address}, f"{args.address}: đã bỏ / removed")
        return 0

    return _with(args, act)


def _with(args: argparse.Namespace, act: Callable[[Installation], int]) -> int:
    parts = Installation(find_settings(args))
    try:
        return act(parts)
    finally:
        parts.close()


def _operator() -> str:
    return f"operator {getpass.getuser()}"


def _none(address: str) -> Refused:
    return Refused(
        "no-such-address",
        f"Không có địa chỉ dùng chung {address}. Xem `congvan address list`.",
        f"There is no shared address {address}. See `congvan address list`.",
    )
