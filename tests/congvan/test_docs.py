# SPDX-License-Identifier: AGPL-3.0-or-later
"""What is generated is what the program says."""

from __future__ import annotations

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
