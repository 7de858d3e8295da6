# SPDX-License-Identifier: AGPL-3.0-or-later
"""A full disk while a backup is taken or comes back: words that say so, nothing half counts, the same command goes on."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from congvan.backup.taking import manifests
from congvan.main import main
from tests.congvan.test_backup import House
from tests.mailserver.smtp.test_outages import disk


def larger(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=60m", str(folder)], check=True)


def test_backup_and_restore_on_a_full_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    house = House(tmp_path / "house", "")

    async def fill() -> None:
        for _ in range(3):
            body = os.urandom(1 << 20).hex().encode()
            await house.parts.store.append(house.inbox, b"Subject: x\r\n\r\n" + body, 0, 1)

    asyncio.run(fill())
    house.parts.close()
    with disk(tmp_path / "dest", 2) as dest, disk(tmp_path / "again", 3) as again:
        backup = ["backup", str(dest), "-c", str(house.parts.settings.file)]
        assert main(backup) == 3
        assert "The disk is full" in capsys.readouterr().err
        assert not list(dest.iterdir())
        larger(dest)
        assert main(backup) == 0
        assert len(manifests(dest)) == 1
        restore = ["restore", str(dest), str(again), "--key", str(house.key)]
        assert main(restore) == 3
        assert "run the same command again" in capsys.readouterr().err
        assert not (again / "province.toml").exists()
        larger(again)
        assert main(restore) == 0
        assert (again / "province.toml").exists()
