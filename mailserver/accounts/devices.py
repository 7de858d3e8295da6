# SPDX-License-Identifier: AGPL-3.0-or-later
"""Devices: a person's mail programs, each with an app password of its own that can be taken back.

A device may have a certificate instead (`mailserver.accounts.certificates`). All functions of a connection;
adding and revoking leave a ledger entry. The password is shown once.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from config.refusal import Refused
from config.seal import Seal
from mailserver.accounts import certificates, passwords
from mailserver.accounts.changes import add_credential
from mailserver.accounts.model import Account, AccountRef
from mailserver.accounts.schema import credential, device_use
from policy.ledger.entries import record

MOST = 30
_LONGEST_LABEL = 60


@dataclass(frozen=True, slots=True)
class Device:
    """An app password or a certificate: ``number`` within the account, ``label`` as the person named it, when it was made.

    ``used_us`` and ``source``: when it was last used and from which network address; 0 and "" before that.
    ``certified``: it signs in by its certificate.
    """

    number: int
    label: str
    created_us: int
    used_us: int = 0
    source: str = ""
    certified: bool = False


class NoSuchDevice(Refused):
    """The device is not there (any more)."""

    def __init__(self) -> None:
        super().__init__(
            "no-such-device",
            "Không có thiết bị này, hoặc đã được gỡ trước đó.",
            "There is no such device, or it was removed before.",
        )


def add(conn: sa.Connection, seal: Seal, owner: Account, label: str, by: str) -> tuple[Device, str]:
    """A new device and its password. Raises `Refused` without a name or when there are too many."""
    named = _room_for(conn, seal, owner, label)
    password = passwords.new_app_password()
    kept = passwords.keep(passwords.APP, password, passwords.scram_salt(seal, owner.address))
    number = add_credential(conn, seal, owner.ref, passwords.APP, kept, named)
    record(conn, seal, "device.added", owner.address, {"device": named, "number": number, "by": by})
    return _one(conn, seal, owner, number), password


def add_certificate(
    conn: sa.Connection, seal: Seal, owner: Account, label: str, certificate: bytes, by: str
) -> Device:
    """A new device that signs in by its TLS certificate (PEM or DER). Raises `Refused`, also for an unfit certificate."""
    named = _room_for(conn, seal, owner, label)
    der = certificates.fit(certificate)
    mark = certificates.fingerprint(der)
    number = add_credential(conn, seal, owner.ref, certificates.KIND, mark, named)
    certificates.pin(conn, owner.ref, number, der)
    told = {"device": named, "number": str(number), "fingerprint": mark.hex(), "by": by}
    record(conn, seal, "device.added", owner.address, told)
    return _one(conn, seal, owner, number)


def _one(conn: sa.Connection, seal: Seal, owner: Account, number: int) -> Device:
    return next(one for one in listed(conn, seal, owner.ref) if one.number == number)


def _room_for(conn: sa.Connection, seal: Seal, owner: Account, label: str) -> str:
    """The label as it is kept. Raises `Refused` without a name or when there are too many."""
    named = "".join(one for one in label if one.isprintable()).strip()[:_LONGEST_LABEL]
    if not named:
        raise Refused(
            "device-unnamed",
            "Đặt tên cho thiết bị, ví dụ “Điện thoại” hoặc “Máy cơ quan”.",
            "Give the device a name, for example “Phone” or “Office computer”.",
        )
    if len(listed(conn, seal, owner.ref)) >= MOST:
        raise Refused(
            "too-many-devices",
            f"Đã có {MOST} thiết bị. Gỡ thiết bị không dùng nữa rồi thêm lại.",
            f"There are {MOST} devices already. Remove one that is no longer used.",
        )
    return named


def listed(conn: sa.Connection, seal: Seal, owner: AccountRef) -> list[Device]:
    """The devices of an account, oldest first; app passwords of an import have no name."""
    table, use = credential, device_use
    same = sa.and_(
        use.c.agency == table.c.agency,
        use.c.account == table.c.account,
        use.c.credential == table.c.credential,
    )
    rows = conn.execute(
        sa.select(
            table.c.credential,
            table.c.kind,
            table.c.sealed_label,
            table.c.created_us,
            use.c.used_us,
            use.c.sealed_source,
        )
        .join(use, same, isouter=True)
        .where(
            table.c.agency == owner.agency,
            table.c.account == owner.account,
            table.c.kind.in_([passwords.APP, certificates.KIND]),
        )
        .order_by(table.c.credential)
    )
    return [
        Device(
            row.credential,
            seal.open_text(row.sealed_label, b"credential"),
            row.created_us,
            row.used_us or 0,
            seal.open_text(row.sealed_source, b"device use") if row.sealed_source else "",
            row.kind == certificates.KIND,
        )
        for row in rows
    ]


def revoke(conn: sa.Connection, seal: Seal, owner: Account, number: int, by: str) -> None:
    """Take a device's password or certificate back. Raises `NoSuchDevice`."""
    table = credential
    gone = conn.execute(
        sa.delete(table).where(
            table.c.agency == owner.ref.agency,
            table.c.account == owner.ref.account,
            table.c.credential == number,
            table.c.kind.in_([passwords.APP, certificates.KIND]),
        )
    )
    if not gone.rowcount:
        raise NoSuchDevice
    conn.execute(
        sa.delete(device_use).where(
            device_use.c.agency == owner.ref.agency,
            device_use.c.account == owner.ref.account,
            device_use.c.credential == number,
        )
    )
    certificates.unpin(conn, owner.ref, number)
    record(conn, seal, "device.revoked", owner.address, {"number": number, "by": by})
