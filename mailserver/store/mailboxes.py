# SPDX-License-Identifier: AGPL-3.0-or-later
"""Mailboxes: make, name, remove, read with their counters. All functions of a connection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from config.clock import now_us
from config.refusal import Refused
from config.seal import Seal
from config.statement import Statement
from mailserver.accounts.model import AccountRef
from mailserver.accounts.schema import counter, next_number
from mailserver.store import schema
from mailserver.store.model import FIRST_KEYWORD_BIT, INBOX, LAST_KEYWORD_BIT, SPECIAL_FOLDERS, Mailbox, Ref

_MOST_MAILBOXES = 2000
NOBODY = 0
"""The owner of a deleted mailbox."""


class NoSuchMailbox(Refused):
    """There is no such mailbox, or it may not be seen."""

    def __init__(self) -> None:
        super().__init__("no-such-mailbox", "Không có hộp thư này.", "There is no such mailbox.")


class MailboxExists(Refused):
    """The name is taken."""

    def __init__(self) -> None:
        super().__init__(
            "mailbox-exists", "Đã có hộp thư cùng tên.", "A mailbox of this name exists already."
        )


def create_standard(conn: sa.Connection, seal: Seal, owner: AccountRef) -> Ref:
    """INBOX and the special-use folders of a new account; returns the inbox."""
    inbox = create(conn, seal, owner, INBOX)
    for use, name in SPECIAL_FOLDERS:
        create(conn, seal, owner, name, use)
    return inbox


def create(conn: sa.Connection, seal: Seal, owner: AccountRef, name: str, use: str | None = None) -> Ref:
    """Make a mailbox. Raises `MailboxExists`, or `Refused` (``too-many-mailboxes``)."""
    table = schema.mailbox
    digest = _digest(seal, name)
    if _find(conn, owner, digest) is not None:
        raise MailboxExists
    held = conn.execute(
        sa.select(sa.func.count())
        .select_from(table)
        .where(table.c.agency == owner.agency, table.c.owner == owner.account)
    ).scalar()
    if int(held or 0) >= _MOST_MAILBOXES:
        raise Refused(
            "too-many-mailboxes",
            "Tài khoản đã có quá nhiều hộp thư. Hãy xóa bớt.",
            "This account has too many mailboxes already. Please delete some.",
        )
    ref = Ref(owner.agency, next_number(conn, owner.agency, "mailbox"))
    conn.execute(
        sa.insert(table).values(
            agency=ref.agency,
            mailbox=ref.mailbox,
            owner=owner.account,
            name_digest=digest,
            sealed_name=seal.seal_text(name, _aad(ref)),
            special_use=use,
            subscribed=True,
            uidvalidity=_uidvalidity(conn, owner.agency),
            uidnext=1,
            highestmodseq=1,
            exists=0,
            unseen=0,
            size=0,
        )
    )
    return ref


def rename(conn: sa.Connection, seal: Seal, ref: Ref, owner: AccountRef, name: str) -> None:
    """Give a mailbox another name; its UIDs and UIDVALIDITY stay. Raises `MailboxExists`."""
    digest = _digest(seal, name)
    if _find(conn, owner, digest) is not None:
        raise MailboxExists
    table = schema.mailbox
    conn.execute(
        sa.update(table)
        .where(table.c.agency == ref.agency, table.c.mailbox == ref.mailbox)
        .values(name_digest=digest, sealed_name=seal.seal_text(name, _aad(ref)))
    )


def bury(conn: sa.Connection, seal: Seal, ref: Ref) -> None:
    """Take a mailbox away from its owner: nobody lists or finds it any more.

    Its messages go to the vault in slices (`moving.clear`); the row stays for its name until the vault
    holds none of them (`vault.purge`). Raises `NoSuchMailbox`.
    """
    lock(conn, ref)
    table = schema.mailbox
    here = sa.and_(table.c.agency == ref.agency, table.c.mailbox == ref.mailbox)
    conn.execute(
        sa.update(table)
        .where(here, table.c.owner != NOBODY)
        .values(buried_owner=table.c.owner, owner=NOBODY, name_digest=seal.digest("buried", _aad(ref)))
    )
    for other in (schema.follower, schema.grant):
        conn.execute(sa.delete(other).where(other.c.agency == ref.agency, other.c.mailbox == ref.mailbox))


def owner_of(conn: sa.Connection, ref: Ref) -> int | None:
    """Whose mailbox this is; `NOBODY` when it was deleted, None when it was never there or is forgotten."""
    table = schema.mailbox
    return conn.execute(
        sa.select(table.c.owner).where(table.c.agency == ref.agency, table.c.mailbox == ref.mailbox)
    ).scalar()


def name_of(conn: sa.Connection, seal: Seal, ref: Ref) -> str:
    """The name a mailbox has or had; "" when it is forgotten."""
    table = schema.mailbox
    sealed = conn.execute(
        sa.select(table.c.sealed_name).where(table.c.agency == ref.agency, table.c.mailbox == ref.mailbox)
    ).scalar()
    return "" if sealed is None else seal.open_text(sealed, _aad(ref))


def buried(conn: sa.Connection, limit: int) -> list[Ref]:
    """Deleted mailboxes that still hold messages, or of which the vault holds none any more."""
    table = schema.mailbox
    held, kept = (
        sa.exists().where(other.c.agency == table.c.agency, other.c.mailbox == table.c.mailbox)
        for other in (schema.message, schema.vault)
    )
    query = (
        sa.select(table.c.agency, table.c.mailbox)
        .where(table.c.owner == NOBODY, sa.or_(held, ~kept))
        .limit(limit)
    )
    return [Ref(row.agency, row.mailbox) for row in conn.execute(query)]


def forget(conn: sa.Connection, ref: Ref) -> None:
    """Remove the rows of a buried mailbox that holds no message and of which the vault holds none."""
    for other in (schema.change, schema.flag_range, schema.snapshot, schema.keyword, schema.mailbox):
        conn.execute(sa.delete(other).where(other.c.agency == ref.agency, other.c.mailbox == ref.mailbox))


def subscribe(conn: sa.Connection, ref: Ref, wanted: bool) -> None:
    """Set whether LSUB shows the mailbox."""
    table = schema.mailbox
    conn.execute(
        sa.update(table)
        .where(table.c.agency == ref.agency, table.c.mailbox == ref.mailbox)
        .values(subscribed=wanted)
    )


def add_keyword(conn: sa.Connection, seal: Seal, ref: Ref, name: str) -> int:
    """The bit of keyword ``name`` in the mailbox, made when new. Raises `Refused` when all are taken."""
    lock(conn, ref)
    known = _keywords(conn, seal, ref)
    for bit, word in known.items():
        if word.casefold() == name.casefold():
            return bit
    bit = max(known, default=FIRST_KEYWORD_BIT - 1) + 1
    if bit > LAST_KEYWORD_BIT:
        raise Refused(
            "too-many-keywords",
            "Hộp thư đã dùng hết số nhãn.",
            "This mailbox has no room for another keyword.",
        )
    conn.execute(
        sa.insert(schema.keyword).values(
            agency=ref.agency, mailbox=ref.mailbox, bit=bit, sealed_name=seal.seal_text(name, b"keyword")
        )
    )
    return bit


_COLUMNS = (
    schema.mailbox.c.agency,
    schema.mailbox.c.mailbox,
    schema.mailbox.c.owner,
    schema.mailbox.c.sealed_name,
    schema.mailbox.c.special_use,
    schema.mailbox.c.uidvalidity,
    schema.mailbox.c.uidnext,
    schema.mailbox.c.highestmodseq,
    schema.mailbox.c.exists,
    schema.mailbox.c.unseen,
    schema.mailbox.c.size,
    schema.mailbox.c.subscribed,
)
_GET = Statement(
    sa.select(*_COLUMNS).where(
        schema.mailbox.c.agency == sa.bindparam("in_agency"),
        schema.mailbox.c.mailbox == sa.bindparam("in_mailbox"),
        schema.mailbox.c.owner != sa.literal_column(str(NOBODY)),
    )
)
_OF_OWNER = Statement(
    sa.select(*_COLUMNS).where(
        schema.mailbox.c.agency == sa.bindparam("in_agency"),
        schema.mailbox.c.owner == sa.bindparam("of_owner"),
    )
)
_KEYWORDS_OF_OWNER = Statement(
    sa.select(schema.keyword.c.mailbox, schema.keyword.c.bit, schema.keyword.c.sealed_name)
    .join(
        schema.mailbox,
        sa.and_(
            schema.mailbox.c.agency == schema.keyword.c.agency,
            schema.mailbox.c.mailbox == schema.keyword.c.mailbox,
        ),
    )
    .where(
        schema.mailbox.c.agency == sa.bindparam("in_agency"),
        schema.mailbox.c.owner == sa.bindparam("of_owner"),
    )
    .order_by(schema.keyword.c.mailbox, schema.keyword.c.bit)
)
_KEYWORDS = Statement(
    sa.select(schema.keyword.c.bit, schema.keyword.c.sealed_name)
    .where(
        schema.keyword.c.agency == sa.bindparam("in_agency"),
        schema.keyword.c.mailbox == sa.bindparam("in_mailbox"),
    )
    .order_by(schema.keyword.c.bit)
)


def get(conn: sa.Connection, seal: Seal, ref: Ref) -> Mailbox | None:
    """The mailbox as it is now."""
    row = _GET.row(conn, in_agency=ref.agency, in_mailbox=ref.mailbox)
    return None if row is None else _mailbox(row, seal, _keywords(conn, seal, ref))


def modseqs(conn: sa.Connection, refs: Iterable[Ref]) -> dict[Ref, int]:
    """The highest modseqs of several mailboxes; those that are gone are left out."""
    table = schema.mailbox
    wanted = sa.tuple_(table.c.agency, table.c.mailbox).in_([tuple(one) for one in refs])
    query = sa.select(table.c.agency, table.c.mailbox, table.c.highestmodseq).where(wanted)
    return {Ref(agency, mailbox): modseq for agency, mailbox, modseq in conn.execute(query)}


def of_owner(conn: sa.Connection, seal: Seal, owner: AccountRef) -> list[Mailbox]:
    """All mailboxes of an account, INBOX first, then special folders, then by name."""
    keywords: dict[int, dict[int, str]] = {}
    here = {"in_agency": owner.agency, "of_owner": owner.account}
    for mailbox, bit, sealed in _KEYWORDS_OF_OWNER.rows(conn, **here):
        keywords.setdefault(mailbox, {})[bit] = seal.open_text(sealed, b"keyword")
    rows = _OF_OWNER.rows(conn, **here)
    uses = [use for use, _ in SPECIAL_FOLDERS]
    found = [_mailbox(row, seal, keywords.get(row[1], {})) for row in rows]
    return sorted(
        found,
        key=lambda one: (
            one.name != INBOX,
            uses.index(one.special_use) if one.special_use in uses else len(uses),
            one.name,
        ),
    )


def find(conn: sa.Connection, seal: Seal, owner: AccountRef, name: str) -> Ref | None:
    """The mailbox of ``owner`` with this name (INBOX in any case)."""
    return _find(conn, owner, _digest(seal, name))


def find_use(conn: sa.Connection, owner: AccountRef, use: str) -> Ref | None:
    """The mailbox of ``owner`` with this special use."""
    table = schema.mailbox
    row = conn.execute(
        sa.select(table.c.agency, table.c.mailbox).where(
            table.c.agency == owner.agency, table.c.owner == owner.account, table.c.special_use == use
        )
    ).first()
    return None if row is None else Ref(row.agency, row.mailbox)


_LOCK = Statement(
    sa.update(schema.mailbox)
    .where(
        schema.mailbox.c.agency == sa.bindparam("in_agency"),
        schema.mailbox.c.mailbox == sa.bindparam("in_mailbox"),
    )
    .values(highestmodseq=schema.mailbox.c.highestmodseq)
    .returning(schema.mailbox.c.highestmodseq)
)


def lock(conn: sa.Connection, ref: Ref) -> int:
    """Take the mailbox's row lock for this transaction; returns its modseq. Raises `NoSuchMailbox`."""
    row = _LOCK.row(conn, in_agency=ref.agency, in_mailbox=ref.mailbox)
    if row is None:
        raise NoSuchMailbox
    return int(row[0])


