# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan queue``: what waits to leave, and making it wait or go."""

from __future__ import annotations

import argparse

from config.clock import iso_local
from config.refusal import Refused
from congvan.installation import Installation, find_settings
from congvan.output import emit
from mailserver.store import outbound
from mailserver.store.outbound import Outbound

_MOST = 5000


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``queue list|retry|hold``."""
    noun = subparsers.add_parser("queue", help="outgoing mail: list, retry, hold")
    verbs = noun.add_subparsers(title="commands", metavar="COMMAND", required=True)
    listing = verbs.add_parser("list", help="what waits or is held, with the last answer")
    listing.set_defaults(run=run_list)
    retry = verbs.add_parser("retry", help="make a row (or all) due now, held ones too")
    retry.add_argument("agency", nargs="?", metavar="AGENCY", help="number or code, as `list` shows it")
    retry.add_argument("row", nargs="?", type=int, metavar="ROW")
    retry.add_argument("--all", action="store_true", help="all rows")
    retry.set_defaults(run=run_retry, refuse=retry.error)
    hold = verbs.add_parser("hold", help="keep a row until it is retried")
    hold.add_argument("agency", metavar="AGENCY", help="number or code, as `list` shows it")
    hold.add_argument("row", type=int, metavar="ROW")
    hold.set_defaults(run=run_hold)


def run_list(args: argparse.Namespace) -> int:
    """``queue list``."""
    parts = Installation(find_settings(args))
    try:
        with parts.database.reading() as conn:
            rows = outbound.listed(conn, parts.seal, _MOST)
        items = [_shown(parts, one) for one in rows]
    finally:
        parts.close()
    lines = [
        f"{one['agency']} {one['row']}  {one['state']:8} {one['attempts']:3}×  {one['sender'] or '<>'} → {one['recipient']}"
        f"\n      từ/since {one['created']}, lần tới/next {one['next']}\n      {one['answer']}".rstrip()
        for one in items
    ]
    emit(args, {"items": items}, "\n".join(lines) or "Hàng đợi trống. / The queue is empty.")
    return 0


def run_retry(args: argparse.Namespace) -> int:
    """``queue retry AGENCY ROW`` or ``--all``."""
    if args.all == (args.row is not None):
        args.refuse("give AGENCY ROW, or --all")
    parts = Installation(find_settings(args))
    try:
        agency = None if args.all else _agency(parts, args.agency)
        count = parts.database.write(lambda conn: outbound.retry(conn, agency, args.row))
        if not count and not args.all:
            raise _no_row(args)
        parts.wake.publish("queue")
    finally:
        parts.close()
    emit(args, {"retried": count}, f"Sẽ gửi lại ngay {count} dòng. / {count} rows are due now.")
    return 0


def run_hold(args: argparse.Namespace) -> int:
    """``queue hold AGENCY ROW``."""
    parts = Installation(find_settings(args))
    try:
        agency = _agency(parts, args.agency)
        if not parts.database.write(lambda conn: outbound.stop(conn, agency, args.row)):
            raise _no_row(args)
    finally:
        parts.close()
    emit(args, {"held": [agency, args.row]}, "Đã giữ lại. / Held.")
    return 0


def _agency(parts: Installation, given: str) -> int:
    if given.isascii() and given.isdigit():
        return int(given)
    found = parts.accounts.agency(given)
    if found is None:
        raise Refused("no-such-agency", f"Không có cơ quan {given}.", f"There is no agency {given}.")
    return found.number


def _no_row(args: argparse.Namespace) -> Refused:
    return Refused(
        "no-such-row",
        f"Hàng đợi không có dòng {args.agency} {args.row}. Xem `congvan queue list`.",
        f"The queue has no row {args.agency} {args.row}. See `congvan queue list`.",
    )


def _shown(parts: Installation, one: Outbound) -> dict[str, object]:
    home = parts.accounts.agency_number(one.agency)
    return {
        "agency": one.agency,
        "agency_code": home.code if home is not None else None,
        "row": one.row,
        "state": one.state,
        "sender": one.sender,
        "recipient": one.recipient,
        "attempts": one.attempts,
        "created": iso_local(one.created_us),
        "next": iso_local(one.next_us) if one.state == "waiting" else None,
        "answer": one.last_answer,
    }
