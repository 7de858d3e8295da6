# SPDX-License-Identifier: AGPL-3.0-or-later
"""Words on revocation that held packets wait for: a row with the certificates that have none.

So waiting opens nothing: the certificates are looked for again, ever more rarely (a minute, two, four … six hours).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from config.clock import now_us
from config.seal import Seal
from exchange.documents import schema
from exchange.documents.model import DocumentRef

_table = schema.word_awaited
_MINUTE_US = 60 * 1_000_000
_LONGEST_US = 6 * 60 * _MINUTE_US
_GIVEN_UP_US = 30 * 24 * 60 * _MINUTE_US


@dataclass(frozen=True, slots=True)
class Awaited:
    """What a held packet waits for; ``given_up``: it has waited for thirty days."""

    ref: DocumentRef
    certificates: list[x509.Certificate]
    given_up: bool


def begin(
    conn: sa.Connection, seal: Seal, ref: DocumentRef, certificates: Iterable[x509.Certificate]
) -> None:
    """Wait for words on ``certificates`` (none: nothing to wait for), in the transaction that holds the packet."""
    told = b"".join(one.public_bytes(Encoding.PEM) for one in certificates)
    if told:
        now = now_us()
        values = {"since_us": now, "next_us": now + _MINUTE_US, "sealed": seal.seal(told, _aad(ref))}
        conn.execute(sa.insert(_table).values(**ref._asdict(), **values))


def any_due(conn: sa.Connection, now: int) -> bool:
    """Whether one is to be looked for at ``now`` (µs): nothing is written when not."""
    return (
        conn.execute(sa.select(_table.c.document).where(_table.c.next_us <= now).limit(1)).first() is not None
    )


def take_due(conn: sa.Connection, seal: Seal, now: int, most: int) -> list[Awaited]:
    """Those to be looked for at ``now`` (µs), at most ``most``; each is put off at once, so that none stops the others."""
    due = sa.select(_table).where(_table.c.next_us <= now).order_by(_table.c.next_us).limit(most)
    found = []
    for row in conn.execute(due).all():
        ref = DocumentRef(row.agency, row.document)
        later = now + min(2 * (row.next_us - row.since_us), _LONGEST_US)
        conn.execute(sa.update(_table).where(_of(ref)).values(next_us=later))
        certificates = x509.load_pem_x509_certificates(seal.open(row.sealed, _aad(ref)))
        found.append(Awaited(ref, certificates, now - row.since_us > _GIVEN_UP_US))
    return found


def end(conn: sa.Connection, ref: DocumentRef) -> None:
    """Wait no more."""
    conn.execute(sa.delete(_table).where(_of(ref)))


def _of(ref: DocumentRef) -> sa.ColumnElement[bool]:
    return sa.and_(_table.c.agency == ref.agency, _table.c.document == ref.document)


def _aad(ref: DocumentRef) -> bytes:
    return f"word awaited {ref.id}".encode()
