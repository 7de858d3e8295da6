# SPDX-License-Identifier: AGPL-3.0-or-later
"""What commands print: one JSON object on stdout with ``--json``, words otherwise; the rest on stderr."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any


def emit(args: argparse.Namespace, answer: Mapping[str, Any], text: str) -> None:
    """Print ``answer`` as JSON when asked for, else ``text``."""
    if getattr(args, "json", False):
        sys.stdout.write(json.dumps(answer, ensure_ascii=False, default=str) + "\n")
    else:
        sys.stdout.write(text.rstrip("\n") + "\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """A line for the person, on stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
