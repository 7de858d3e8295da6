# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan search``: how far the index is, whether it is whole, building it anew."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from congvan.installation import Installation, find_settings
from congvan.output import emit
from mailserver.search import schema
from mailserver.search.indexer import clear
from mailserver.search.terms import FIRST_WORD
from mailserver.search.verify import verify_search
from mailserver.store import schema as stored


def register(subparsers: Any) -> None:
    """Add ``search status|check|rebuild``."""
    noun = subparsers.add_parser("search", help="the search index: status, check, rebuild")
    verbs = noun.add_subparsers(title="commands", metavar="COMMAND", required=True)
    verbs.add_parser("status", help="how much is indexed").set_defaults(run=status)
    verbs.add_parser("check", help="prove that the index is whole").set_defaults(run=check)
    verbs.add_parser("rebuild", help="throw the index away; the worker builds it anew").set_defaults(
        run=rebuild
    )


def status(args: argparse.Namespace) -> int:
    """``search status``."""
    parts = Installation(find_settings(args))
    try:
        with parts.database.reading() as conn:
            state = conn.execute(sa.select(schema.state)).first()
            upto = state.blob if state is not None else 0
            count = sa.select(sa.func.count()).select_from(stored.blob)
            waiting = conn.execute(count.where(stored.blob.c.blob > upto)).scalar_one()
            blobs = conn.execute(count).scalar_one()
            sizes = [
                conn.execute(sa.select(sa.func.sum(sa.func.length(table.c.sealed)))).scalar() or 0
                for table in schema.TABLES
            ]
    finally:
        parts.close()
    words = state.words - FIRST_WORD if state is not None else 0
    answer = {"blobs": blobs, "waiting": waiting, "words": words, "bytes": int(sum(sizes))}
    text = f"{blobs - waiting} / {blobs} thư đã lập chỉ mục, {words} từ · messages indexed, words; {answer['bytes']} byte"
    emit(args, answer, text)
    return 0


def check(args: argparse.Namespace) -> int:
    """``search check``: exit 0 when nothing is wrong."""
    parts = Installation(find_settings(args))
    try:
        problems = verify_search(parts.store)
    finally:
        parts.close()
    lines = [f"  {one.kind}: {one.place}: {one.detail}" for one in problems]
    lines.append("nguyên vẹn · whole" if not problems else "Chạy · run `congvan search rebuild`")
    emit(args, {"ok": not problems, "problems": [asdict(one) for one in problems]}, "\n".join(lines))
    return 0 if not problems else 1


def rebuild(args: argparse.Namespace) -> int:
    """``search rebuild``: searches go on meanwhile, by reading."""
    parts = Installation(find_settings(args))
    try:
        parts.database.write(clear)
    finally:
        parts.close()
    emit(
        args,
        {"ok": True},
        "Chỉ mục sẽ được lập lại ở phía sau; tìm kiếm vẫn dùng được. / The index is being built anew; searches go on.",
    )
    return 0
