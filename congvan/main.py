# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan``: reads the command line and runs one command.

Exit codes (DESIGN §5): 0 done, 1 refused or failed the check, 2 wrong use, 3 not able now.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import locale
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn, cast

from config.refusal import Refused, Unavailable
from congvan import __version__
from congvan.output import emit, note

COMMANDS = (
    "demo",
    "serve",
    "stop",
    "status",
    "check",
    "agency",
    "authority",
    "account",
    "device",
    "document",
    "register",
    "verify",
    "seal",
    "unseal",
    "rules",
    "audit",
    "queue",
    "sieve",
    "address",
    "delegation",
    "dkim",
    "importing",
    "vault",
    "backup",
    "restore",
    "verify_data",
    "search",
)
"""Modules of ``congvan.commands``, in the order of ``--help``."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong and ends with 2."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(2, f"{self.prog}: {message}\n")


def parser(names: Sequence[str] = COMMANDS) -> argparse.ArgumentParser:
    """The command line with the commands ``names``."""
    top = _Parser(
        prog="congvan",
        description="Secure mail and official document exchange server for government.",
        epilog="Everywhere: -c FILE names the settings of the installation, --json answers with one object.",
    )
    top.add_argument("--version", action="version", version=f"congvan {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_Parser)
    for name in names:
        importlib.import_module(f"congvan.commands.{name}").register(commands)
    return top


def main(words: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code."""
    given, options = _everywhere(list(sys.argv[1:] if words is None else words))
    first = given[0].replace("-", "_") if given else ""
    args = parser((first,) if first in COMMANDS else COMMANDS).parse_args(given, namespace=options)
    logging.basicConfig(
        level=os.environ.get("CONGVAN_LOG", "WARNING"),
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )
    run = cast(Callable[[argparse.Namespace], int], args.run)
    try:
        return run(args)
    except Unavailable as problem:
        return _refused(args, problem, 3)
    except Refused as problem:
        return _refused(args, problem, 1)
    except KeyboardInterrupt:
        return 130
    except OSError as problem:
        if problem.errno in (errno.ENOSPC, errno.EDQUOT):
            return _refused(args, _disk_full(problem), 3)
        if not isinstance(problem, BrokenPipeError):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _disk_full(problem: OSError) -> Unavailable:
    where = f" ({problem.filename})" if problem.filename else ""
    return Unavailable(
        "disk-full",
        f"Hết chỗ trên đĩa{where}, việc chưa xong. Dọn hoặc thêm đĩa rồi chạy lại cùng lệnh.",
        f"The disk is full{where}, this was not finished. Make room and run the same command again.",
    )


def _everywhere(words: list[str]) -> tuple[list[str], argparse.Namespace]:
    """Take ``-c FILE`` and ``--json`` out from wherever they stand."""
    options = argparse.Namespace(config=None, json=False)
    rest: list[str] = []
    position = 0
    while position < len(words):
        word = words[position]
        if word in ("-c", "--config") and position + 1 < len(words):
            position += 1
            options.config = words[position]
        elif word.startswith("--config="):
            options.config = word.partition("=")[2]
        elif word == "--json":
            options.json = True
        else:
            rest.append(word)
        position += 1
    return rest, options


def _refused(args: argparse.Namespace, problem: Refused, code: int) -> int:
    if args.json:
        told = {"error": problem.code, "vi": problem.vi, "en": problem.en}
        emit(args, told | ({"rule": problem.rule} if problem.rule else {}), "")
    vietnamese = (locale.getlocale()[0] or os.environ.get("LANG", "")).startswith("vi")
    note(f"congvan: {problem.text('vi' if vietnamese else 'en')}")
    return code


if __name__ == "__main__":
    sys.exit(main())
