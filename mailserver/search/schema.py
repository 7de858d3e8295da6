# SPDX-License-Identifier: AGPL-3.0-or-later
"""Tables of the search: pages of header facts, and the index of words (DESIGN 4.8).

All that is derived from text is sealed. In clear: ids, counts, times. Extracted texts of attachments and folded
texts are sealed under the key of their blob, so they go when it goes.
"""

from __future__ import annotations

import sqlalchemy as sa

from config.database import metadata


def _key(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, primary_key=True, autoincrement=False)


page = sa.Table(
    "search_page",
    metadata,
    _key("agency"),
    _key("mailbox"),
    sa.Column("kind", sa.String(8), primary_key=True),
    _key("first_uid"),
    sa.Column("last_uid", sa.BigInteger, nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)

state = sa.Table(
    "search_state",
    metadata,
    _key("id"),
    sa.Column("blob", sa.BigInteger, nullable=False),
    sa.Column("words", sa.BigInteger, nullable=False),
    sa.Column("segments", sa.BigInteger, nullable=False),
    sa.Column("swept_us", sa.BigInteger, nullable=False),
    sa.Column("unfolded", sa.BigInteger, nullable=False, comment="to this one blobs may lack a folded text"),
)

word = sa.Table(
    "search_word",
    metadata,
    _key("first"),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)

segment = sa.Table(
    "search_segment",
    metadata,
    _key("segment"),
    sa.Column("live", sa.Boolean, nullable=False),
    sa.Column("first_blob", sa.BigInteger, nullable=False),
    sa.Column("last_blob", sa.BigInteger, nullable=False),
    sa.Column("docs", sa.Integer, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)

shard = sa.Table(
    "search_shard",
    metadata,
    _key("segment"),
    _key("shard"),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)

extracted = sa.Table(
    "search_text",
    metadata,
    _key("blob"),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)

folded = sa.Table(
    "search_folded",
    metadata,
    _key("blob"),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)

TABLES = (word, segment, shard, extracted, folded, page)
"""All that hold something sealed."""
