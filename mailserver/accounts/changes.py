# SPDX-License-Identifier: AGPL-3.0-or-later
"""Acts on the directory: add an agency, add or lock an account, give it a password.

Each is a function of a connection, to be run in one writing transaction, and leaves a ledger entry.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from config.clock import now_us
from config.refusal import Refused
from config.seal import Seal
from mailserver.accounts.model import ROLES, Account, AccountRef, Agency, canonical
from mailserver.accounts.schema import account, agency, credential, next_number, web_session
from policy.ledger.entries import record


@dataclass(frozen=True, slots=True)
class NewAgency:
    """What `add_agency` needs; ``registry`` is the local part of the registry mailbox.

    ``elsewhere``: that mailbox lies on another server.
    """

    code: str
    name: str
    short: str
    domain: str
    parent: str = ""
    old_code: str = ""
    place: str = "Cà Mau"
    level: int = 2
    registry: str = "vanthu"
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What `add_account` needs; ``kept`` are credentials ready to store: (kind, stored bytes)."""

    address: str
    name: str
    title: str
    role: str
    kept: tuple[tuple[str, bytes], ...] = ()


def add_agency(conn: sa.Connection, seal: Seal, new: NewAgency) -> Agency:
    """Add an agency, with its registry account when it is here. Raises `Refused`: the code or domain is taken."""
    taken = conn.execute(
        sa.select(agency.c.code).where(sa.or_(agency.c.code == new.code, agency.c.domain == new.domain))
    ).first()
    if taken is not None:
        raise Refused(
            "agency-exists",
            f"Mã {new.code} hoặc tên miền {new.domain} đã có cơ quan dùng.",
            f"The code {new.code} or the domain {new.domain} is in use already.",
        )
    number = next_number(conn, 0, "agency")
    address = canonical(f"{new.registry}@{new.domain}")
    conn.execute(
        sa.insert(agency).values(
            agency=number,
            code=new.code,
            old_code=new.old_code,
            parent=new.parent,
            name=new.name,
            short=new.short,
            domain=new.domain.lower(),
            place=new.place,
            level=new.level,
            registry_account=1,
            registry_address=address,
            from_us=now_us(),
            elsewhere=new.elsewhere,
        )
    )
    made = Agency(
        number,
        new.code,
        new.old_code,
        new.parent,
        new.name,
        new.short,
        new.domain.lower(),
        new.place,
        new.level,
        AccountRef(number, 1),
        address,
        elsewhere=new.elsewhere,
    )
    told = {"name": new.name, "domain": new.domain} | ({"elsewhere": True} if new.elsewhere else {})
    record(conn, seal, "agency.added", new.code, told)
    if new.elsewhere:
        next_number(conn, 0, "directory")
    else:
        add_account(conn, seal, made, NewAccount(address, f"Văn thư {new.short}", "Văn thư", "registry"))
    return made


def send_elsewhere(conn: sa.Connection, seal: Seal, whom: Agency, by: str) -> None:
    """Another server has the agency's mail from now on; letters in its registry mailbox stay where they are.

    Raises `Refused` (``agency-has-accounts``) while somebody else has an active account of it here.
    """
    a = account.c
    others = sa.select(a.account).where(
        a.agency == whom.number, a.account != whom.registry.account, a.state == "active"
    )
    if conn.execute(others.limit(1)).first() is not None:
        raise Refused(
            "agency-has-accounts",
            f"{whom.code} còn tài khoản ở đây. Chuyển thư của họ đi, khóa bằng `congvan account lock`, rồi làm lại.",
            f"{whom.code} still has accounts here. Move their mail, lock them by `congvan account lock`, then try again.",
        )
    conn.execute(sa.update(agency).where(agency.c.agency == whom.number).values(elsewhere=True))
    conn.execute(
        sa.update(account)
        .where(a.agency == whom.number, a.account == whom.registry.account)
        .values(state="left")
    )
    next_number(conn, 0, "directory")
    record(conn, seal, "agency.elsewhere", whom.code, {"domain": whom.domain, "by": by})


