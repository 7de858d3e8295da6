# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan audit``: verify the published ledger, prove entries, export what verifying needs, count what happened."""

from __future__ import annotations

import argparse
import base64
import json
import shutil
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from config.clock import VIETNAM, from_datetime, iso_local
from config.refusal import Refused
from congvan.installation import Installation, find_settings
from congvan.output import emit
from policy.ledger import schema
from policy.ledger.checkpoint import MAX_TEXT, Key
from policy.ledger.entries import Listed, disclose, of_subject
from policy.ledger.integrate import prove
from policy.ledger.store import newest_checkpoint
from policy.ledger.verify import verify


def register(subparsers: Any) -> None:
    """Add the commands."""
    commands = subparsers.add_parser(
        "audit", help="the ledger: verify, prove, export, report"
    ).add_subparsers(metavar="ACT", required=True)
    check = commands.add_parser("verify", help="verify a published ledger from its folder alone")
    check.add_argument("dir", nargs="?", type=Path, metavar="DIR", help="default: this installation's ledger")
    check.add_argument(
        "--seen",
        action="append",
        default=[],
        type=Path,
        metavar="CHECKPOINT",
        help="checkpoint that was seen elsewhere; may be repeated",
    )
    check.add_argument(
        "--key", metavar="PUBLIC", help="name+hash+key, or a file with it, or an Ed25519 PEM file"
    )
    check.set_defaults(run=verify_log)
    one = commands.add_parser(
        "prove", help="proof of one entry (its index) or of all entries about a subject"
    )
    one.add_argument(
        "id", metavar="ID", help="index of an entry, or what entries are about: an id, address or code"
    )
    one.set_defaults(run=prove_entries)
    copy = commands.add_parser("export", help="copy all that verifying needs into a new folder")
    copy.add_argument("dir", type=Path, metavar="DIR", help="new folder for all that `audit verify` needs")
    copy.set_defaults(run=export_log)
    report = commands.add_parser("report", help="how many entries of which kind")
    report.add_argument(
        "--from", dest="since", type=date.fromisoformat, metavar="DATE", help="first day (YYYY-MM-DD)"
    )
    report.add_argument("--to", dest="until", type=date.fromisoformat, metavar="DATE", help="before this day")
    report.set_defaults(run=count_entries)


def verify_log(args: argparse.Namespace) -> int:
    """Exit 0 only when nothing is wrong."""
    folder = args.dir if args.dir is not None else find_settings(args).ledger_dir
    report = verify(folder, _key(args.key, folder), [_small(path) for path in args.seen])
    lines = [f"{folder}: {report.size} mục · entries, root {report.root}"]
    lines.append(f"không mới hơn · not newer than: {report.not_newer_than or '–'}")
    for one in report.problems:
        at = "" if one.index is None else f" {one.index}"
        lines.append(f"  {one.kind}{at}: {one.detail}")
    lines.append("nguyên vẹn · whole" if report.ok else "KHÔNG nguyên vẹn · NOT whole")
    emit(args, report.as_json(), "\n".join(lines))
    return 0 if report.ok else 1


def prove_entries(args: argparse.Namespace) -> int:
    """An index gives one proof, anything else the proofs of all entries about that subject."""
    parts = Installation(find_settings(args))
    try:
        with parts.database.reading() as conn:
            if args.id.isdecimal():
                answer = _proof(conn, parts, int(args.id))
                text = _words(answer)
            else:
                found: list[Listed] = of_subject(conn, parts.seal, args.id, limit=1000)
                if not found:
                    raise Refused(
                        "no-such-entry",
                        f"Sổ không có mục nào về “{args.id}”.",
                        f"The ledger has no entry about “{args.id}”.",
                    )
                items = [_proof(conn, parts, one.index) for one in reversed(found)]
                answer, text = {"items": items}, "\n".join(_words(one) for one in items)
    finally:
        parts.close()
    emit(args, answer, text)
    return 0


