# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan vault list|restore``: expunged mail that can still be had back."""

from __future__ import annotations

import argparse
import getpass
from typing import Any

from config.clock import now_us
from congvan.control import call
from congvan.installation import Installation, find_settings
from congvan.keeping import find_kept, told
from congvan.output import emit

_DAY_US = 86_400_000_000


def register(subparsers: Any) -> None:
    """Add the command."""
    command = subparsers.add_parser("vault", help="expunged mail that can still be restored")
    acts = command.add_subparsers(metavar="ACT", required=True)
    for name, run, text in (
        ("list", show, "what an account can have back"),
        ("restore", restore, "put it back where it was"),
    ):
        one = acts.add_parser(name, help=text)
        one.add_argument("--account", required=True, metavar="ADDRESS", help="whose mailbox")
        one.add_argument("--mailbox", metavar="NAME", help="only from this mailbox")
        one.add_argument("--days", type=int, default=36_500, help="only what was expunged so many days ago")
        one.set_defaults(run=run)
        if name == "restore":
            one.add_argument("--uid", type=int, action="append", help="only this message (may be repeated)")


def show(args: argparse.Namespace) -> int:
    """List the vault of one account."""
    parts = Installation(find_settings(args))
    try:
        items = told(parts, find_kept(parts, parts.account(args.account), _since(args), args.mailbox))
    finally:
        parts.close()
    emit(args, {"items": items}, _lines(items))
    return 0


def restore(args: argparse.Namespace) -> int:
    """Restore through the running installation. Raises `Refused` (``nothing-to-restore``)."""
    arguments = {
        "address": args.account,
        "since_us": _since(args),
        "mailbox": args.mailbox,
        "uids": args.uid,
        "by": f"operator {getpass.getuser()}",
    }
    answer = call(find_settings(args), "vault.restore", arguments)
    emit(args, answer, f"{len(answer['items'])} thư đã khôi phục · restored\n" + _lines(answer["items"]))
    return 0


def _since(args: argparse.Namespace) -> int:
    return max(0, now_us() - int(args.days) * _DAY_US)


def _lines(items: list[dict[str, Any]]) -> str:
    return "\n".join(f"{one['expunged']}  {one['mailbox']}/{one['uid']}  {one['subject']}" for one in items)
