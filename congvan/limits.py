# SPDX-License-Identifier: AGPL-3.0-or-later
"""Quotas on the command line: ``5G``, ``500M``, ``none``, ``default``; setting a limit, showing use."""

from __future__ import annotations

import argparse
import getpass
import re
from collections.abc import Callable
from dataclasses import asdict

from congvan.control import call
from congvan.installation import Installation, find_settings
from congvan.output import emit
from mailserver.store.quota import Quota

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def add_limit(command: argparse.ArgumentParser) -> None:
    """Add ``--set``; its value is a tuple of one: bytes, None for the setting's default, -1 for no limit."""
    command.add_argument(
        "--set", type=_limit, metavar="SIZE", help="500M, 5G, none, or default (the setting)"
    )


def _limit(text: str) -> tuple[int | None]:
    if text == "default":
        return (None,)
    if text == "none":
        return (-1,)
    found = re.fullmatch(r"(\d{1,15})([KMGT]?)i?B?", text, re.IGNORECASE)
    if found is None:
        raise argparse.ArgumentTypeError(f"“{text}” is not a size: 500M, 5G, none or default")
    return (int(found[1]) * _UNITS[found[2].upper()],)


def show(
    args: argparse.Namespace, act: str, whose: dict[str, str], use: Callable[[Installation], Quota]
) -> int:
    """Set the limit when the command says so, by ``act`` of the running installation; then show ``use``.

    ``whose`` is the name of the account or agency in the act and in the answer.
    """
    settings = find_settings(args)
    if args.set is not None:
        call(settings, act, {**whose, "quota_bytes": args.set[0], "by": f"operator {getpass.getuser()}"})
    parts = Installation(settings)
    try:
        found = use(parts)
    finally:
        parts.close()
    emit(args, asdict(found) | whose | {"near": found.is_near}, _line(" ".join(whose.values()), found))
    return 0


def _line(name: str, use: Quota) -> str:
    """Used, limit, and a warning near it."""
    limit = "không hạn chế · no limit" if use.limit is None else f"{use.limit / (1 << 20):.1f} MB"
    warning = "  sắp đầy · nearly full" if use.is_near else ""
    return f"{name}: {use.used / (1 << 20):.1f} MB / {limit}{warning}"
