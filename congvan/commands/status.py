# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan status``: what runs, and how much waits."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from congvan.installation import find_settings, open_database, open_storage
from congvan.output import emit
from congvan.roles import processes
from congvan.roles.running import ready_file
from congvan.supervisor import running_pid
from mailserver.store import schema
from mailserver.store.compaction import usage
from policy.ledger.schema import entry, pending


def register(subparsers: Any) -> None:
    """Add the command."""
    command = subparsers.add_parser("status", help="what runs, and how much waits")
    command.add_argument("--dir", help="folder of a demo")
    command.set_defaults(run=status)


def status(args: argparse.Namespace) -> int:
    """Exit 0 when everything runs, 3 otherwise."""
    if args.dir and not args.config:
        args.config = str(Path(args.dir) / "province.toml")
    settings = find_settings(args)
    supervisor = running_pid(settings)
    roles = {role: _pid(ready_file(settings, role)) for role in processes(settings)}
    database, storage = open_database(settings), open_storage(settings)
    with database.reading() as conn:
        counted = {
            name: int(conn.execute(sa.select(sa.func.count()).select_from(table)).scalar() or 0)
            for name, table in (
                ("queue", schema.outbound),
                ("ledger_pending", pending),
                ("ledger_size", entry),
            )
        }
        stored = usage(conn, storage).values()
    database.close()
    storage.close()
    counted |= {
        "stored_bytes": sum(one.size for one in stored),
        "waste_bytes": sum(one.waste for one in stored),
        "to_move_bytes": sum(one.live for one in stored if one.foreign),
    }
    running = supervisor is not None and all(roles.values())
    answer = {"running": running, "supervisor": supervisor, "roles": roles, **counted}
    lines = [f"{'đang chạy · running' if running else 'không chạy đủ · not all running'}"]
    lines += [f"  {role:8} {pid or '-'}" for role, pid in roles.items()]
    lines += [f"  {name}: {value}" for name, value in counted.items()]
    emit(args, answer, "\n".join(lines))
    return 0 if running else 3


def _pid(path: Path) -> int | None:
    try:
        pid = int(path.read_text(encoding="ascii"))
        os.kill(pid, 0)
    except (OSError, ValueError):
        return None
    return pid
