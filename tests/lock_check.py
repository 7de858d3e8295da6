# SPDX-License-Identifier: AGPL-3.0-or-later
"""Checks the locks: hashes everywhere, no registry address, and what pyproject asks for is in them."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_NAME = re.compile(r"^[A-Za-z0-9._-]+")


def names(text: str) -> set[str]:
    """Normalised names of the pinned packages. Exits when one has no hash or an address stands there."""
    found = set()
    blocks = re.split(r"\n(?=[A-Za-z0-9])", text.strip())
    for block in blocks:
        if "--hash=sha256:" not in block or "==" not in block:
            sys.exit(f"not pinned with hashes: {block.splitlines()[0]}")
        found.add(_normal(block))
    if "://" in text or "--index" in text or "--find-links" in text:
        sys.exit("a lock names a registry")
    return found


def _normal(requirement: str) -> str:
    match = _NAME.match(requirement)
    assert match
    return re.sub(r"[-_.]+", "-", match.group()).lower()


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    locked = names((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    dev = names((ROOT / "requirements-dev.lock").read_text(encoding="utf-8"))
    groups = project["dependency-groups"]
    for wanted, where in (
        (project["project"]["dependencies"] + groups["build"], locked),
        ([one for one in groups["dev"] if isinstance(one, str)], dev),
    ):
        missing = {_normal(one) for one in wanted} - where
        if missing:
            sys.exit(f"not in the lock: {', '.join(sorted(missing))}; run `make lock`")


if __name__ == "__main__":
    main()
