# SPDX-License-Identifier: AGPL-3.0-or-later
"""The vendor's PKCS #11 library in this process: sessions, and finding a token again that was pulled out.

A library lists the slots when it starts and keeps handles of what it saw then (PKCS #11 v2.40 §5.4, §5.5), so a
token that was pulled out and put back is found only after the library was started anew. That ends all its
sessions; who keeps one opens another when the old one fails.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pkcs11

from config.refusal import Refused, Unavailable

PROBLEMS = (pkcs11.PKCS11Error, OSError, RuntimeError)
"""Whatever a library raises."""
_AWAY = (
    pkcs11.NoSuchToken,
    pkcs11.TokenNotPresent,
    pkcs11.DeviceRemoved,
    pkcs11.TokenNotRecognised,
    pkcs11.SlotIDInvalid,
)
_WRONG_PIN = (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange)
_LOCKED = (pkcs11.PinLocked, pkcs11.PinExpired)
_PIN = (*_WRONG_PIN, *_LOCKED)


@dataclass(frozen=True, slots=True)
class TokenPlace:
    """Where the signer's own token is: the module, the token's label, the file with its PIN (one line).

    Without a label only persons' own tokens are used.
    """

    module: Path
    label: str
    pin_file: Path


class TokenModule:
    """One library. Safe to use from several threads: ``guard`` is held around each use."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self.guard = threading.RLock()

    def open(self, label: str, pin: str) -> Any:
        """A session in which ``pin`` was proven right. Raises what the library raises (`PROBLEMS`)."""
        try:
            return self._open(label, pin)
        except _PIN:
            raise
        except PROBLEMS:  # not there, or somebody is logged in already: neither proves the PIN
            self.start_anew()
            return self._open(label, pin)

    def start_anew(self) -> None:
        """Look at the slots again; all sessions end. Raises what the library raises."""
        pkcs11.lib(self._path).reinitialize()

    def _open(self, label: str, pin: str) -> Any:
        return pkcs11.lib(self._path).get_token(token_label=label).open(user_pin=pin, rw=True)


def say(problem: Exception, label: str) -> NoReturn:
    """Raises what ``problem`` means for who wants to use a key of the token: `Refused` or `Unavailable`."""
    if isinstance(problem, pkcs11.NoSuchKey):
        raise Refused(
            "no-such-key", "Thiết bị khóa không có khóa này.", "The token does not hold this key."
        ) from problem
    if isinstance(problem, _WRONG_PIN):
        raise Refused(
            "token-pin-wrong",
            f"Mã PIN của thiết bị khóa “{label}” không đúng. Chưa ký gì. Nhập sai nhiều lần thì thiết bị tự khóa.",
            f"The PIN of the token “{label}” is wrong. Nothing was signed. Too many wrong tries lock a token.",
        ) from problem
    if isinstance(problem, _LOCKED):
        raise Refused(
            "token-locked",
            f"Thiết bị khóa “{label}” đã bị khóa hoặc mã PIN hết hạn. Chưa ký gì; nhờ cán bộ CNTT mở khóa thiết bị.",
            f"The token “{label}” is locked or its PIN has expired. Nothing was signed; ask your officer to unlock it.",
        ) from problem
    if isinstance(problem, _AWAY):
        raise Unavailable(
            "token-away",
            f"Không thấy thiết bị khóa “{label}” trên máy chủ ký số. Chưa ký gì; cắm lại thiết bị rồi thử lại.",
            f"The token “{label}” is not plugged in at the signing server. Nothing was signed; plug it in and try again.",
        ) from problem
    raise Unavailable(
        "token-unavailable",
        f"Thiết bị khóa “{label}” không trả lời ({type(problem).__name__}). Chưa ký gì; kiểm tra "
        "thiết bị rồi thử lại.",
        f"The token “{label}” does not answer ({type(problem).__name__}). Nothing was signed; "
        "check the token and try again.",
    ) from problem
