# SPDX-License-Identifier: AGPL-3.0-or-later
"""gpg's homes with public keys only, kept for the life of the process: importing takes longer than opening."""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

from config.refusal import Refused
from exchange.sealing.openpgp import OpenPgp

_MOST = 4
_PREFIX = "cv-keys-"
_GUARD = threading.Lock()
_KEPT: OrderedDict[bytes, tuple[OpenPgp, Path]] = OrderedDict()


def pooled(keys: Iterable[bytes]) -> OpenPgp:
    """A home with exactly ``keys`` (armour of public keys; one that gpg can't read is passed over).

    Raises `Unavailable` without gpg. Sets change only with the keys; the one that was not used for longest goes when a
    fifth is asked for, long after work with it ended.
    """
    every = list(dict.fromkeys(keys))
    name = hashlib.sha256(b"\0".join(every)).digest()
    with _GUARD:
        found = _KEPT.pop(name, None)
        if found is None:
            found = _made(every)
        _KEPT[name] = found
        while len(_KEPT) > _MOST:
            _gone(_KEPT.popitem(last=False)[1][1])
        return found[0]


def _made(keys: list[bytes]) -> tuple[OpenPgp, Path]:
    _sweep()
    home = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    try:
        gpg = OpenPgp(home, public_only=True)
    except Refused:
        shutil.rmtree(home, ignore_errors=True)
        raise
    for one in keys:
        try:
            gpg.add(one)
        except Refused:
            continue
    return gpg, home


def _sweep() -> None:
    """Homes that processes left behind which were killed."""
    for one in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        number = one.name.removeprefix(_PREFIX).partition("-")[0]
        if number.isdigit() and not Path(f"/proc/{number}").exists() and one.stat().st_uid == os.getuid():
            shutil.rmtree(one, ignore_errors=True)


def _gone(home: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)


@atexit.register
def _end() -> None:
    while _KEPT:
        _gone(_KEPT.popitem()[1][1])
