# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan import imap|mbox|maildir``: old mail into the mailboxes of an account, with a checking report."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from config.refusal import Refused
from congvan.installation import Installation, find_settings
from congvan.output import emit, note
from mailserver.accounts import Account
from mailserver.importing.copying import bring_in
from mailserver.importing.imap import ImapSource, Place
from mailserver.importing.maildir import MaildirSource
from mailserver.importing.mbox import MboxSource
from mailserver.importing.report import FolderReport, Report
from mailserver.importing.source import Source


def register(subparsers: Any) -> None:
    """Add ``import imap|mbox|maildir``."""
    noun = subparsers.add_parser("import", help="old mail from an IMAP server, an mbox file or a Maildir")
    kinds = noun.add_subparsers(title="from", metavar="KIND", required=True)
    imap = kinds.add_parser("imap", help="an account on another server; its password on standard input")
    imap.add_argument("place", metavar="imaps://USER@HOST[:PORT][/FOLDER]", help="the old mailbox")
    imap.add_argument("--ca", metavar="PEM", help="certificate authority of the old server")
    imap.add_argument("--plaintext", action="store_true", help="allow imap:// without TLS")
    mbox = kinds.add_parser("mbox", help="an mbox file")
    mbox.add_argument("place", metavar="FILE", help="the mbox file")
    mbox.add_argument("--folder", default="", help="folder here (default: the name of the file)")
    maildir = kinds.add_parser("maildir", help="a Maildir with its subfolders")
    maildir.add_argument("place", metavar="FOLDER", help="the Maildir")
    for kind, parser in (("imap", imap), ("mbox", mbox), ("maildir", maildir)):
        parser.add_argument("--to", metavar="ADDRESS", help="account here")
        parser.add_argument("--agency", metavar="CODE", help="without --to: the agency's registry mailbox")
        parser.set_defaults(run=run, kind=kind, refuse=parser.error)


def run(args: argparse.Namespace) -> int:
    """Copy; exit 0 when every message of the source is here, 1 when some were refused."""
    if not args.to and not args.agency:
        args.refuse("give --to ADDRESS or --agency CODE")
    parts = Installation(find_settings(args))
    try:
        report = asyncio.run(_copy(parts, args))
    finally:
        parts.close()
    emit(args, _told(report), "\n".join(_lines(report)))
    return 0 if report.whole else 1


async def _copy(parts: Installation, args: argparse.Namespace) -> Report:
    to = _account(parts, args)
    async with AsyncExitStack() as opened:
        source: Source
        if args.kind == "imap":
            place = Place.parse(args.place, plaintext=args.plaintext)
            source = await opened.enter_async_context(ImapSource(place, _password(place), args.ca))
        elif args.kind == "mbox":
            source = MboxSource(Path(args.place), args.folder)
        else:
            source = MaildirSource(Path(args.place))
        by = f"operator {getpass.getuser()}"
        return await bring_in(source, to, parts.store, by=by, progress=_progress)


def _account(parts: Installation, args: argparse.Namespace) -> Account:
    found = parts.accounts.by_address(args.to) if args.to else None
    if not args.to:
        home = parts.accounts.agency(args.agency)
        found = parts.accounts.by_ref(home.registry) if home is not None else None
    if found is None or (args.agency and args.to and found.agency_code != args.agency):
        wanted = args.to or args.agency
        raise Refused(
            "no-such-account",
            f"Không có tài khoản {wanted}. Xem `congvan account list`.",
            f"There is no account {wanted}. See `congvan account list`.",
        )
    return found


def _password(place: Place) -> str:
    if sys.stdin.isatty():
        return getpass.getpass(f"{place.user}@{place.host}: ")
    return sys.stdin.readline().rstrip("\r\n")


def _progress(one: FolderReport) -> None:
    done = one.copied + one.present + one.refused
    note(f"  {one.name}: {done}/{one.source}")


def _told(report: Report) -> dict[str, Any]:
    return {
        "ok": report.whole,
        "copied": report.copied_now,
        "seconds": round(report.seconds, 1),
        "per_second": round(report.copied_now / report.seconds, 1) if report.seconds else 0.0,
        "folders": [
            {
                "name": one.name,
                "target": one.target,
                "source": one.source,
                "copied": one.copied,
                "present": one.present,
                "refused": one.refused,
                "bytes": one.bytes_now,
                "ok": one.whole,
                "problems": [{"uid": uid, "reason": why} for uid, why in one.problems],
            }
            for one in report.folders
        ],
    }


def _lines(report: Report) -> list[str]:
    lines = [f"{'thư mục · folder':32} {'nguồn':>8} {'đã chép':>8} {'có sẵn':>8} {'từ chối':>8}"]
    for one in report.folders:
        mark = "ok" if one.whole else "THIẾU · MISSING"
        lines.append(f"{one.target:32} {one.source:8} {one.copied:8} {one.present:8} {one.refused:8}  {mark}")
        lines += [f"    {uid}: {why}" for uid, why in one.problems]
    lines.append(f"{report.copied_now} thư mới trong {report.seconds:.1f} s · new messages")
    return lines
