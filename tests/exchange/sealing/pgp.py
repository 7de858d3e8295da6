# SPDX-License-Identifier: AGPL-3.0-or-later
"""OpenPGP keys made by gpg itself, in a home that is thrown away."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PgpPair:
    """A key pair as armour."""

    fingerprint: str
    secret: bytes
    public: bytes


@contextmanager
def gpg_home() -> Iterator[Path]:
    """A short home for the command line."""
    home = Path(tempfile.mkdtemp(prefix="cvt-"))
    try:
        yield home
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False, capture_output=True)
        shutil.rmtree(home, ignore_errors=True)


def gpg(home: Path, *words: str, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """The gpg command line."""
    base = ["gpg", "--homedir", str(home), "--batch", "--yes", "--trust-model", "always", "--status-fd", "2"]
    return subprocess.run([*base, *words], input=data, capture_output=True, check=False, timeout=60)


def make_pair(
    home: Path, name: str, algorithm: str = "future-default", expire: str = "never", *more: str
) -> PgpPair:
    """A key pair without a passphrase."""
    done = gpg(home, *more, "--passphrase", "", "--quick-generate-key", name, algorithm, "default", expire)
    assert done.returncode == 0, done.stderr
    said = next(line for line in done.stderr.decode().splitlines() if "KEY_CREATED" in line)
    fingerprint = said.split()[3]
    if algorithm.startswith("rsa"):  # only "future-default" brings an encryption key along
        words = (*more, "--passphrase", "", "--quick-add-key", fingerprint, algorithm, "encr", expire)
        assert gpg(home, *words).returncode == 0
    public = gpg(home, "--armor", "--export", fingerprint).stdout
    return PgpPair(fingerprint, gpg(home, "--armor", "--export-secret-keys", fingerprint).stdout, public)
