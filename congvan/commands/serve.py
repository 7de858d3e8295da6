# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan serve``: all roles in the foreground, or one of them."""

from __future__ import annotations

import argparse
from typing import Any

from congvan.installation import find_settings
from congvan.output import note
from congvan.roles import ROLES
from congvan.supervisor import Supervisor, run_role


def register(subparsers: Any) -> None:
    """Add the command."""
    command = subparsers.add_parser("serve", help="run the installation in the foreground")
    command.add_argument("--role", choices=ROLES, help="run only this process")
    command.set_defaults(run=serve)


def serve(args: argparse.Namespace) -> int:
    """Run until a signal comes."""
    settings = find_settings(args)
    if args.role:
        return run_role(settings, args.role)
    supervisor = Supervisor(settings)
    supervisor.start()
    note(f"congvan: {settings.installation.name}: https://{settings.listen.web}")
    try:
        supervisor.watch(lambda: None)
    finally:
        supervisor.stop()
    return 0
