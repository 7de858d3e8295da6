# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan sieve check``: whether a filter can be used, and what it does with a letter."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from config.clock import now_us
from config.refusal import Refused
from congvan.output import emit
from mailserver.message import scan
from mailserver.sieve import BadScript, Letter, compiled, run

_LARGEST = 64 * 1024 * 1024


def register(subparsers: Any) -> None:
    """Add ``sieve check``."""
    noun = subparsers.add_parser("sieve", help="mail filters (RFC 5228): check a script")
    verbs = noun.add_subparsers(title="commands", metavar="COMMAND", required=True)
    check = verbs.add_parser(
        "check", help="read and check a script; with --mail also say what it does with a letter"
    )
    check.add_argument("file", metavar="SCRIPT", help="the script")
    check.add_argument("--mail", metavar="FILE", help="an .eml file")
    check.add_argument("--sender", default="", help="envelope sender, for --mail")
    check.add_argument("--recipient", default="", help="envelope recipient, for --mail")
    check.set_defaults(run=run_check)


def run_check(args: argparse.Namespace) -> int:
    """``sieve check``: exit 1 for a script that can't be used."""
    try:
        program = compiled(_read(args.file).decode("utf-8", "replace"))
    except BadScript as problem:
        told = {"ok": False, "line": problem.line, "vi": problem.vi, "en": problem.en}
        emit(args, told, f"{args.file}: {problem.vi}\n{args.file}: {problem.en}")
        return 1
    answer: dict[str, Any] = {"ok": True, "requires": sorted(program.required)}
    lines = [f"{args.file}: dùng được / usable"]
    if args.mail:
        data = _read(args.mail)
        ran = run(program, Letter(data, scan(data), args.sender, args.recipient), now_us())
        answer["actions"] = [{"action": type(one).__name__.lower(), **asdict(one)} for one in ran.actions]
        answer["error"] = ran.error
        lines += [f"  {one}" for one in ran.actions] or ["  discard"]
        lines += [f"  {ran.error}"] if ran.error else []
    emit(args, answer, "\n".join(lines))
    return 0


def _read(name: str) -> bytes:
    try:
        with Path(name).open("rb") as file:
            return file.read(_LARGEST)
    except OSError as problem:
        raise Refused(
            "bad-file", f"Không đọc được {name}: {problem.strerror}", f"Can't read {name}: {problem.strerror}"
        ) from problem
