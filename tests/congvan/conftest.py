# SPDX-License-Identifier: AGPL-3.0-or-later
"""An installation that is not running, for commands that need none that runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from config.seal import create_keyring
from config.settings import Installation as Named
from config.settings import Settings, Tls
from config.settings_file import example, read
from congvan import migrate
from congvan.installation import Installation
from congvan.main import main
from mailserver.accounts.changes import NewAccount, NewAgency, add_account, add_agency
from mailserver.store import mailboxes
from tests.mailserver.smtp.serving import NAME, certificate

HOME, OTHER = "vpubnd.camau.example", "sonoivu.camau.example"


@dataclass
class Resting:
    """Two agencies with three people each; ``run`` gives the exit code, the JSON and the words of a command."""

    settings: Settings
    capsys: pytest.CaptureFixture[str]

    def run(self, *words: str) -> tuple[int, dict[str, Any], str]:
        """Run a command twice, with and without ``--json`` - only what may be run twice."""
        code, answer = self.json(*words)
        assert main([*words, "-c", str(self.settings.file)]) == code
        return code, answer, self.capsys.readouterr().out

    def json(self, *words: str) -> tuple[int, dict[str, Any]]:
        """Run a command with ``--json``."""
        code = main([*words, "-c", str(self.settings.file), "--json"])
        return code, json.loads(self.capsys.readouterr().out)

    def write(self, job: Callable[[Installation], Any]) -> Any:
        """Do something to it."""
        parts = Installation(self.settings)
        try:
            return job(parts)
        finally:
            parts.close()


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one, to be copied: all that `congvan check` looks at is there."""
    folder = tmp_path_factory.mktemp("resting")
    settings = Settings(
        base=folder,
        file=folder / "province.toml",
        installation=Named(name="Tỉnh thử", tls_name=NAME),
        tls=Tls(certificate="ca.pem", key="key.pem"),
    )
    settings.file.write_text(example(settings), encoding="utf-8")
    settings = read(settings.file)
    settings.data_dir.mkdir()
    settings.run_dir.mkdir()
    settings.master_key.parent.mkdir(exist_ok=True)
    create_keyring(settings.master_key, settings.keyring)
    secret = settings.at(settings.paths.signer_secret)
    secret.write_bytes(b"s" * 32)
    secret.chmod(0o600)
    certificate(folder)
    migrate.upgrade(settings.database_url)
    parts = Installation(settings)

    def job(conn: sa.Connection) -> None:
        for code, short, domain in (("H12.01", "VP", HOME), ("H12.02", "SNV", OTHER)):
            home = add_agency(conn, parts.seal, NewAgency(code, short, short, domain))
            mailboxes.create_standard(conn, parts.seal, home.registry)
            for role, local in (("leader", "lanhdao"), ("civil-servant", "cv1"), ("civil-servant", "cv2")):
                new = NewAccount(f"{local}@{domain}", local, role, role)
                mailboxes.create_standard(conn, parts.seal, add_account(conn, parts.seal, home, new).ref)

    parts.database.write(job)
    parts.close()
    return folder


@pytest.fixture
def resting(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Resting:
    """One of its own for a test."""
    folder = tmp_path / "resting"
    shutil.copytree(made, folder)
    return Resting(read(folder / "province.toml"), capsys)
