# SPDX-License-Identifier: AGPL-3.0-or-later
"""Keys in a PKCS #11 token or HSM: P-256, made there and never leaving it (PKCS #11 v2.40).

`Token` is the signer's own, opened with the PIN in a file and kept open. A person's own token is opened with
the person's PIN for one use at a time (`OwnTokens`): there the PIN is the approval (mode “token”). A token that
is pulled out, locked or full says so in words and nothing is signed; once it is back, the next request finds it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pkcs11

from config.refusal import Unavailable
from exchange.signing.token_key import Runs, TokenKey, make_in, public_in, remove_in
from exchange.signing.token_module import PROBLEMS, TokenModule, TokenPlace, say

T = TypeVar("T")


class Token:
    """The signer's token with one session, opened when first needed. Safe to use from several threads."""

    def __init__(self, place: TokenPlace, module: TokenModule | None = None) -> None:
        self._place = place
        self._module = module or TokenModule(place.module)
        self._session: Any = None
        self._wrong_pin = ""

    def make(self, label: str) -> tuple[TokenKey, str]:
        """(a new key, its identity in the token). Raises `Unavailable`."""
        identity = secrets.token_hex(16)
        public = self.run(lambda session: make_in(session, identity, label))
        return TokenKey(self.run, identity, public), identity

    def key(self, identity: str) -> TokenKey:
        """The key of this identity. Raises `Unavailable`, `Refused` when the token does not have it."""
        return TokenKey(self.run, identity, self.run(lambda session: public_in(session, identity)))

    def remove(self, identity: str) -> None:
        """Destroys a key in the token. Raises `Unavailable`."""
        self.run(lambda session: remove_in(session, identity))

    def run(self, work: Callable[[Any], T]) -> T:
        """Does ``work`` in the session. Raises `Unavailable` or `Refused` for whatever the token says.

        What fails in a session from before is tried once more in a new one: the token may have been away since.
        """
        with self._module.guard:
            kept = self._session is not None
            try:
                return work(self._opened())
            except PROBLEMS as problem:
                self.close()
                if not kept:
                    say(problem, self._place.label)
            try:
                self._module.start_anew()
                return work(self._opened())
            except PROBLEMS as problem:
                self.close()
                say(problem, self._place.label)

    def close(self) -> None:
        """Ends the session; the next use opens another."""
        with self._module.guard:
            session, self._session = self._session, None
            end(session)

    def _opened(self) -> Any:
        if self._session is None:
            pin = self._place.pin_file.read_text().strip()
            if pin == self._wrong_pin:
                raise _pin_file(self._place)  # asking again would lock the token
            try:
                self._session = self._module.open(self._place.label, pin)
            except (pkcs11.PinIncorrect, pkcs11.PinLenRange, pkcs11.PinInvalid):
                self._wrong_pin = pin
                raise _pin_file(self._place) from None
            self._wrong_pin = ""
        return self._session


@dataclass(frozen=True, slots=True)
class OwnToken:
    """A person's own token, by its label, with the person's PIN: given for one use, never kept."""

    label: str
    pin: str = field(repr=False)


class OwnTokens:
    """Persons' own tokens in the slots of one module."""

    def __init__(self, module: TokenModule) -> None:
        self._module = module

    def make(self, own: OwnToken, label: str) -> tuple[TokenKey, str]:
        """(a new key named ``label``, its identity in the token). Raises `Refused`, `Unavailable`."""
        identity = secrets.token_hex(16)
        with self._running(own) as run:
            public = run(lambda session: make_in(session, identity, label))
        return TokenKey(_closed, identity, public), identity

    @contextmanager
    def opened(self, own: OwnToken, identity: str) -> Iterator[TokenKey]:
        """The key, usable inside the ``with``: the PIN was proven right, and the token forgets it afterwards.

        Raises `Refused` (``token-pin-wrong``, ``token-locked``, ``no-such-key``), `Unavailable`.
        """
        with self._running(own) as run:
            yield TokenKey(run, identity, run(lambda session: public_in(session, identity)))

    def remove(self, own: OwnToken, identity: str) -> None:
        """Destroys a key. Raises `Refused`, `Unavailable`."""
        with self._running(own) as run:
            run(lambda session: remove_in(session, identity))

    @contextmanager
    def _running(self, own: OwnToken) -> Iterator[Runs]:
        with self._module.guard:
            try:
                session = self._module.open(own.label, own.pin)
            except PROBLEMS as problem:
                say(problem, own.label)

            def run(work: Callable[[Any], Any]) -> Any:
                try:
                    return work(session)
                except PROBLEMS as problem:
                    say(problem, own.label)

            try:
                yield run
            finally:
                end(session)  # the last session of a token ends its login (PKCS #11 v2.40 §5.6)


def end(session: Any) -> None:
    """Close a session that may be dead."""
    if session is not None:
        try:
            session.close()
        except PROBLEMS:
            return


def _closed(work: Any) -> Any:
    raise Unavailable(
        "token-needs-pin",
        "Khóa nằm trong thiết bị riêng của người ký, mỗi lần dùng cần mã PIN.",
        "The key lies in the person's own token; each use needs its PIN.",
    )


def _pin_file(place: TokenPlace) -> Unavailable:
    return Unavailable(
        "token-pin-file",
        f"Mã PIN trong tệp {place.pin_file.name} không mở được thiết bị khóa “{place.label}”. Sửa tệp rồi thử lại.",
        f"The PIN in {place.pin_file.name} does not open the token “{place.label}”. Correct the file, then try again.",
    )
