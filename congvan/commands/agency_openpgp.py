# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan agency openpgp issue|export``: our own OpenPGP keys, for partners that have nothing else."""

from __future__ import annotations

import argparse
import getpass
from pathlib import Path
from typing import Any

from config.durable import write_durably
from congvan.control import call
from congvan.installation import find_settings
from congvan.output import emit


def register(acts: Any) -> None:
    """Add ``openpgp`` to the acts of ``agency``."""
    command = acts.add_parser("openpgp", help="OpenPGP key of an agency, for partners that have only OpenPGP")
    ways = command.add_subparsers(metavar="WAY", required=True)
    way = ways.add_parser("issue", help="make a key; the private half stays in the signer")
    way.add_argument("code", metavar="CODE", help="code of the agency")
    way.add_argument(
        "--renew", action="store_true", help="in place of the key there; old packets stay readable"
    )
    way.set_defaults(run=issue)
    way = ways.add_parser("export", help="the public key and its fingerprint, to hand to partners")
    way.add_argument("code", metavar="CODE", help="code of the agency")
    way.add_argument("--output", metavar="FILE", type=Path, help="write it here instead of to stdout")
    way.set_defaults(run=export)


def issue(args: argparse.Namespace) -> int:
    """Make a key. Raises `Refused` (``key-exists``)."""
    told = {"agency": args.code, "renew": args.renew, "by": f"operator {getpass.getuser()}"}
    answer = call(find_settings(args), "openpgp.issue", told)
    emit(args, answer, f"{answer['agency']}: {answer['fingerprint']}\n{answer['armour']}")
    return 0


def export(args: argparse.Namespace) -> int:
    """Print or write the public key. Raises `Refused` (``no-openpgp-key``)."""
    answer = call(find_settings(args), "openpgp.export", {"agency": args.code})
    shown = f"{answer['agency']}: {answer['fingerprint']}"
    if args.output is not None:
        write_durably(args.output, answer["armour"].encode())
        answer["file"] = str(args.output)
    else:
        shown += f"\n{answer['armour']}"
    emit(args, answer, shown)
    return 0
