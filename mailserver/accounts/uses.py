# SPDX-License-Identifier: AGPL-3.0-or-later
"""When and from where a device's password was last used: noted in memory, written now and then.

So is another form of a kept password that its use made possible (`renew`). A sign-in must not wait for the
disk, so what a crash takes away is a minute of these notes at most.
"""

from __future__ import annotations

import threading

import sqlalchemy as sa

from config.clock import now_us
from config.seal import Seal
from mailserver.accounts.model import AccountRef
from mailserver.accounts.schema import credential, device_use

_MOST_AT_ONCE = 500


class Uses:
    """The notes of one process. Safe from several threads."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal
        self._noted: dict[tuple[AccountRef, bytes], tuple[int, str]] = {}
        self._renewed: dict[tuple[AccountRef, bytes], bytes] = {}
        self._guard = threading.Lock()

    def note(self, ref: AccountRef, secret: bytes, source: str) -> None:
        """``secret`` (as it is kept) opened the account ``ref`` for somebody at ``source``."""
        with self._guard:
            self._noted[ref, secret] = (now_us(), source)

    def renew(self, ref: AccountRef, secret: bytes, better: bytes) -> None:
        """``better`` is to be kept for ``secret`` of the account ``ref``."""
        with self._guard:
            self._renewed[ref, secret] = better

    @property
    def waiting(self) -> bool:
        """Whether there is something to write."""
        return bool(self._noted or self._renewed)

    def write(self, conn: sa.Connection) -> None:
        """Write up to 500 notes; those that were taken are forgotten."""
        with self._guard:
            taken = [(key, self._noted.pop(key)) for key in list(self._noted)[:_MOST_AT_ONCE]]
            renewed = [(key, self._renewed.pop(key)) for key in list(self._renewed)[:_MOST_AT_ONCE]]
        for (ref, secret), (at, source) in taken:
            number = conn.execute(
                sa.select(credential.c.credential).where(
                    credential.c.agency == ref.agency,
                    credential.c.account == ref.account,
                    credential.c.secret == secret,
                )
            ).scalar()
            if number is None:
                continue
            values = {"used_us": at, "sealed_source": self._seal.seal_text(source, b"device use")}
            key = {"agency": ref.agency, "account": ref.account, "credential": number}
            same = [device_use.c[name] == value for name, value in key.items()]
            if not conn.execute(sa.update(device_use).where(*same).values(**values)).rowcount:
                conn.execute(sa.insert(device_use).values(**key, **values))
        for (ref, secret), better in renewed:
            conn.execute(
                sa.update(credential)
                .where(
                    credential.c.agency == ref.agency,
                    credential.c.account == ref.account,
                    credential.c.secret == secret,
                )
                .values(secret=better)
            )
