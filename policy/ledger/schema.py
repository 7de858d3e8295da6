# SPDX-License-Identifier: AGPL-3.0-or-later
"""Tables of the ledger. The database is the truth; the published folder is derived from it.

In clear: kinds, times, commitments, hashes, keyed digests of subjects. Sealed: `ledger_detail.sealed`.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, String, Table

from config.database import metadata

_ID = BigInteger().with_variant(Integer, "sqlite")

detail = Table(
    "ledger_detail",
    metadata,
    Column(
        "detail", _ID, primary_key=True, autoincrement=True, comment="also the pending id that record() gives"
    ),
    Column("subject_digest", LargeBinary(16), nullable=False),
    Column(
        "sealed", LargeBinary, nullable=True, comment="nonce and canonical JSON, sealed; NULL once erased"
    ),
    Column("erased_us", BigInteger, nullable=True),
    sqlite_autoincrement=True,
)

pending = Table(
    "ledger_pending",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("kind", String(48), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("commitment", LargeBinary(32), nullable=False),
    Column("detail", BigInteger, nullable=False),
    Column("subject_digest", LargeBinary(16), nullable=False),
)

entry = Table(
    "ledger_entry",
    metadata,
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(48), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("leaf", LargeBinary, nullable=False, comment="the bytes of the entry as published"),
    Column("leaf_hash", LargeBinary(32), nullable=False),
    Column("detail", BigInteger, nullable=False),
    Column("subject_digest", LargeBinary(16), nullable=False),
)
Index("ledger_entry_kind", entry.c.kind, entry.c.at_us)
Index("ledger_entry_time", entry.c.at_us)
Index("ledger_entry_subject", entry.c.subject_digest, entry.c.index)
Index("ledger_entry_detail", entry.c.detail, unique=True)

node = Table(
    "ledger_node",
    metadata,
    Column(
        "level", Integer, primary_key=True, autoincrement=False, comment="8, 16, 24…: roots of full tiles"
    ),
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary(32), nullable=False),
)

state = Table(
    "ledger_state",
    metadata,
    Column(
        "id",
        Integer,
        primary_key=True,
        autoincrement=False,
        comment="one row, id 1; its lock orders sequencers",
    ),
    Column("size", BigInteger, nullable=False),
    Column(
        "frontier", LargeBinary, nullable=False, comment="32-byte roots of the full subtrees, largest first"
    ),
    Column("last_hash", LargeBinary(32), nullable=False, comment="leaf hash of the last entry (the chain)"),
)

checkpoint = Table(
    "ledger_checkpoint",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("root", LargeBinary(32), nullable=False),
    Column("text", LargeBinary, nullable=False, comment="the signed note"),
    Column("at_us", BigInteger, nullable=False),
    Column("kept", Boolean, nullable=False, comment="stands in the published history"),
)
