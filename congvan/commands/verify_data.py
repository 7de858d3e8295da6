# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan verify-data``: proves that every blob opens and every counter, UID and log entry agrees."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from congvan.installation import Installation, find_settings
from congvan.output import emit
from mailserver.store.verify import verify_data


def register(subparsers: Any) -> None:
    """Add the command."""
    command = subparsers.add_parser("verify-data", help="check every stored message, counter and log entry")
    command.set_defaults(run=verify)


def verify(args: argparse.Namespace) -> int:
    """Exit 0 when nothing is wrong."""
    parts = Installation(find_settings(args))
    try:
        found = verify_data(parts.database, parts.segments, parts.seal)
    finally:
        parts.close()
    answer = {
        "ok": not found.problems,
        "mailboxes": found.mailboxes,
        "messages": found.messages,
        "blobs": found.blobs,
        "problems": [asdict(one) for one in found.problems],
    }
    lines = [
        f"{found.mailboxes} hộp thư, {found.messages} thư, {found.blobs} bản lưu · mailboxes, messages, blobs"
    ]
    lines += [f"  {one.kind}: {one.place}: {one.detail}" for one in found.problems]
    lines.append("nguyên vẹn · whole" if not found.problems else f"{len(found.problems)} lỗi · problems")
    emit(args, answer, "\n".join(lines))
    return 0 if not found.problems else 1
