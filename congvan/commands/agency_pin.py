# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan agency pin list|add|remove``: which certificates or OpenPGP key an agency elsewhere seals with."""

from __future__ import annotations

import argparse
import getpass
from pathlib import Path
from typing import Any

from config.refusal import Refused
from congvan.control import call
from congvan.installation import find_settings
from congvan.output import emit

_LARGEST = 1_000_000


def register(acts: Any) -> None:
    """Add ``pin`` to the acts of ``agency``."""
    command = acts.add_parser("pin", help="certificates that an agency elsewhere may seal with")
    ways = command.add_subparsers(metavar="WAY", required=True)
    ways.add_parser("list", help="all pins").set_defaults(run=show)
    way = ways.add_parser("add", help="pin the certificates in a file; --from announces a roll-over")
    way.add_argument("code", metavar="CODE", help="code of the agency elsewhere")
    way.add_argument(
        "file",
        metavar="FILE",
        type=Path,
        help="PEM or DER, or OpenPGP armour, compared with the agency by another way",
    )
    way.add_argument(
        "--fingerprint", metavar="HEX", default="", help="of the OpenPGP key, as the agency told it"
    )
    way.add_argument("--from", dest="since", metavar="TIME", default="", help="ISO 8601; default: at once")
    way.add_argument(
        "--until", metavar="TIME", default="", help="until when it counts (default: until it is removed)"
    )
    way.set_defaults(run=add)
    way = ways.add_parser("remove", help="take a pin away")
    way.add_argument("code", metavar="CODE", help="code of the agency elsewhere")
    way.add_argument("sha256", metavar="SHA256", help="at least 8 digits of it, as listed")
    way.set_defaults(run=remove)


def show(args: argparse.Namespace) -> int:
    """List pins."""
    answer = call(find_settings(args), "pin.list", {})
    emit(args, answer, "\n".join(_line(one) for one in answer["items"]))
    return 0


def add(args: argparse.Namespace) -> int:
    """Pin what a file holds. Raises `Refused`."""
    try:
        with args.file.open("rb") as file:
            data = file.read(_LARGEST)
    except OSError as problem:
        reason = problem.strerror or "?"
        raise Refused(
            "file-unreadable",
            f"{args.file}: không mở được ({reason}).",
            f"{args.file}: can't be opened ({reason}).",
        ) from None
    told = {"agency": args.code, "data": data, "since": args.since, "until": args.until, "by": _who()}
    answer = call(find_settings(args), "pin.add", told | {"fingerprint": args.fingerprint})
    lines = [_line(one) for one in answer["items"]]
    if answer["encryption"] and not any(one["kind"] == "openpgp" for one in answer["items"]):
        lines.append(f"{args.code}: chứng thư mã hóa đã nhận · encryption certificate taken")
    emit(args, answer, "\n".join(lines))
    return 0


def remove(args: argparse.Namespace) -> int:
    """Take pins away. Raises `Refused` (``no-such-pin``)."""
    told = {"agency": args.code, "sha256": args.sha256, "by": _who()}
    answer = call(find_settings(args), "pin.remove", told)
    emit(args, answer, f"{answer['code']}: -{answer['removed']}")
    return 0


def _line(one: dict[str, Any]) -> str:
    state = "đang dùng · holds" if one["holds"] else "chưa hoặc hết hạn · not now"
    return f"{one['code']:12} {one['kind']:11} {one['sha256']} {one['from'] or '–'} {one['until'] or '–'} {state}"


def _who() -> str:
    return f"operator {getpass.getuser()}"
