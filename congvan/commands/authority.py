# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan authority list|renew``: the keys of the installation itself: issuing CA, time-stamps, ledger."""

from __future__ import annotations

import argparse
from typing import Any

from congvan.control import call
from congvan.installation import find_settings
from congvan.output import emit


def register(subparsers: Any) -> None:
    """Add the command."""
    command = subparsers.add_parser(
        "authority", help="keys of the installation itself: issuing authority, time-stamps, ledger"
    )
    acts = command.add_subparsers(metavar="ACT", required=True)
    acts.add_parser("list", help="their certificates with the days left").set_defaults(run=show)
    way = acts.add_parser(
        "renew", help="another key from now on; what the earlier one signed stays verifiable"
    )
    way.add_argument("which", choices=("issuing", "timestamps", "ledger"), help="whose key")
    way.add_argument("--by", default="cli", metavar="ADDRESS", help="who does it, for the ledger")
    way.set_defaults(run=renew)


def show(args: argparse.Namespace) -> int:
    """List certificates."""
    answer = call(find_settings(args), "authority.list", {})
    lines = [f"{one['use']:18} {one['days']:6} ngày · days  {one['name']}" for one in answer["items"]]
    emit(args, answer, "\n".join(lines))
    return 0


def renew(args: argparse.Namespace) -> int:
    """Have the signer make the new key."""
    answer = call(find_settings(args), "authority.renew", {"which": args.which, "by": args.by})
    emit(args, answer, f"{answer['renewed']}: {answer['name']}")
    return 0
