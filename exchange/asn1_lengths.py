# SPDX-License-Identifier: AGPL-3.0-or-later
"""Keeps asn1crypto from taking a definite length for an indefinite one.

asn1crypto 1.5.1 looks at the last byte of a parsed header only: 0x80 counts as "indefinite length" (X.690 §8.1.3.6)
and has everything below encoded anew, level by level, which takes seconds. A length such as 0x0180 or 0x0280, an
ordinary size for a certificate or a signature, ends in the same byte (``30 82 01 80``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from asn1crypto import core

_LAST = slice(-1, None)
_INDEFINITE = 0x80


class _Definite(bytes):
    """A header that says how long its value is, although its last byte is 0x80."""

    def __getitem__(self, key: Any) -> Any:
        return b"" if key == _LAST else super().__getitem__(key)


def says_its_length(header: bytes) -> bool:
    """Whether the last identifier and length of ``header`` (explicit tags stand in front) give a length."""
    at, length = 0, _INDEFINITE
    while at < len(header):
        if header[at] & 0x1F == 0x1F:
            at += 1
            while at < len(header) and header[at] & 0x80:
                at += 1
        at += 1
        if at >= len(header):
            return False
        length = header[at]
        at += 1 + (length & 0x7F if length > _INDEFINITE else 0)
    return at == len(header) and length != _INDEFINITE


def mend() -> None:
    """Mend every ``dump`` of asn1crypto, once a process."""
    for kind in vars(core).values():
        if isinstance(kind, type) and "dump" in vars(kind) and not hasattr(vars(kind)["dump"], "__wrapped__"):
            kind.dump = _mended(vars(kind)["dump"])  # type: ignore[attr-defined]


def _mended(dump: Callable[..., bytes]) -> Callable[..., bytes]:
    @wraps(dump)
    def mended(self: Any, force: bool = False) -> bytes:
        header = getattr(self, "_header", None)
        if header is not None and header[-1:] == b"\x80" and says_its_length(header):
            self._header = _Definite(header)
        return dump(self, force)

    return mended
