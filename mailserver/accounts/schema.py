# SPDX-License-Identifier: AGPL-3.0-or-later
"""Tables of agencies, accounts, credentials, sessions and the throttle.

Names and addresses of people are sealed; a keyed digest finds them. Agencies are published data and
stand in clear. Ids come from `counter` rows, so that keys begin with the agency's number.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from config.database import metadata
from config.statement import Statement

counter = sa.Table(
    "counter",
    metadata,
    sa.Column("agency", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.String(20), primary_key=True),
    sa.Column("next", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

agency = sa.Table(
    "agency",
    metadata,
    sa.Column("agency", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("code", sa.String(35), nullable=False, unique=True),
    sa.Column("old_code", sa.String(35), nullable=False),
    sa.Column("parent", sa.String(35), nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("short", sa.String(30), nullable=False),
    sa.Column("domain", sa.String(253), nullable=False, unique=True),
    sa.Column("place", sa.String(100), nullable=False),
    sa.Column("level", sa.SmallInteger, nullable=False),
    sa.Column("registry_account", sa.Integer, nullable=False),
    sa.Column("registry_address", sa.String(254), nullable=False),
    sa.Column("from_us", sa.BigInteger, nullable=False),
    sa.Column("to_us", sa.BigInteger),
    sa.Column("successor", sa.String(35)),
    sa.Column("quota_bytes", sa.BigInteger),
    sa.Column("elsewhere", sa.Boolean, nullable=False, server_default=sa.false()),
)

account = sa.Table(
    "account",
    metadata,
    sa.Column("agency", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("account", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("address_digest", sa.LargeBinary(16), nullable=False, unique=True),
    sa.Column("role", sa.String(20), nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("created_us", sa.BigInteger, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("quota_bytes", sa.BigInteger),
)

credential = sa.Table(
    "credential",
    metadata,
    sa.Column("agency", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("account", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("credential", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.String(10), nullable=False),
    sa.Column("secret", sa.LargeBinary, nullable=False),
    sa.Column("created_us", sa.BigInteger, nullable=False),
    sa.Column("sealed_label", sa.LargeBinary, nullable=False),
)

device_use = sa.Table(
    "device_use",
    metadata,
    sa.Column("agency", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("account", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("credential", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("used_us", sa.BigInteger, nullable=False),
    sa.Column("sealed_source", sa.LargeBinary, nullable=False),
)

device_certificate = sa.Table(
    "device_certificate",
    metadata,
    sa.Column("fingerprint", sa.LargeBinary(32), primary_key=True),
    sa.Column("agency", sa.Integer, nullable=False),
    sa.Column("account", sa.Integer, nullable=False),
    sa.Column("credential", sa.Integer, nullable=False),
    sa.Column("certificate", sa.LargeBinary, nullable=False),
)
"""Certificates of devices that sign in by TLS (`mailserver.accounts.certificates`)."""

web_session = sa.Table(
    "web_session",
    metadata,
    sa.Column("token_digest", sa.LargeBinary(32), primary_key=True),
    sa.Column("agency", sa.Integer, nullable=False),
    sa.Column("account", sa.Integer, nullable=False),
    sa.Column("created_us", sa.BigInteger, nullable=False),
    sa.Column("until_us", sa.BigInteger, nullable=False),
)

throttle = sa.Table(
    "throttle",
    metadata,
    sa.Column("who", sa.LargeBinary(16), primary_key=True),
    sa.Column("secret", sa.LargeBinary(16), primary_key=True),
    sa.Column("at_us", sa.BigInteger, nullable=False, index=True),
    sqlite_with_rowid=False,
)

shared_address = sa.Table(
    "shared_address",
    metadata,
    sa.Column("address_digest", sa.LargeBinary(16), primary_key=True),
    sa.Column("agency", sa.Integer, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)
"""Aliases, groups and lists by rule: an address that stands for accounts (`mailserver.accounts.shared`)."""

delegation = sa.Table(
    "delegation",
    metadata,
    sa.Column("agency", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("account", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("delegation", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("deputy_agency", sa.Integer, nullable=False),
    sa.Column("deputy_account", sa.Integer, nullable=False),
    sa.Column("reads", sa.Boolean, nullable=False),
    sa.Column("sends", sa.String(6), nullable=False),
    sa.Column("from_us", sa.BigInteger, nullable=False),
    sa.Column("until_us", sa.BigInteger),
)
"""Who acts for an account and until when (`mailserver.accounts.delegations`)."""


_TAKE = Statement(
    sa.update(counter)
    .where(counter.c.agency == sa.bindparam("in_agency"), counter.c.kind == sa.bindparam("of_kind"))
    .values(next=counter.c.next + sa.literal_column("1"))
    .returning(counter.c.next)
)


def next_number(conn: sa.Connection, agency_number: int, kind: str, *, first: int = 1) -> int:
    """The next id of ``kind`` in an agency (0: of the installation); its row is locked until the commit.

    Two processes that begin a counter together do not clash.
    """
    row = _TAKE.row(conn, in_agency=agency_number, of_kind=kind)
    if row is None:
        dialect = postgresql if conn.dialect.name == "postgresql" else sqlite
        begin = dialect.insert(counter).values(agency=agency_number, kind=kind, next=first)
        conn.execute(begin.on_conflict_do_nothing())
        row = _TAKE.row(conn, in_agency=agency_number, of_kind=kind)
        assert row is not None
    return int(row[0]) - 1
