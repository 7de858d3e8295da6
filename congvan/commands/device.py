# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan device add|list|revoke``: the mail programs of a person, each with a password of its own."""

from __future__ import annotations

import argparse
import getpass
from pathlib import Path
from typing import Any

from config.clock import iso_local
from config.refusal import Refused
from congvan.control import call
from congvan.installation import Installation, find_settings
from congvan.output import emit
from mailserver.accounts import devices


def register(subparsers: Any) -> None:
    """Add the command."""
    noun = subparsers.add_parser("device", help="a person's mail programs and their passwords")
    acts = noun.add_subparsers(metavar="ACT", required=True)
    adding = acts.add_parser("add", help="a new device; its password is shown once")
    adding.add_argument("address", help="address of its owner")
    adding.add_argument("--name", required=True, help="what the person calls it")
    adding.add_argument(
        "--certificate",
        metavar="FILE",
        help="PEM: it signs in with this certificate (SASL EXTERNAL) instead of a password",
    )
    adding.set_defaults(run=add)
    listing = acts.add_parser("list", help="the devices of an account")
    listing.add_argument("address", help="address of its owner")
    listing.set_defaults(run=show)
    revoking = acts.add_parser("revoke", help="take a device's password back")
    revoking.add_argument("address", help="address of its owner")
    revoking.add_argument("device", type=int, metavar="NUMBER", help="as `list` shows it")
    revoking.set_defaults(run=revoke)


def add(args: argparse.Namespace) -> int:
    """Make a device."""
    arguments = {"address": args.address, "label": args.name, "by": _by()}
    if args.certificate:
        arguments["certificate"] = _read(Path(args.certificate))
        answer = call(find_settings(args), "device.certify", arguments)
        emit(args, answer, f"{answer['device']}  {answer['label']}")
        return 0
    answer = call(find_settings(args), "device.add", arguments)
    emit(args, answer, f"{answer['device']}  {answer['label']}\n{answer['password']}")
    return 0


def show(args: argparse.Namespace) -> int:
    """List devices."""
    parts = Installation(find_settings(args))
    try:
        owner = parts.accounts.by_address(args.address)
        if owner is None:
            raise Refused(
                "no-such-account",
                f"Không có tài khoản {args.address}.",
                f"There is no account {args.address}.",
            )
        with parts.database.reading() as conn:
            found = devices.listed(conn, parts.seal, owner.ref)
    finally:
        parts.close()
    items = [
        {"device": one.number, "label": one.label, "created": iso_local(one.created_us)} for one in found
    ]
    emit(
        args,
        {"items": items},
        "\n".join(f"{one['device']:3}  {one['created']}  {one['label']}" for one in items),
    )
    return 0


def revoke(args: argparse.Namespace) -> int:
    """Take a device away."""
    arguments = {"address": args.address, "device": args.device, "by": _by()}
    answer = call(find_settings(args), "device.revoke", arguments)
    emit(args, answer, f"{answer['address']} {answer['device']}: {answer['state']}")
    return 0


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as problem:
        raise Refused(
            "certificate-unfit",
            f"Không đọc được chứng thư PEM {path}: {problem}",
            f"The PEM certificate {path} can't be read: {problem}",
        ) from problem


def _by() -> str:
    return f"operator {getpass.getuser()}"