_FIND = Statement(
    sa.select(schema.mailbox.c.agency, schema.mailbox.c.mailbox).where(
        schema.mailbox.c.agency == sa.bindparam("in_agency"),
        schema.mailbox.c.owner == sa.bindparam("of_owner"),
        schema.mailbox.c.name_digest == sa.bindparam("named"),
    )
)


def _find(conn: sa.Connection, owner: AccountRef, digest: bytes) -> Ref | None:
    row = _FIND.row(conn, in_agency=owner.agency, of_owner=owner.account, named=digest)
    return None if row is None else Ref(row[0], row[1])


def _digest(seal: Seal, name: str) -> bytes:
    return seal.digest("mailbox", (INBOX if name.upper() == INBOX else name).encode())


def _aad(ref: Ref) -> bytes:
    return f"mailbox {ref.agency}.{ref.mailbox}".encode()


def _keywords(conn: sa.Connection, seal: Seal, ref: Ref) -> dict[int, str]:
    rows = _KEYWORDS.rows(conn, in_agency=ref.agency, in_mailbox=ref.mailbox)
    return {bit: seal.open_text(sealed, b"keyword") for bit, sealed in rows}


def _uidvalidity(conn: sa.Connection, agency: int) -> int:
    """Seconds since 1970, but never the same twice in an agency: a name made anew has another one."""
    now = now_us() // 1_000_000
    given = next_number(conn, agency, "uidvalidity", first=now)
    if given < now:
        conn.execute(
            sa.update(counter)
            .where(counter.c.agency == agency, counter.c.kind == "uidvalidity")
            .values(next=now + 1)
        )
        return now
    return given


def _mailbox(row: tuple[Any, ...], seal: Seal, keywords: dict[int, str]) -> Mailbox:
    agency, mailbox, owner, sealed_name, use, validity, uidnext, modseq, exists, unseen, size, subscribed = (
        row
    )
    ref = Ref(agency, mailbox)
    name = seal.open_text(sealed_name, _aad(ref))
    return Mailbox(
        ref,
        AccountRef(agency, owner),
        name,
        use,
        validity,
        uidnext,
        modseq,
        exists,
        unseen,
        size,
        bool(subscribed),
        keywords,
    )
