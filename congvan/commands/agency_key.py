# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan agency key …``: keys of agencies and people, passkeys, recovery."""

from __future__ import annotations

import argparse
from getpass import getpass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from config.durable import write_durably
from config.refusal import Refused
from congvan.control import call
from congvan.installation import find_settings
from congvan.output import emit
from exchange.signing.recovery import MAX_FILE, share_of

_MODES = ("passkey", "token", "file")
_PICTURE = 2 * 1024 * 1024


def register(acts: Any) -> None:
    """Add ``key`` to the acts of ``agency``."""
    command = acts.add_parser("key", help="keys and passkeys of agencies and people")
    ways = command.add_subparsers(metavar="WAY", required=True)
    ways.add_parser("list", help="all keys with approval mode and days left").set_defaults(run=show)
    for name, words in (
        ("issue", "a first key and certificate"),
        ("renew", "a new key in place of one that ends; old letters stay readable"),
        ("compromised", "revoke, make a new key, void what hung on the old one"),
    ):
        way = ways.add_parser(name, help=words)
        _whose(way)
        way.add_argument("--approval", choices=_MODES, default="", help="default: as before, else passkey")
        way.add_argument("--which", choices=("sign", "decrypt", "both"), default="both", help="of an agency")
        way.add_argument("--by", default="cli", metavar="ADDRESS", help="who decided")
        way.add_argument(
            "--token", default="", metavar="LABEL", help="of the person's own token (mode token)"
        )
        way.add_argument("--pin-file", type=Path, metavar="FILE", help="its PIN; asked for when not given")
        way.set_defaults(run=change, way=name)
    invite = ways.add_parser("invite", help="a code with which a person enrols a passkey for signing")
    lost = ways.add_parser("lost", help="a person's passkeys approve nothing any more")
    for way, run in ((invite, "key.invite"), (lost, "key.lost")):
        way.add_argument("person", metavar="ADDRESS", help="address of the person")
        way.add_argument("--by", default="cli", metavar="ADDRESS", help="who does it, for the ledger")
        way.set_defaults(run=of_person, act=run)
    away = ways.add_parser("put-by", help="a recovery file that m of n officers open together")
    away.add_argument("--agency", required=True, metavar="CODE", help="whose keys are put by")
    away.add_argument(
        "--officer",
        action="append",
        required=True,
        metavar="NAME=PUBLIC.pem",
        help="an officer and the public key their share is encrypted to; once for each",
    )
    away.add_argument(
        "--threshold", type=int, required=True, metavar="M", help="how many officers must come together"
    )
    away.add_argument(
        "--output", type=Path, required=True, metavar="FILE", help="where the recovery file is written"
    )
    away.add_argument("--by", default="cli", metavar="ADDRESS", help="who does it, for the ledger")
    away.set_defaults(run=put_by)
    share = ways.add_parser("share", help="an officer's share of a recovery file (no server needed)")
    share.add_argument("file", type=Path, help="the recovery file")
    share.add_argument("--key", type=Path, required=True, metavar="OFFICER.pem", help="private key, P-256")
    share.set_defaults(run=own_share)
    back = ways.add_parser("recover", help="take an agency's decryption keys back from enough shares")
    back.add_argument("file", type=Path, help="the recovery file")
    back.add_argument(
        "--share",
        action="append",
        required=True,
        metavar="SHARE",
        help="a share that an officer opened; once for each",
    )
    back.add_argument("--by", default="cli", metavar="ADDRESS", help="who does it, for the ledger")
    back.set_defaults(run=recover)
    look = ways.add_parser("picture", help="the picture of a seal (red) or a hand signature (blue), PNG")
    look.add_argument("file", type=Path, help="PNG with a transparent ground")
    _whose(look)
    look.add_argument("--diameter", type=float, default=36.0, metavar="MM", help="of the real seal")
    look.set_defaults(run=picture)


def show(args: argparse.Namespace) -> int:
    """List keys."""
    answer = call(find_settings(args), "key.list", {})
    lines = [f"{one['name']:60} {one['approval']:8} {_days(one['days'])}" for one in answer["items"]]
    emit(args, answer, "\n".join(lines))
    return 0


def change(args: argparse.Namespace) -> int:
    """Issue, renew, or end a key that was compromised."""
    told = {"agency": args.agency, "person": args.person, "approval": args.approval, "by": args.by}
    if args.token:
        told |= {"token": args.token, "pin": _pin(args.pin_file)}
    if args.way == "compromised":
        answer = call(find_settings(args), "key.compromised", told | {"which": args.which})
    else:
        renew = args.which if args.way == "renew" else ""
        answer = call(find_settings(args), "key.issue", told | {"renew": renew})
    emit(args, answer, " ".join(f"{name}: {value}" for name, value in answer.items()))
    return 0


def of_person(args: argparse.Namespace) -> int:
    """Invite a person's passkey, or end all of them."""
    answer = call(find_settings(args), args.act, {"person": args.person, "by": args.by})
    emit(args, answer, " ".join(f"{name}: {value}" for name, value in answer.items()))
    return 0


def put_by(args: argparse.Namespace) -> int:
    """Write a recovery file."""
    officers = []
    for one in args.officer:
        name, _, path = one.partition("=")
        officers.append({"name": name, "key": _read(Path(path), 64 * 1024)})
    told = {"agency": args.agency, "officers": officers, "threshold": args.threshold, "by": args.by}
    answer = call(find_settings(args), "key.put-by", told)
    write_durably(args.output, answer.pop("file"), mode=0o600)
    emit(args, answer | {"file": str(args.output)}, str(args.output))
    return 0


def own_share(args: argparse.Namespace) -> int:
    """Print an officer's share; the officer hands it over in person."""
    try:
        key = serialization.load_pem_private_key(_read(args.key, 64 * 1024), None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Refused(
            "bad-officer-key",
            "Khóa của cán bộ phải là khóa riêng P-256, PEM, không mật khẩu.",
            "The officer's key must be a P-256 private key in PEM, without a password.",
        )
    share = share_of(_read(args.file, MAX_FILE), key).as_text()
    emit(args, {"share": share}, share)
    return 0


def recover(args: argparse.Namespace) -> int:
    """Give the shares to the signer."""
    told = {"file": _read(args.file, MAX_FILE), "shares": args.share, "by": args.by}
    answer = call(find_settings(args), "key.recover", told)
    emit(args, answer, "\n".join(answer["restored"]))
    return 0


def picture(args: argparse.Namespace) -> int:
    """Install a picture."""
    told = {
        "agency": args.agency,
        "person": args.person,
        "data": _read(args.file, _PICTURE),
        "millimetres": args.diameter,
    }
    answer = call(find_settings(args), "key.picture", told)
    emit(args, answer, "ok")
    return 0


def _pin(file: Path | None) -> str:
    return _read(file, 64).decode().strip() if file is not None else getpass("PIN: ")


def _whose(way: Any) -> None:
    whose = way.add_mutually_exclusive_group(required=True)
    whose.add_argument("--agency", default="", metavar="CODE", help="of this agency")
    whose.add_argument("--person", default="", metavar="ADDRESS", help="of this person")


def _days(days: int | None) -> str:
    return "" if days is None else f"{days} ngày · days"


def _read(path: Path, longest: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(longest + 1)
    except OSError as problem:
        reason = problem.strerror or "?"
        raise Refused(
            "file-unreadable", f"{path}: không mở được ({reason}).", f"{path}: can't be opened ({reason})."
        ) from None
