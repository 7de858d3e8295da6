# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan sieve check``: usable or not, with the line; what a script does with a letter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from congvan.main import main


def test_a_script_is_checked_and_tried(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script, letter = tmp_path / "a.sieve", tmp_path / "a.eml"
    script.write_text('require "fileinto";\nif header :contains "subject" "báo" { fileinto "Báo"; }\n')
    letter.write_text("From: a@b.example\nSubject: báo cáo\n\nx\n")
    assert main(["sieve", "check", str(script), "--mail", str(letter), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ok"]
    assert told["actions"] == [{"action": "fileinto", "mailbox": "Báo", "flags": [], "create": False}]
    script.write_text("keep;\nfrobnicate;\n")
    assert main(["sieve", "check", str(script), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["line"] == 2
    assert main(["sieve", "check", str(tmp_path / "none")]) == 1
