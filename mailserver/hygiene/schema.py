# SPDX-License-Identifier: AGPL-3.0-or-later
"""Tables of mail hygiene: only keyed digests and counts; nothing says who wrote to whom or which words."""

from __future__ import annotations

import sqlalchemy as sa

from config.database import metadata

greylist = sa.Table(
    "greylist",
    metadata,
    sa.Column("triplet", sa.LargeBinary(16), primary_key=True),
    sa.Column("first_us", sa.BigInteger, nullable=False),
    sa.Column("passed", sa.Boolean, nullable=False),
    sa.Column("until_us", sa.BigInteger, nullable=False),
    sa.Index("greylist_until", "until_us"),
)

spam_word = sa.Table(
    "spam_word",
    metadata,
    sa.Column("word", sa.LargeBinary(8), primary_key=True),
    sa.Column("spam", sa.Integer, nullable=False),
    sa.Column("ham", sa.Integer, nullable=False),
    sa.Column("seen_us", sa.BigInteger, nullable=False),
)

spam_learned = sa.Table(
    "spam_learned",
    metadata,
    sa.Column("message", sa.LargeBinary(16), primary_key=True),
    sa.Column("junk", sa.Boolean, nullable=False),
    sa.Column("at_us", sa.BigInteger, nullable=False),
)
