# SPDX-License-Identifier: AGPL-3.0-or-later
"""Tables of the store.

Keys of per-agency tables begin with the agency's number at birth. Blobs and summaries are global: one
letter to 7,500 mailboxes is one blob, one summary and 7,500 narrow rows. Sealed: mailbox names, keywords,
summaries, outbound recipients. In clear: ids, sizes, dates, flags, keyed digests.
"""

from __future__ import annotations

import sqlalchemy as sa

from config.database import metadata


def _key(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, primary_key=True, autoincrement=False)


mailbox = sa.Table(
    "mailbox",
    metadata,
    _key("agency"),
    _key("mailbox"),
    sa.Column("owner", sa.Integer, nullable=False),
    sa.Column("name_digest", sa.LargeBinary(16), nullable=False),
    sa.Column("sealed_name", sa.LargeBinary, nullable=False),
    sa.Column("special_use", sa.String(20)),
    sa.Column("subscribed", sa.Boolean, nullable=False),
    sa.Column("uidvalidity", sa.BigInteger, nullable=False),
    sa.Column("uidnext", sa.BigInteger, nullable=False),
    sa.Column("highestmodseq", sa.BigInteger, nullable=False),
    sa.Column("exists", sa.BigInteger, nullable=False),
    sa.Column("unseen", sa.BigInteger, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("buried_owner", sa.Integer),
    sa.UniqueConstraint("agency", "owner", "name_digest", name="mailbox_name"),
)

keyword = sa.Table(
    "keyword",
    metadata,
    _key("agency"),
    _key("mailbox"),
    _key("bit"),
    sa.Column("sealed_name", sa.LargeBinary, nullable=False),
)

grant = sa.Table(
    "mailbox_grant",
    metadata,
    _key("agency"),
    _key("mailbox"),
    _key("to_agency"),
    _key("to_account"),
    sa.Column("rights", sa.String(20), nullable=False),
    sa.Index("mailbox_grant_to", "to_agency", "to_account"),
)
"""Rights of others in a mailbox (RFC 4314 §2.1); 0, 0 is anyone of the installation."""

message = sa.Table(
    "message",
    metadata,
    _key("agency"),
    _key("mailbox"),
    _key("uid"),
    sa.Column("blob", sa.BigInteger, nullable=False),
    sa.Column("modseq", sa.BigInteger, nullable=False),
    sa.Column("flags", sa.BigInteger, nullable=False),
    sa.Column("internaldate_us", sa.BigInteger, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("savedate_us", sa.BigInteger),
    sqlite_with_rowid=False,
)

change = sa.Table(
    "change",
    metadata,
    _key("agency"),
    _key("mailbox"),
    _key("modseq"),
    _key("first_uid"),
    sa.Column("last_uid", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.String(8), nullable=False),
    sa.Column("mask", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

snapshot = sa.Table(
    "snapshot",
    metadata,
    _key("agency"),
    _key("mailbox"),
    sa.Column("modseq", sa.BigInteger, nullable=False),
    sa.Column("packed", sa.LargeBinary, nullable=False),
)

flag_range = sa.Table(
    "flag_range",
    metadata,
    _key("agency"),
    _key("mailbox"),
    _key("modseq"),
    _key("first_uid"),
    sa.Column("last_uid", sa.BigInteger, nullable=False),
    sa.Column("how", sa.String(8), nullable=False),
    sa.Column("mask", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""Changes of flags of many neighbours that are not in their rows yet (`mailserver.store.flag_ranges`)."""

blob = sa.Table(
    "blob",
    metadata,
    _key("blob"),
    sa.Column("name", sa.LargeBinary(32), nullable=False, unique=True),
    sa.Column("segment", sa.BigInteger, nullable=False),
    sa.Column("offset", sa.BigInteger, nullable=False),
    sa.Column("length", sa.BigInteger, nullable=False),
    sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
    sa.Column("refs", sa.BigInteger, nullable=False),
    sa.Index("blob_segment", "segment", "length"),
)

emptied = sa.Table(
    "segment_emptied",
    metadata,
    _key("segment"),
    sa.Column("at_us", sa.BigInteger, nullable=False),
)
"""Segments that no blob names any more, from when: they go after a while, so that readers never fail."""

erased = sa.Table(
    "blob_erased",
    metadata,
    sa.Column("name", sa.LargeBinary(32), primary_key=True),
    sa.Column("at_us", sa.BigInteger, nullable=False, index=True),
)
"""Names of blobs whose key was dropped for good: a restored backup erases them again (DESIGN 4.3)."""

vault = sa.Table(
    "vault",
    metadata,
    _key("agency"),
    _key("mailbox"),
    _key("uid"),
    sa.Column("owner", sa.Integer, nullable=False),
    sa.Column("blob", sa.BigInteger, nullable=False),
    sa.Column("flags", sa.BigInteger, nullable=False),
    sa.Column("internaldate_us", sa.BigInteger, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("expunged_us", sa.BigInteger, nullable=False),
    sa.Index("vault_owner", "agency", "owner", "expunged_us"),
    sa.Index("vault_due", "expunged_us"),
    sqlite_with_rowid=False,
)
"""Expunged messages that can still be restored; each holds a reference to its blob."""

summary = sa.Table(
    "summary",
    metadata,
    _key("blob"),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("sealed_verdict", sa.LargeBinary),
)

outbound = sa.Table(
    "outbound",
    metadata,
    _key("agency"),
    _key("row"),
    sa.Column("blob", sa.BigInteger, nullable=False),
    sa.Column("domain_digest", sa.LargeBinary(16), nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("created_us", sa.BigInteger, nullable=False),
    sa.Column("next_us", sa.BigInteger, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("lease_owner", sa.String(80)),
    sa.Column("lease_until_us", sa.BigInteger),
    sa.Index("outbound_due", "state", "next_us"),
)

submission = sa.Table(
    "submission",
    metadata,
    _key("agency"),
    _key("submission"),
    sa.Column("account", sa.Integer, nullable=False),
    sa.Column("blob", sa.BigInteger, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("created_us", sa.BigInteger, nullable=False),
    sa.Column("release_us", sa.BigInteger, nullable=False, index=True),
)

quota_told = sa.Table(
    "quota_told",
    metadata,
    _key("agency"),
    _key("account"),
    sa.Column("level", sa.SmallInteger, nullable=False),
    sa.Column("at_us", sa.BigInteger, nullable=False),
)

spread = sa.Table(
    "spread",
    metadata,
    _key("spread"),
    sa.Column("blob", sa.BigInteger, nullable=False),
    sa.Column("internaldate_us", sa.BigInteger, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("sealed_mailboxes", sa.LargeBinary, nullable=False),
    sa.Column("done", sa.Integer, nullable=False),
)

lesson = sa.Table(
    "lesson",
    metadata,
    _key("lesson"),
    sa.Column("blob", sa.BigInteger, nullable=False),
    sa.Column("junk", sa.Boolean, nullable=False),
)

follower = sa.Table(
    "follower",
    metadata,
    sa.Column("name", sa.String(20), primary_key=True),
    _key("agency"),
    _key("mailbox"),
    sa.Column("modseq", sa.BigInteger, nullable=False),
)

HOLDERS: list[sa.Column[int]] = [message.c.blob, vault.c.blob, outbound.c.blob, submission.c.blob]
"""Columns of which each row holds one reference to a blob (a spread letter holds several)."""
