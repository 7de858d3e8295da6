# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan queue``: what waits to leave, and making it wait or go."""

from __future__ import annotations

import argparse
import getpass

import sqlalchemy as sa

from config.clock import iso_local
from config.refusal import Refused
from congvan.installation import Installation, find_settings
from congvan.output import emit
from mailserver.store import outbound, submissions
from mailserver.store.outbound import Outbound
from policy.ledger.entries import record

_MOST = 5000
_ACTS = (
    ("hold", outbound.stop, "keep a row until it is released"),
    ("release", outbound.release, "let a held row go"),
    ("expire", outbound.expire, "give a row up: its sender is told, then it goes"),
)


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``queue list|show|hold|release|retry|expire``."""
    noun = subparsers.add_parser("queue", help="outgoing mail: what waits, making it wait or go or come back")
    verbs = noun.add_subparsers(title="commands", metavar="COMMAND", required=True)
    listing = verbs.add_parser("list", help="what waits or is held, with the last answer")
    listing.set_defaults(run=run_list)
    retry = verbs.add_parser("retry", help="make a row (or all) due now, held ones too")
    retry.add_argument("agency", nargs="?", metavar="AGENCY", help="number or code, as `list` shows it")
    retry.add_argument("row", nargs="?", type=int, metavar="ROW", help="its number there")
    retry.add_argument("--all", action="store_true", help="all rows")
    retry.set_defaults(run=run_retry, refuse=retry.error)
    for name, act, words in _ACTS:
        one = verbs.add_parser(name, help=words)
        one.add_argument("agency", metavar="AGENCY", help="number or code, as `list` shows it")
        one.add_argument("row", type=int, metavar="ROW", help="its number there")
        one.set_defaults(run=run_act, act=act, verb=name)
    show = verbs.add_parser("show", help="one row: envelope, DSN parameters, size, all that was answered")
    show.add_argument("agency", metavar="AGENCY", help="number or code, as `list` shows it")
    show.add_argument("row", type=int, metavar="ROW", help="its number there")
    show.set_defaults(run=run_show)


def run_list(args: argparse.Namespace) -> int:
    """``queue list``."""
    parts = Installation(find_settings(args))
    try:
        with parts.database.reading() as conn:
            rows = outbound.listed(conn, parts.seal, _MOST)
            scheduled = submissions.count(conn)
        items = [_shown(parts, one) for one in rows]
    finally:
        parts.close()
    lines = [
        f"{one['agency']} {one['row']}  {one['state']:8} {one['attempts']:3}×  {one['sender'] or '<>'} → {one['recipient']}"
        f"\n      từ/since {one['created']}, lần tới/next {one['next']}\n      {one['answer']}".rstrip()
        for one in items
    ]
    emit(
        args,
        {"items": items, "scheduled": scheduled},
        "\n".join(lines) or "Hàng đợi trống. / The queue is empty.",
    )
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


def run_act(args: argparse.Namespace) -> int:
    """``queue hold|release|expire AGENCY ROW``; each is a ledger entry."""
    parts = Installation(find_settings(args))
    try:
        agency = _agency(parts, args.agency)

        def job(conn: sa.Connection) -> int:
            done: int = args.act(conn, agency, args.row)
            if done:
                by = f"operator {getpass.getuser()}"
                record(conn, parts.seal, f"queue.{args.verb}", f"{agency}.{args.row}", {"by": by})
            return done

        if not parts.database.write(job):
            raise _no_row(args)
        parts.wake.publish("queue")
    finally:
        parts.close()
    emit(args, {args.verb: [agency, args.row]}, f"{args.verb}: {agency} {args.row}")
    return 0


def run_show(args: argparse.Namespace) -> int:
    """``queue show AGENCY ROW``; never what is written in the message."""
    parts = Installation(find_settings(args))
    try:
        agency = _agency(parts, args.agency)
        with parts.database.reading() as conn:
            found = outbound.one_row(conn, parts.seal, agency, args.row)
        if found is None:
            raise _no_row(args)
        told = _shown(parts, found) | {
            "notify": found.notify,
            "ret": found.ret,
            "envelope_id": found.envelope_id,
            "original_recipient": found.original_recipient,
            "redirected_by": found.redirected_by,
            "size": len(parts.store.content(found.blob)),
        }
    finally:
        parts.close()
    emit(args, told, "\n".join(f"{name}: {value}" for name, value in told.items() if value not in ("", None)))
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
