# SPDX-License-Identifier: AGPL-3.0-or-later
"""SoftHSM tokens that are plugged in, pulled out and put back."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pkcs11
import pytest

from exchange.signing.token_module import TokenPlace

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN = "Cà-Mau-24680"


class Slots:
    """The slots of a signing server; a token's folder is moved aside while it is pulled out."""

    def __init__(self, folder: Path) -> None:
        self._plugged, self._away = folder / "plugged", folder / "away"
        self._of: dict[str, str] = {}
        for one in (self._plugged, self._away):
            one.mkdir(parents=True)
        self.pin_file = folder / "pin"
        self.pin_file.write_text(f"{PIN}\n")

    def new(self, label: str) -> None:
        """A fresh token in a slot."""
        before = set(os.listdir(self._plugged))
        made = ["softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", "1234567"]
        subprocess.run([*made, "--pin", PIN], check=True, capture_output=True)
        (self._of[label],) = set(os.listdir(self._plugged)) - before

    def pull(self, label: str) -> None:
        (self._plugged / self._of[label]).rename(self._away / self._of[label])

    def put_back(self, label: str) -> None:
        (self._away / self._of[label]).rename(self._plugged / self._of[label])

    def place(self, label: str = "") -> TokenPlace:
        """The signer's own token, or persons' tokens only."""
        return TokenPlace(MODULE, label, self.pin_file)


@contextmanager
def softhsm(folder: Path) -> Iterator[Slots]:
    """Slots of their own for a test; the library reads its settings when it starts."""
    assert MODULE.exists(), "SoftHSM is missing: apt-get install softhsm2"
    settings = folder / "softhsm.conf"
    made = Slots(folder)
    settings.write_text(f"directories.tokendir = {folder}/plugged\nobjectstore.backend = file\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(settings))
        yield made
        pkcs11.lib(str(MODULE)).finalize()
