# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan dkim``: the keys that sign mail which leaves, and their DNS records."""

from __future__ import annotations

import argparse
from typing import Any

import sqlalchemy as sa

from config.clock import iso_local, now_us
from config.refusal import Refused
from congvan.installation import Installation, find_settings
from congvan.output import emit
from mailserver.senderauth import keys
from mailserver.senderauth.keys import KeyRow

_STRING = 255


def register(subparsers: Any) -> None:
    """Add ``dkim list|make|use|remove``."""
    noun = subparsers.add_parser("dkim", help="keys that sign leaving mail: list, make, use, remove")
    verbs = noun.add_subparsers(title="commands", metavar="COMMAND", required=True)
    verbs.add_parser("list", help="all keys, with what to do next").set_defaults(run=run_list)
    for name, what, run in (
        ("make", "a new pair (RSA and Ed25519); prints the DNS records to publish", run_make),
        ("use", "sign with the new pair from now on; the pair before is retired", run_use),
    ):
        verb = verbs.add_parser(name, help=what)
        verb.add_argument("domain", metavar="DOMAIN", help="the domain that signs")
        verb.set_defaults(run=run)
    gone = verbs.add_parser("remove", help="drop a key that does not sign")
    gone.add_argument("domain", metavar="DOMAIN", help="the domain that signs")
    gone.add_argument("selector", metavar="SELECTOR", help="which of its keys, as `dkim list` writes it")
    gone.set_defaults(run=run_remove)


def run_list(args: argparse.Namespace) -> int:
    """``dkim list``."""
    parts = Installation(find_settings(args))
    try:
        with parts.database.reading() as conn:
            found = keys.listed(conn)
    finally:
        parts.close()
    lines = [
        f"{one.state:8} {one.domain:32} {one.selector:14} {one.algorithm}  {_next(one)}" for one in found
    ]
    text = "\n".join(lines) or "Chưa có khóa; tạo bằng `congvan dkim make DOMAIN`. / No keys; make them."
    emit(args, {"items": [_told(one) for one in found]}, text)
    return 0


def run_make(args: argparse.Namespace) -> int:
    """``dkim make DOMAIN``."""
    domain = args.domain.lower().rstrip(".")
    parts = Installation(find_settings(args))
    try:
        here = [one.domain for one in parts.accounts.agencies() if not one.elsewhere]
        if not any(one == domain or one.endswith("." + domain) for one in here):
            raise Refused(
                "not-our-domain",
                f"Không có cơ quan nào dùng tên miền {domain}. Xem `congvan agency list`.",
                f"No agency here uses the domain {domain}. See `congvan agency list`.",
            )
        made = parts.database.write(lambda conn: keys.make(conn, parts.seal, domain, now_us()))
    finally:
        parts.close()
    lines = [
        f"Đưa các bản ghi này vào DNS, rồi chạy / Publish these records, then run: congvan dkim use {domain}",
        *(f"{one.name}. 3600 IN TXT {_zone_text(one.record)}" for one in made),
    ]
    emit(args, {"items": [_told(one) for one in made]}, "\n".join(lines))
    return 0


def run_use(args: argparse.Namespace) -> int:
    """``dkim use DOMAIN``."""
    return _change(args, lambda conn: keys.use(conn, args.domain.lower().rstrip("."), now_us()))


def run_remove(args: argparse.Namespace) -> int:
    """``dkim remove DOMAIN SELECTOR``."""
    return _change(args, lambda conn: [keys.remove(conn, args.domain.lower().rstrip("."), args.selector)])


def _change(args: argparse.Namespace, job: Any) -> int:
    parts = Installation(find_settings(args))
    try:

        def work(conn: sa.Connection) -> list[KeyRow]:
            found: list[KeyRow] = job(conn)
            return found

        rows = parts.database.write(work)
    finally:
        parts.close()
    lines = [f"{one.state:8} {one.selector:14} {one.algorithm}  {_next(one)}" for one in rows]
    emit(args, {"items": [_told(one) for one in rows]}, "\n".join(lines))
    return 0


def _next(one: KeyRow) -> str:
    if one.state == "new":
        return f"đưa vào DNS rồi / publish, then: congvan dkim use {one.domain}"
    if one.state == "active":
        return "đang ký / signs"
    day = f"{keys.removable_on(one):%Y-%m-%d}"
    return f"giữ bản ghi đến / keep the record until {day}, rồi / then: congvan dkim remove {one.domain} {one.selector}"


def _zone_text(record: str) -> str:
    return " ".join(f'"{record[at : at + _STRING]}"' for at in range(0, len(record), _STRING))


def _told(one: KeyRow) -> dict[str, object]:
    return {
        "domain": one.domain,
        "selector": one.selector,
        "algorithm": one.algorithm,
        "state": one.state,
        "created": iso_local(one.created_us),
        "name": one.name,
        "record": one.record,
    }
