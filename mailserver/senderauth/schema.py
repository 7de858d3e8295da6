# SPDX-License-Identifier: AGPL-3.0-or-later
"""Tables: DKIM keys (private halves sealed), MTA-STS policies that were fetched. Domains are public and in clear."""

from __future__ import annotations

import sqlalchemy as sa

from config.database import metadata

dkim_key = sa.Table(
    "dkim_key",
    metadata,
    sa.Column("domain", sa.String(253), primary_key=True),
    sa.Column("selector", sa.String(63), primary_key=True),
    sa.Column("algorithm", sa.String(20), nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("created_us", sa.BigInteger, nullable=False),
    sa.Column("changed_us", sa.BigInteger, nullable=False),
    sa.Column("sealed_key", sa.LargeBinary, nullable=False),
    sa.Column("public", sa.Text, nullable=False),
)

tls_policy = sa.Table(
    "tls_policy",
    metadata,
    sa.Column("domain", sa.String(253), primary_key=True),
    sa.Column("id", sa.String(32), nullable=False),
    sa.Column("mode", sa.String(10), nullable=False),
    sa.Column("hosts", sa.Text, nullable=False),
    sa.Column("fetched_us", sa.BigInteger, nullable=False),
    sa.Column("until_us", sa.BigInteger, nullable=False),
)
