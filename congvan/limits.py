# SPDX-License-Identifier: AGPL-3.0-or-later
"""Quotas on the command line: ``5G``, ``500M``, ``none``, ``default``, and how use is shown."""

from __future__ import annotations

import argparse
import re

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


def shown(name: str, use: Quota) -> str:
    """One line: used, limit, and a warning near it."""
    limit = "không hạn chế · no limit" if use.limit is None else f"{use.limit / (1 << 20):.1f} MB"
    warning = "  sắp đầy · nearly full" if use.is_near else ""
    return f"{name}: {use.used / (1 << 20):.1f} MB / {limit}{warning}"
