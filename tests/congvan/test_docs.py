# SPDX-License-Identifier: AGPL-3.0-or-later
"""What is generated is what the program says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from congvan.main import main

DOCS = Path(__file__).parents[2] / "docs"


def test_the_list_of_rules_is_current(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CONGVAN_CONFIG", raising=False)
    assert main(["rules", "list", "--markdown"]) == 0
    assert (DOCS / "rules.md").read_text(encoding="utf-8") == capsys.readouterr().out, "run `make docs`"


def test_the_tests_that_security_names_exist() -> None:
    """``path::name``, and ``::name`` after it in the same cell; what is no longer there must not be claimed."""
    tests = DOCS.parent / "tests"
    named, missing = 0, []
    for cell in (DOCS / "security.md").read_text(encoding="utf-8").replace("\n", "|").split("|"):
        path = ""
        for file, name in re.findall(r"`([\w/]*\.py)?::(\w+)`", cell):
            path, named = file or path, named + 1
            if not re.search(rf"^def {name}\(", (tests / path).read_text(encoding="utf-8"), re.MULTILINE):
                missing.append(f"{path}::{name}")
    assert named > 80
    assert not missing
