# SPDX-License-Identifier: AGPL-3.0-or-later
"""The short form of ``make fuzz``: a few hundred inputs a target, and the inputs that once broke something."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("atheris")
ROOT = Path(__file__).resolve().parents[2]
RUNS = {"cms": 3000, "envelope": 3000, "pdf": 40, "edxml": 1000}


@pytest.mark.parametrize("target", RUNS)
def test_holds_for_what_the_fuzzer_makes(target: str, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.fuzz.signatures", target, f"-runs={RUNS[target]}", "-seed=1"]
    words.append(f"-artifact_prefix={tmp_path}/")
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"Done {RUNS[target]} runs" in done.stderr
