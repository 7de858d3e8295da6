# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan verify-data [--repair]``: proves that every blob opens and every counter, UID and log entry agrees."""

from __future__ import annotations

import argparse
from typing import Any

from congvan.installation import Installation, find_settings
from congvan.output import emit
from mailserver.search.indexer import clear
from mailserver.search.verify import verify_search
from mailserver.store.verify import verify_data


def register(subparsers: Any) -> None:
    """Add the command."""
    command = subparsers.add_parser("verify-data", help="check every stored message, counter and log entry")
    command.add_argument(
        "--repair", action="store_true", help="also set right what can be derived: counters, references, log"
    )
    command.set_defaults(run=verify)


def verify(args: argparse.Namespace) -> int:
    """Exit 0 when nothing is wrong (any more)."""
    parts = Installation(find_settings(args))
    try:
        found = verify_data(parts.database, parts.segments, parts.seal, repair=args.repair)
        searched = verify_search(parts.store)
        if searched and args.repair:
            parts.database.write(clear)  # the worker builds it anew; searches read meanwhile
        else:
            for one in searched:
                found.add(one.kind, one.place, one.detail)
    finally:
        parts.close()
    answer = {
        "ok": not found.count,
        "mailboxes": found.mailboxes,
        "messages": found.messages,
        "blobs": found.blobs,
        "vaulted": found.vaulted,
        "waste": found.waste,
        "problems": [one.as_json() for one in found.problems],
        "count": found.count,
        "repaired": [one.as_json() for one in found.repaired],
    }
    lines = [
        f"{found.mailboxes} hộp thư, {found.messages} thư, {found.blobs} bản lưu · mailboxes, messages, blobs",
        f"{found.vaulted} thư còn khôi phục được · restorable; {found.waste / 1048576:.1f} MB thừa · waste",
    ]
    lines += [f"  {one.kind}: {one.place}: {one.detail}" for one in found.problems]
    lines += [f"  đã sửa · repaired: {one.kind}: {one.place}: {one.detail}" for one in found.repaired]
    lines.append("nguyên vẹn · whole" if not found.count else f"{found.count} lỗi · problems")
    emit(args, answer, "\n".join(lines))
    return 0 if not found.count else 1
