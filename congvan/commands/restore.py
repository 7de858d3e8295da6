# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan restore SRC DIR --key PRIVATE``: an installation from a backup, then verified."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from config.settings_file import read
from congvan.backup.restoring import restore
from congvan.installation import Installation
from congvan.output import emit
from mailserver.store.verify import verify_data


def register(subparsers: Any) -> None:
    """Add the command."""
    command = subparsers.add_parser("restore", help="an installation from a backup, then verify-data")
    command.add_argument("source", help="folder of the generations")
    command.add_argument("dir", help="new or empty folder")
    command.add_argument("--key", required=True, metavar="PRIVATE", help="the private backup key")
    command.add_argument("--generation", default="", metavar="NAME", help="not the newest one")
    command.add_argument(
        "--database", default="", metavar="URL", help="an empty database; else SQLite in DIR"
    )
    command.add_argument(
        "--bucket", default="", metavar="FILE", help="settings whose [store] s3_… says where message bytes go"
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit 0 when the restored store is whole. Raises `Refused`; the same command then goes on."""
    done = restore(
        Path(args.source).absolute(),
        Path(args.dir).absolute(),
        Path(args.key),
        generation=args.generation,
        database_url=args.database,
        bucket=read(Path(args.bucket)) if args.bucket else None,
    )
    parts = Installation(done.settings)
    try:
        found = verify_data(parts.database, parts.segments, parts.seal)
    finally:
        parts.close()
    answer = {
        "generation": done.name,
        "config": str(done.settings.file),
        "rows": done.rows,
        "mailboxes": done.mailboxes,
        "messages": found.messages,
        "erased_again": done.erased,
        "ok": not found.count,
        "problems": [one.as_json() for one in found.problems],
    }
    text = (
        f"{done.name}: {found.mailboxes} hộp thư, {found.messages} thư · mailboxes, messages; "
        f"{done.erased} đã xóa lại · erased again; "
        f"{'nguyên vẹn · whole' if not found.count else f'{found.count} lỗi · problems'}\n"
        f"Hàng đợi đang giữ: xem `congvan queue list`, rồi `congvan queue retry` · the queue is held\n"
        f"congvan serve -c {done.settings.file}"
    )
    emit(args, answer, text)
    return 0 if not found.count else 1