def add_account(conn: sa.Connection, seal: Seal, home: Agency, new: NewAccount) -> Account:
    """Add an account of ``home``. Raises `Refused`: a taken address, an unknown role, an agency elsewhere."""
    if home.elsewhere:
        raise Refused(
            "agency-elsewhere",
            f"Hộp thư của {home.code} ở máy chủ khác ({home.domain}): tạo tài khoản ở đó.",
            f"The mailboxes of {home.code} are on another server ({home.domain}): make the account there.",
        )
    if new.role not in ROLES:
        raise Refused(
            "unknown-role",
            f"Không có vai trò “{new.role}”.",
            f"There is no role “{new.role}”: {', '.join(ROLES)}.",
        )
    address = canonical(new.address)
    digest = address_digest(seal, address)
    if conn.execute(sa.select(account.c.agency).where(account.c.address_digest == digest)).first():
        raise Refused(
            "address-taken",
            f"Địa chỉ {address} đã có người dùng.",
            f"The address {address} is in use already.",
        )
    ref = AccountRef(home.number, next_number(conn, home.number, "account"))
    told = json.dumps({"address": address, "name": new.name, "title": new.title}, ensure_ascii=False)
    conn.execute(
        sa.insert(account).values(
            agency=ref.agency,
            account=ref.account,
            address_digest=digest,
            role=new.role,
            state="active",
            created_us=now_us(),
            sealed=seal.seal(told.encode(), f"account {ref.agency}.{ref.account}".encode()),
        )
    )
    for kind, kept in new.kept:
        add_credential(conn, seal, ref, kind, kept, "")
    next_number(conn, 0, "directory")
    if new.role != "registry":
        record(conn, seal, "account.added", address, {"role": new.role, "agency": home.code})
    return Account(ref, address, new.name, new.title, new.role, home.code, home.name)


def add_credential(
    conn: sa.Connection, seal: Seal, ref: AccountRef, kind: str, kept: bytes, label: str
) -> int:
    """Store a credential (`passwords.keep` made it) and return its number within the account."""
    table = credential
    last = conn.execute(
        sa.select(sa.func.max(table.c.credential)).where(
            table.c.agency == ref.agency, table.c.account == ref.account
        )
    ).scalar()
    number = int(last or 0) + 1
    conn.execute(
        sa.insert(table).values(
            agency=ref.agency,
            account=ref.account,
            credential=number,
            kind=kind,
            secret=kept,
            created_us=now_us(),
            sealed_label=seal.seal_text(label, b"credential"),
        )
    )
    return number


def set_state(conn: sa.Connection, seal: Seal, who: Account, state: str, by: str) -> None:
    """Lock (``locked``) or open (``active``) an account; ``by`` is the address of who did it.

    Locking ends its sessions on the pages: they don't come back when it is opened again.
    """
    conn.execute(
        sa.update(account)
        .where(account.c.agency == who.ref.agency, account.c.account == who.ref.account)
        .values(state=state)
    )
    if state != "active":
        mine = (web_session.c.agency == who.ref.agency, web_session.c.account == who.ref.account)
        conn.execute(sa.delete(web_session).where(*mine))
    next_number(conn, 0, "directory")
    record(conn, seal, f"account.{state}", who.address, {"by": by})


def set_masked(conn: sa.Connection, seal: Seal, who: Account, masked: frozenset[str], by: str) -> None:
    """Say which IMAP capabilities (upper case) are not offered to the mail programs of an account."""
    told: dict[str, Any] = {"address": who.address, "name": who.name, "title": who.title}
    if masked:
        told["masked"] = sorted(masked)
    conn.execute(
        sa.update(account)
        .where(account.c.agency == who.ref.agency, account.c.account == who.ref.account)
        .values(
            sealed=seal.seal(
                json.dumps(told, ensure_ascii=False).encode(),
                f"account {who.ref.agency}.{who.ref.account}".encode(),
            )
        )
    )
    next_number(conn, 0, "directory")
    record(conn, seal, "account.capabilities", who.address, {"masked": sorted(masked), "by": by})


def set_quota(
    conn: sa.Connection, seal: Seal, whom: Account | Agency, quota_bytes: int | None, by: str
) -> None:
    """Limit what an account or agency keeps: bytes, None for the setting's default, -1 for no limit."""
    if isinstance(whom, Account):
        here = sa.and_(account.c.agency == whom.ref.agency, account.c.account == whom.ref.account)
        conn.execute(sa.update(account).where(here).values(quota_bytes=quota_bytes))
        subject, kind = whom.address, "account.quota"
    else:
        conn.execute(sa.update(agency).where(agency.c.agency == whom.number).values(quota_bytes=quota_bytes))
        subject, kind = whom.code, "agency.quota"
    record(conn, seal, kind, subject, {"bytes": quota_bytes, "by": by})


def address_digest(seal: Seal, address: str) -> bytes:
    """How an address is found without showing it."""
    return seal.digest("address", address.encode())
