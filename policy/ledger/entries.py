# SPDX-License-Identifier: AGPL-3.0-or-later
"""Writing entries inside the acting transaction, reading them, disclosing and erasing their details."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NewType

from sqlalchemy import Connection, bindparam, insert, select, update

from config.clock import now_us
from config.refusal import Refused
from config.seal import Seal
from config.statement import Statement
from policy.ledger import schema
from policy.ledger.leaf import JSON, NONCE_BYTES, canonical, commit, decode, valid_kind

_NEW_DETAIL = Statement(
    insert(schema.detail)
    .values(subject_digest=bindparam("subject_digest"), sealed=bindparam("sealed"))
    .returning(schema.detail.c.detail)
)
_NEW_PENDING = Statement(
    insert(schema.pending).values(
        {one.name: bindparam(one.name) for one in schema.pending.columns if one.name != "id"}
    )
)

PendingId = NewType("PendingId", int)
"""Names an entry from the moment it is recorded; `index_of` gives its index once it is sequenced."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One sequenced entry as pages list it."""

    index: int
    kind: str
    at_us: int
    detail: PendingId


@dataclass(frozen=True, slots=True)
class Disclosure:
    """An entry opened: with `nonce` and `detail_json` anybody can recompute the commitment in `leaf`."""

    index: int
    leaf: bytes
    nonce: bytes
    detail_json: bytes

    @property
    def subject(self) -> str:
        """Whom or what the entry is about."""
        return str(json.loads(self.detail_json)["subject"])

    @property
    def detail(self) -> dict[str, Any]:
        """The detail as it was recorded."""
        value: dict[str, Any] = json.loads(self.detail_json)["detail"]
        return value


def record(
    conn: Connection,
    seal: Seal,
    kind: str,
    subject: str,
    detail: Mapping[str, JSON],
    at_us: int | None = None,
) -> PendingId:
    """Add a pending entry in the caller's transaction; it is in the log when that transaction commits.

    `kind` is e.g. "document.sent"; `subject` names whom or what it is about (document id, address, agency
    code); `detail` is JSON without fractions, ≤ 16 KiB. Raises ValueError for anything else.
    """
    if not valid_kind(kind):
        raise ValueError(f"not a kind of entry: {kind!r}")
    nonce = secrets.token_bytes(NONCE_BYTES)
    content = canonical(subject, detail)
    commitment = commit(nonce, content)
    digest = subject_digest(seal, subject)
    sealed = seal.seal(nonce + content, aad=commitment)
    row = _NEW_DETAIL.row(conn, subject_digest=digest, sealed=sealed)
    if row is None:
        raise RuntimeError("the database gave no id for a ledger detail")
    number = int(row[0])
    _NEW_PENDING.run(
        conn,
        kind=kind,
        at_us=now_us() if at_us is None else at_us,
        commitment=commitment,
        detail=number,
        subject_digest=digest,
    )
    return PendingId(number)


def subject_digest(seal: Seal, subject: str) -> bytes:
    """The 16-byte keyed digest by which entries of a subject are found."""
    return seal.digest("ledger-subject", subject.encode("utf-8"))


def index_of(conn: Connection, pending: PendingId) -> int | None:
    """The index an entry got, or None while it waits for the sequencer."""
    return conn.execute(
        select(schema.entry.c.index).where(schema.entry.c.detail == pending)
    ).scalar_one_or_none()


def listing(
    conn: Connection,
    *,
    kind: str | None = None,
    since_us: int | None = None,
    until_us: int | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Listed]:
    """Entries newest first; `kind` may end in "." for a whole family; `before` is the index to page from."""
    e = schema.entry.c
    query = select(e.index, e.kind, e.at_us, e.detail).order_by(e.index.desc()).limit(min(limit, 1000))
    if kind is not None:
        query = query.where(
            e.kind.startswith(kind, autoescape=True) if kind.endswith(".") else e.kind == kind
        )
    if since_us is not None:
        query = query.where(e.at_us >= since_us)
    if until_us is not None:
        query = query.where(e.at_us < until_us)
    if before is not None:
        query = query.where(e.index < before)
    return [Listed(row[0], row.kind, row.at_us, PendingId(row.detail)) for row in conn.execute(query)]


def of_subject(
    conn: Connection, seal: Seal, subject: str, *, before: int | None = None, limit: int = 100
) -> list[Listed]:
    """Entries about one subject, newest first, found without its name standing anywhere in clear."""
    e = schema.entry.c
    query = (
        select(e.index, e.kind, e.at_us, e.detail)
        .where(e.subject_digest == subject_digest(seal, subject))
        .order_by(e.index.desc())
        .limit(min(limit, 1000))
    )
    if before is not None:
        query = query.where(e.index < before)
    return [Listed(row[0], row.kind, row.at_us, PendingId(row.detail)) for row in conn.execute(query)]


def disclose(conn: Connection, seal: Seal, index: int) -> Disclosure:
    """Open one entry. Raises Refused "no-such-entry" or "entry-erased"."""
    e, d = schema.entry.c, schema.detail.c
    row = conn.execute(
        select(e.leaf, d.sealed)
        .join_from(schema.entry, schema.detail, e.detail == d.detail)
        .where(e.index == index)
    ).one_or_none()
    if row is None:
        raise _no_such_entry(index)
    if row.sealed is None:
        raise Refused(
            "entry-erased",
            f"Nội dung của mục {index} đã được xóa theo quy định; chỉ còn cam kết trong sổ.",
            f"The detail of entry {index} was erased; only its commitment remains in the ledger.",
        )
    leaf = bytes(row.leaf)
    opened = seal.open(bytes(row.sealed), aad=decode(leaf).commitment)
    return Disclosure(index, leaf, opened[:NONCE_BYTES], opened[NONCE_BYTES:])


def erase(
    conn: Connection, seal: Seal, index: int, *, actor: str, reason: str, at_us: int | None = None
) -> PendingId:
    """Erase the detail of one entry in the caller's transaction; the erasure is an entry of its own.

    The leaf and its commitment stay, so every proof stays valid. Raises Refused "no-such-entry" or
    "entry-erased".
    """
    moment = now_us() if at_us is None else at_us
    number = conn.execute(
        select(schema.entry.c.detail).where(schema.entry.c.index == index)
    ).scalar_one_or_none()
    if number is None:
        raise _no_such_entry(index)
    done = conn.execute(
        update(schema.detail)
        .where(schema.detail.c.detail == number, schema.detail.c.sealed.is_not(None))
        .values(sealed=None, erased_us=moment)
    )
    if done.rowcount != 1:
        raise Refused(
            "entry-erased",
            f"Nội dung của mục {index} đã được xóa.",
            f"The detail of entry {index} is already erased.",
        )
    return record(conn, seal, "ledger.erased", f"entry/{index}", {"actor": actor, "reason": reason}, moment)


def _no_such_entry(index: int) -> Refused:
    return Refused("no-such-entry", f"Sổ không có mục {index}.", f"The ledger has no entry {index}.")
