# SPDX-License-Identifier: AGPL-3.0-or-later
"""A process of its own over a test's office, which is killed with -9 somewhere; the signer lives in the test's process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import exchange.schema  # noqa: F401  every table is known
from config.database import Database
from config.settings import Exchange as ExchangeSettings
from config.settings import Installation, Settings
from config.wake import Wake
from exchange.exchange import Exchange
from exchange.signing.signer_client import SignerClient
from mailserver.accounts import Accounts
from mailserver.store import Store
from mailserver.store.segments import Segments
from policy.rulebook import load
from tests.conftest import fixed_seal
from tests.exchange.documents.office import ORIGIN, Office


def run_killed(made: Office, program: str, *words: str) -> None:
    """Run ``program`` over the office's folder, database and signer; it must have been killed."""
    given = (str(made.folder), str(made.exchange.signer._path), made.exchange.database.url)
    done = subprocess.run(
        [sys.executable, "-c", program, *given, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == -9, done.stderr


def exchange_of(argv: list[str]) -> tuple[Exchange, list[str]]:
    """In that process: the same exchange, and the words that follow."""
    folder, socket, url = Path(argv[1]), Path(argv[2]), argv[3]
    database, seal, wake = Database(url, folder / "write.lock"), fixed_seal(), Wake(folder)
    parts = SimpleNamespace(
        settings=Settings(
            base=folder,
            file=folder / "province.toml",
            installation=Installation(demo=True, origin=ORIGIN),
            exchange=ExchangeSettings(status_gather=0.0),
        ),
        database=database,
        seal=seal,
        accounts=Accounts(database, seal),
        store=Store(database, seal, Segments(folder / "segments"), wake),
        wake=wake,
        rulebook=load(None),
    )
    return Exchange.of(parts, SignerClient(socket, timeout=20)), argv[4:]  # type: ignore[arg-type]


def die(*_: Any, **__: Any) -> NoReturn:
    """The power goes."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError
