# SPDX-License-Identifier: AGPL-3.0-or-later
"""Thunderbird shows our letters as signed, an altered one not, and opens the encrypted one (AES-CBC)."""

from __future__ import annotations

import shutil

import pytest

from tests.clients.thunderbird import main


@pytest.mark.skipif(shutil.which("thunderbird") is None, reason="needs Debian's thunderbird")
def test_signed_altered_and_encrypted_letters(capsys: pytest.CaptureFixture[str]) -> None:
    code = main()
    told = capsys.readouterr().out
    assert code == 0, told
    assert told.count("as it must be") == 4