def export_log(args: argparse.Namespace) -> int:
    """Copies the folder, verifies the copy, and says what it is good for."""
    source = find_settings(args).ledger_dir
    if args.dir.exists() and (not args.dir.is_dir() or any(args.dir.iterdir())):
        raise Refused(
            "not-empty",
            f"{args.dir} đã có nội dung; chọn thư mục trống.",
            f"{args.dir} is not an empty folder.",
        )
    for _ in range(5):
        shutil.copytree(source, args.dir, dirs_exist_ok=True)
        report = verify(args.dir)
        if report.ok or (args.dir / "checkpoint").read_bytes() == (source / "checkpoint").read_bytes():
            break
        shutil.rmtree(args.dir)
    answer = {"folder": str(args.dir.resolve()), **report.as_json()}
    emit(args, answer, f"{report.size} mục · entries → {args.dir}\ncongvan audit verify {args.dir}")
    return 0 if report.ok else 1


def count_entries(args: argparse.Namespace) -> int:
    """Counts by kind in a period, with the newest signed checkpoint."""
    e = schema.entry.c
    query = (
        sa.select(e.kind, sa.func.count(), sa.func.min(e.at_us), sa.func.max(e.at_us))
        .group_by(e.kind)
        .order_by(e.kind)
    )
    if args.since is not None:
        query = query.where(e.at_us >= _midnight(args.since))
    if args.until is not None:
        query = query.where(e.at_us < _midnight(args.until))
    parts = Installation(find_settings(args))
    try:
        with parts.database.reading() as conn:
            rows = conn.execute(query).all()
            waiting = conn.execute(sa.select(sa.func.count()).select_from(schema.pending)).scalar_one()
            note = newest_checkpoint(conn)
    finally:
        parts.close()
    items = [
        {"kind": kind, "count": count, "first": iso_local(first), "last": iso_local(last)}
        for kind, count, first, last in rows
    ]
    checkpoint = None if note is None else note.decode("utf-8")
    lines = [f"{one['count']:8} {one['kind']:32} {one['first']} – {one['last']}" for one in items]
    lines.append(f"{waiting:8} chờ vào sổ · waiting")
    emit(args, {"items": items, "waiting": waiting, "checkpoint": checkpoint}, "\n".join(lines))
    return 0


def _proof(conn: sa.Connection, parts: Installation, index: int) -> dict[str, Any]:
    answer: dict[str, Any] = dict(prove(conn, index).as_json())
    try:
        opened = disclose(conn, parts.seal, index)
    except Refused as problem:
        if problem.code != "entry-erased":
            raise
        return {**answer, "erased": True}
    nonce = base64.b64encode(opened.nonce).decode("ascii")
    return {**answer, "subject": opened.subject, "detail": opened.detail, "nonce": nonce, "erased": False}


def _words(answer: dict[str, Any]) -> str:
    kind, at_us = answer["leaf"].split("\n")[2:4]
    if answer["erased"]:
        about = "đã xóa nội dung · erased"
    else:
        about = f"{answer['subject']} {json.dumps(answer['detail'], ensure_ascii=False)}"
    return f"{answer['index']} {iso_local(int(at_us))} {kind} {about}"


def _midnight(day: date) -> int:
    return from_datetime(datetime.combine(day, time(), VIETNAM))


def _key(given: str | None, folder: Path) -> Key | None:
    """A vkey, a file with one, or a PEM file (the name is then that of the folder's own key)."""
    if given is None:
        return None
    path = Path(given)
    text = _small(path) if path.is_file() else given.encode()
    try:
        if not text.startswith(b"-----BEGIN"):
            return Key.parse(text.decode("utf-8"))
        public = load_pem_public_key(text)
        if not isinstance(public, Ed25519PublicKey):
            raise ValueError("not an Ed25519 key")
        name = _small(folder / "log.vkey").decode("utf-8").partition("+")[0]
        return Key(name, public.public_bytes_raw())
    except (ValueError, UnsupportedAlgorithm) as problem:
        raise Refused(
            "bad-key",
            f"--key: không phải khóa công khai của sổ ({problem}).",
            f"--key is no ledger key: {problem}.",
        ) from None


def _small(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_TEXT + 1)
    except OSError as problem:
        raise Refused(
            "unreadable-file", f"Không đọc được {path}: {problem.strerror}.", f"{path}: {problem.strerror}."
        ) from None
