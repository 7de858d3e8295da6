# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan register``: show and export the registers of outgoing and incoming documents (DESIGN §5)."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from config.clock import today_local
from congvan.installation import Installation, find_settings
from congvan.output import emit
from exchange.exchange import Exchange
from exchange.registers.columns import columns_of
from exchange.registers.export import FORMATS, export, whole
from exchange.registers.rows import Row, listing
from exchange.registers.shown import items
from mailserver.accounts import Agency


def register(subparsers: Any) -> None:
    """Add the command."""
    command = subparsers.add_parser("register", help="the registers of outgoing and incoming documents")
    acts = command.add_subparsers(title="acts", metavar="ACT", required=True)
    for name, words, run in (
        ("show", "the rows of a register", show),
        ("export", "a register as a file on standard output", write),
    ):
        one = acts.add_parser(name, help=words)
        one.add_argument("--agency", metavar="CODE", required=True, help="whose register")
        one.add_argument(
            "--register", choices=("outgoing", "incoming"), required=True, help="which of its registers"
        )
        one.add_argument("--year", metavar="Y", type=int, default=None, help="this year when not given")
        one.add_argument(
            "--format", choices=FORMATS, default="json", help="form of the answer (default: %(default)s)"
        )
        one.set_defaults(run=run)


def show(args: argparse.Namespace) -> int:
    """Read from the database; a table for people, an object with ``--json``."""
    if args.format in ("csv", "xlsx") and not args.json:
        return write(args)
    _, rows, _ = _rows(args)
    columns = columns_of(args.register)
    text = [" | ".join([*(one.vi for one in columns), "Trạng thái"])]
    text += [" | ".join([*(row[one.key] for one in columns), row["state"]]) for row in rows]
    emit(args, {"items": rows}, "\n".join(text))
    return 0


def write(args: argparse.Namespace) -> int:
    """The file goes to standard output."""
    agency, rows, kept = _rows(args)
    year = _year(args)
    if args.format == "json" or args.json:
        args.json = True
        emit(args, whole(args.register, agency.name, year, rows), "")
        return 0
    sys.stdout.buffer.write(export(args.register, agency.name, year, kept, args.format))
    sys.stdout.buffer.flush()
    return 0


def _rows(args: argparse.Namespace) -> tuple[Agency, list[dict[str, Any]], list[Row]]:
    parts = Installation(find_settings(args))
    try:
        exchange: Exchange = parts.exchange
        agency, year = exchange.agency(args.agency), _year(args)
        with exchange.database.reading() as conn:
            kept = listing(conn, exchange.seal, agency.number, args.register, year)
        return agency, items(exchange, agency, args.register, year), kept
    finally:
        parts.close()


def _year(args: argparse.Namespace) -> int:
    return int(args.year) if args.year is not None else today_local().year
