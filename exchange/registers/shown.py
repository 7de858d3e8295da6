# SPDX-License-Identifier: AGPL-3.0-or-later
"""A register as pages and commands show it: legal columns, state, and the document behind each row."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from exchange.documents import records
from exchange.documents.schema import document
from exchange.exchange import Exchange
from exchange.registers.export import as_item
from exchange.registers.numbers import Register
from exchange.registers.rows import listing
from mailserver.accounts import Agency


def items(
    exchange: Exchange,
    agency: Agency,
    register: Register,
    year: int,
    *,
    limit: int | None = None,
    offset: int = 0,
) -> list[dict[str, Any]]:
    """``register show --json``: one dictionary a row, in order of sequence and number."""
    with exchange.database.reading() as conn:
        rows = listing(conn, exchange.seal, agency.number, register, year, limit=limit, offset=offset)
        wanted = [(row.home or agency.number, row.document) for row in rows if row.document is not None]
        names: dict[tuple[int, int], str] = {}
        for start in range(0, len(wanted), 400):
            part = wanted[start : start + 400]
            query = sa.select(document).where(sa.tuple_(document.c.agency, document.c.document).in_(part))
            for row in conn.execute(query):
                names[row.agency, row.document] = records.read(exchange.seal, row).fields.document_id
    return [as_item(row, names.get((row.home or agency.number, row.document or 0), "")) for row in rows]
