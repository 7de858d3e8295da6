# SPDX-License-Identifier: AGPL-3.0-or-later
"""Rows of the registers and their versions: added, never changed in place (R-REG-07).

The row holds the state; each version holds the legal columns as they stood, who wrote them and why. Every
version is a ledger entry of the acting transaction.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, NamedTuple

import sqlalchemy as sa

from config.clock import now_us
from config.refusal import Refused
from config.seal import Seal
from exchange.documents.kinds import nfc, shown, shown_number
from exchange.registers.numbers import Register, take
from exchange.registers.schema import register_row, register_version
from policy.ledger.entries import record
from policy.ledger.leaf import JSON

STATES = ("numbered", "issued", "void", "reserved")
_LARGEST_DETAIL = 12_000
_NEXT = {("reserved", "numbered"), ("reserved", "void"), ("numbered", "issued"), ("numbered", "void")}


class RowKey(NamedTuple):
    """Names one row: the agency's number, the register, the year, the sequence and the number."""

    agency: int
    register: Register
    year: int
    sequence: str
    number: int

    @property
    def name(self) -> str:
        """``3/outgoing/2026/khac/12``: how approvals and ledger entries name the row."""
        return "/".join(str(one) for one in self)


@dataclass(frozen=True, slots=True)
class Entry:
    """What a new version says: the legal columns, who (address) wrote it, and why when it is a correction."""

    columns: Mapping[str, str]
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One row with its newest version."""

    key: RowKey
    state: str
    medium: str
    dated: date
    document: int | None
    version: int
    columns: dict[str, str]
    actor: str
    reason: str
    at_us: int
    home: int | None = None
    "The agency in which ``document`` lies when it is another's (`exchange.registers.joint`)."


def add_row(
    conn: sa.Connection,
    seal: Seal,
    *,
    agency: int,
    register: Register,
    sequence: str,
    dated: date,
    state: str,
    notation: str,
    entry: Entry,
    document: int | None = None,
    medium: str = "electronic",
    home: int | None = None,
    shown_as: str = "",
) -> RowKey:
    """Take the next number and write its row; both in the caller's transaction.

    The number's own column (number and notation, or the arrival number) is filled in here, with ``shown_as`` when the
    document bears the number of another agency (``home``).

    Raises `Refused`: as `numbers.take`, or ``number-taken`` when number and notation stand there already.
    """
    number = take(conn, agency, register, sequence, dated)
    key = RowKey(agency, register, dated.year, sequence, number)
    digest = notation_digest(seal, register, sequence, notation, state)
    if register == "outgoing" and _pair_stands(conn, key, digest):
        raise Refused(
            "number-taken",
            f"Số {number}/{notation} đã có trong sổ năm {dated.year}.",
            f"{number}/{notation} stands in the register of {dated.year} already.",
            rule="R-NUM-01",
        )
    conn.execute(
        sa.insert(register_row).values(
            **key._asdict(),
            state=state,
            medium=medium,
            dated=dated,
            document=document,
            notation_digest=digest,
            version=1,
            home=home,
        )
    )
    own = "number" if register == "outgoing" else "arrival_number"
    if not shown_as:
        shown_as = shown(number, notation) if register == "outgoing" and notation else shown_number(number)
    entry = replace(entry, columns={**entry.columns, own: shown_as})
    _add_version(conn, seal, key, 1, state, entry)
    return key


def reserve(
    conn: sa.Connection, seal: Seal, *, agency: int, sequence: str, dated: date, entry: Entry
) -> RowKey:
    """Set a number aside with a name and a reason. Raises `Refused` without a reason."""
    if not entry.reason.strip():
        raise Refused("reason-needed", "Giữ số phải có lý do.", "Setting a number aside needs a reason.")
    return add_row(
        conn,
        seal,
        agency=agency,
        register="outgoing",
        sequence=sequence,
        dated=dated,
        state="reserved",
        notation="",
        entry=entry,
    )


def set_state(conn: sa.Connection, seal: Seal, key: RowKey, state: str, entry: Entry) -> None:
    """Move a row to ``state`` with a new version. Raises `Refused` for a move that is not legal."""
    row = _locked(conn, key)
    if (row.state, state) not in _NEXT:
        raise Refused(
            "wrong-row-state",
            f"Số {key.number} đang là “{row.state}”, không chuyển thành “{state}” được.",
            f"Number {key.number} is “{row.state}” and can't become “{state}”.",
        )
    if state == "void" and not entry.reason.strip():
        raise Refused(
            "reason-needed", "Hủy số phải có lý do.", "Voiding a number needs a reason.", rule="R-NUM-13"
        )
    _set(conn, key, {"state": state, "version": row.version + 1})
    _add_version(conn, seal, key, row.version + 1, state, entry)


def correct(conn: sa.Connection, seal: Seal, key: RowKey, entry: Entry) -> None:
    """Add a version with other columns; the state stays. Raises `Refused` without a reason (R-REG-07)."""
    if not entry.reason.strip():
        raise Refused(
            "reason-needed", "Sửa sổ phải có lý do.", "A correction needs a reason.", rule="R-REG-07"
        )
    row = _locked(conn, key)
    _set(conn, key, {"version": row.version + 1})
    _add_version(conn, seal, key, row.version + 1, row.state, entry)


def read(conn: sa.Connection, seal: Seal, key: RowKey) -> Row | None:
    """One row with its newest version."""
    found = listing(conn, seal, key.agency, key.register, key.year, sequence=key.sequence, number=key.number)
    return found[0] if found else None


def listing(
    conn: sa.Connection,
    seal: Seal,
    agency: int,
    register: Register,
    year: int,
    *,
    sequence: str | None = None,
    number: int | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[Row]:
    """The rows of one register and year in order of number, newest versions."""
    r, v = register_row.c, register_version.c
    query = (
        sa.select(register_row, v.at_us, v.sealed)
        .join(
            register_version,
            sa.and_(
                *(r[name] == v[name] for name in ("agency", "register", "year", "sequence", "number")),
                r.version == v.version,
            ),
        )
        .where(r.agency == agency, r.register == register, r.year == year)
        .order_by(r.sequence, r.number)
        .limit(limit)
        .offset(offset)
    )
    if sequence is not None:
        query = query.where(r.sequence == sequence)
    if number is not None:
        query = query.where(r.number == number)
    return [_read(seal, row) for row in conn.execute(query)]


def history(conn: sa.Connection, seal: Seal, key: RowKey) -> list[tuple[int, str, int, Entry]]:
    """All versions of a row: (version, state, µs UTC, entry), oldest first."""
    v = register_version.c
    query = (
        sa.select(v.version, v.state, v.at_us, v.sealed)
        .where(*(v[name] == value for name, value in key._asdict().items()))
        .order_by(v.version)
    )
    found = []
    for row in conn.execute(query):
        told = json.loads(seal.open(row.sealed, _aad(key, row.version)))
        found.append((row.version, row.state, row.at_us, Entry(**told)))
    return found


def notation_digest(seal: Seal, register: str, sequence: str, notation: str, state: str) -> bytes:
    """What makes number and notation unique. A reserved row has no notation yet: its sequence stands in."""
    value = f"reserved/{sequence}" if register == "outgoing" and state == "reserved" else nfc(notation)
    return seal.digest("register-notation", value.encode())


def _pair_stands(conn: sa.Connection, key: RowKey, digest: bytes) -> bool:
    table = register_row
    return (
        conn.execute(
            sa.select(table.c.number).where(
                table.c.agency == key.agency,
                table.c.register == "outgoing",
                table.c.year == key.year,
                table.c.number == key.number,
                table.c.notation_digest == digest,
            )
        ).first()
        is not None
    )


def _locked(conn: sa.Connection, key: RowKey) -> Any:
    row = conn.execute(
        sa.select(register_row.c.state, register_row.c.version).where(_at(key)).with_for_update()
    ).first()
    if row is None:
        raise Refused(
            "no-such-row", f"Sổ không có số {key.number}.", f"The register has no number {key.number}."
        )
    return row


def _set(conn: sa.Connection, key: RowKey, values: dict[str, object]) -> None:
    conn.execute(sa.update(register_row).where(_at(key)).values(**values))


def _add_version(
    conn: sa.Connection, seal: Seal, key: RowKey, version: int, state: str, entry: Entry
) -> None:
    told = {"columns": dict(entry.columns), "actor": entry.actor, "reason": entry.reason}
    at = now_us()
    conn.execute(
        sa.insert(register_version).values(
            **key._asdict(),
            version=version,
            state=state,
            at_us=at,
            sealed=seal.seal(json.dumps(told, ensure_ascii=False).encode(), _aad(key, version)),
        )
    )
    detail: dict[str, JSON] = {"version": version, "state": state, "actor": entry.actor}
    if len(json.dumps(told)) <= _LARGEST_DETAIL:
        detail |= {"columns": dict(entry.columns), "reason": entry.reason}
    else:  # a letter to hundreds of bodies: the ledger keeps the digest of what the version says
        canonical = json.dumps(told, ensure_ascii=False, sort_keys=True).encode()
        detail["sha256"] = hashlib.sha256(canonical).hexdigest()
    record(conn, seal, f"register.{state}", key.name, detail, at)


def _at(key: RowKey) -> sa.ColumnElement[bool]:
    return sa.and_(*(register_row.c[name] == value for name, value in key._asdict().items()))


def _aad(key: RowKey, version: int) -> bytes:
    return f"register {key.name} {version}".encode()


def _read(seal: Seal, row: Any) -> Row:
    key = RowKey(row.agency, row.register, row.year, row.sequence, row.number)
    told = json.loads(seal.open(row.sealed, _aad(key, row.version)))
    return Row(
        key,
        row.state,
        row.medium,
        row.dated,
        row.document,
        row.version,
        told["columns"],
        told["actor"],
        told["reason"],
        row.at_us,
        row.home,
    )
