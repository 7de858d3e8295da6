# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan account list|import|trace|lock|unlock|quota``."""

from __future__ import annotations

import argparse
import csv
import getpass
from dataclasses import asdict
from pathlib import Path
from typing import Any

from config.clock import iso_local
from config.refusal import Refused
from congvan import limits
from congvan.control import call
from congvan.installation import Installation, find_settings, open_database, open_seal
from congvan.output import emit
from mailserver.accounts import Accounts
from mailserver.accounts.model import ROLES
from mailserver.imap import trace as protocol_trace

_COLUMNS = ("address", "name", "title", "agency", "role", "password")
_MOST = 200_000
_SECONDS = 600.0


def register(subparsers: Any) -> None:
    """Add the command."""
    command = subparsers.add_parser("account", help="people's accounts")
    acts = command.add_subparsers(metavar="ACT", required=True)
    listing = acts.add_parser("list", help="all accounts, or those of one agency")
    listing.add_argument("--agency", metavar="CODE", help="only those of this agency")
    listing.set_defaults(run=show)
    importing = acts.add_parser("import", help=f"add accounts from a CSV file: {','.join(_COLUMNS)}")
    importing.add_argument("file", help="CSV with the columns address,name,title,agency,role,password")
    importing.set_defaults(run=import_file)
    tracing = acts.add_parser("trace", help="what a mail program and the server say to each other, masked")
    tracing.add_argument("address", help="address of the account")
    how = tracing.add_mutually_exclusive_group()
    how.add_argument("--minutes", type=int, default=30, help="switch it on for so long (default 30)")
    how.add_argument("--off", action="store_true", help="switch it off and forget what was traced")
    how.add_argument("--show", action="store_true", help="print what was traced")
    tracing.set_defaults(run=trace)
    for name, locked in (("lock", True), ("unlock", False)):
        one = acts.add_parser(name, help=f"{name} an account")
        one.add_argument("address", help="address of the account")
        one.set_defaults(run=lock, locked=locked)
    limit = acts.add_parser("quota", help="show or set how much mail an account may keep")
    limit.add_argument("address", help="address of the account")
    limits.add_limit(limit)
    limit.set_defaults(run=quota)
    mask = acts.add_parser(
        "capabilities", help="IMAP capabilities that mail programs of an account are not offered"
    )
    mask.add_argument("address", help="address of the account")
    mask.add_argument("--off", metavar="WORD", action="append", default=[], help="offer it no more")
    mask.add_argument("--on", metavar="WORD", action="append", default=[], help="offer it again")
    mask.set_defaults(run=capabilities)


def trace(args: argparse.Namespace) -> int:
    """Switch the protocol trace of an account on or off, or show it."""
    settings = find_settings(args)
    if not args.show:
        minutes = 0 if args.off else args.minutes
        by = f"operator {getpass.getuser()}"
        answer = call(settings, "account.trace", {"address": args.address, "minutes": minutes, "by": by})
        until = iso_local(answer["until"]) if answer["until"] else None
        emit(args, answer | {"until": until}, f"{answer['address']}: {until or 'tắt · off'}")
        return 0
    parts = Installation(settings)
    try:
        found = parts.account(args.address)
        with parts.database.reading() as conn:
            lines = protocol_trace.read(conn, parts.seal, found.ref)
    finally:
        parts.close()
    emit(args, {"items": lines}, "\n".join(lines))
    return 0


def show(args: argparse.Namespace) -> int:
    """List accounts."""
    settings = find_settings(args)
    database = open_database(settings)
    accounts = Accounts(database, open_seal(settings))
    found = [
        one
        for one in sorted(accounts.all(), key=lambda one: (one.agency_code, one.address))
        if args.agency is None or one.agency_code == args.agency
    ]
    database.close()
    items = [
        {
            **{key: value for key, value in asdict(one).items() if key not in ("ref", "agency_name")},
            "masked": sorted(one.masked),
        }
        for one in found
    ]
    lines = [
        f"{one.agency_code:12} {one.role:15} {one.address:45} {one.title} ({one.state})" for one in found
    ]
    emit(args, {"items": items}, "\n".join(lines))
    return 0


def import_file(args: argparse.Namespace) -> int:
    """Add accounts; exit 1 when some rows were refused (the others are there)."""
    rows = _rows(Path(args.file))
    answer = call(find_settings(args), "account.import", {"rows": rows}, seconds=_SECONDS)
    lines = [f"{len(answer['added'])} tài khoản mới · added"]
    lines += [f"  {one['address']}  {one['password']}" for one in answer["added"] if one["password"]]
    lines += [f"  {one['address']}: {one['vi']} / {one['en']}" for one in answer["problems"]]
    emit(args, answer, "\n".join(lines))
    return 1 if answer["problems"] else 0


def lock(args: argparse.Namespace) -> int:
    """Lock or open an account."""
    arguments = {"address": args.address, "locked": args.locked, "by": f"operator {getpass.getuser()}"}
    answer = call(find_settings(args), "account.lock", arguments)
    emit(args, answer, f"{answer['address']}: {answer['state']}")
    return 0


def quota(args: argparse.Namespace) -> int:
    """Show use and limit, or set the limit. Raises `Refused` (``no-such-account``)."""
    whose = {"address": args.address}
    return limits.show(
        args, "account.quota", whose, lambda parts: parts.store.quota(parts.account(args.address).ref)
    )


def capabilities(args: argparse.Namespace) -> int:
    """Mask capabilities, or offer them again; without options show what is masked."""
    arguments = {
        "address": args.address,
        "off": args.off,
        "on": args.on,
        "by": f"operator {getpass.getuser()}",
    }
    answer = call(find_settings(args), "account.capabilities", arguments)
    emit(
        args,
        answer,
        f"{answer['address']}: {' '.join(answer['masked']) or '(không tắt gì / nothing masked)'}",
    )
    return 0


def _rows(file: Path) -> list[dict[str, str]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            table = csv.DictReader(stream)
            if table.fieldnames is None or not set(_COLUMNS[:5]) <= set(table.fieldnames):
                raise _bad(file, 1, f"the first line must be {','.join(_COLUMNS)}")
            rows: list[dict[str, str]] = []
            for row in table:
                line = table.line_num
                if len(rows) >= _MOST:
                    raise _bad(file, line, f"more than {_MOST} rows")
                if None in row or any(row.get(name) is None for name in _COLUMNS[:5]):
                    raise _bad(file, line, "a row has another number of columns than the first line")
                if row["role"] not in ROLES:
                    raise _bad(file, line, f"unknown role “{row['role']}”; known: {', '.join(ROLES)}")
                rows.append({name: (row.get(name) or "").strip() for name in _COLUMNS})
            return rows
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise _bad(file, 0, str(problem)) from problem


def _bad(file: Path, line: int, what: str) -> Refused:
    return Refused("bad-file", f"{file}, dòng {line}: {what}", f"{file}, line {line}: {what}")
