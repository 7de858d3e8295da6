# SPDX-License-Identifier: AGPL-3.0-or-later
"""The short form of ``make fuzz``: a few thousand coverage-guided inputs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_scanner_holds(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.mailserver.message.fuzz", "-atheris_runs=4000", "-seed=1", str(tmp_path / "corpus")],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done 4000 in" in done.stderr
    assert len(list((tmp_path / "corpus").iterdir())) > 20
