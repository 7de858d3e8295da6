# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan stop``: ends the running installation."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from congvan.installation import find_settings
from congvan.output import emit
from congvan.supervisor import stop_running


def register(subparsers: Any) -> None:
    """Add the command."""
    command = subparsers.add_parser("stop", help="stop the running installation")
    command.add_argument("--dir", help="folder of a demo")
    command.set_defaults(run=stop)


def stop(args: argparse.Namespace) -> int:
    """Stop and wait."""
    if args.dir and not args.config:
        args.config = str(Path(args.dir) / "province.toml")
    stopped = stop_running(find_settings(args))
    emit(args, {"stopped": stopped}, "đã dừng · stopped" if stopped else "không chạy · not running")
    return 0
