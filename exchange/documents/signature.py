# SPDX-License-Identifier: AGPL-3.0-or-later
"""A person's signature or initials on a draft: the file it goes on, and what it leaves.

Each signature is an increment on the file as the one before left it: the first on the prepared draft. Used by
the moves of file approval (`exchange.documents.sign`) and of passkeys and tokens (`exchange.documents.said_yes`).
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from exchange.documents import files, marks, records, turns
from exchange.documents.model import Document, StoredFile
from exchange.documents.places import layout_of
from exchange.documents.states import MOVES, name_from
from exchange.documents.turns import Turn
from exchange.documents.work import Work, content
from exchange.exchange import Exchange
from exchange.signing.pdf.marks import Mark, initial
from exchange.signing.pdf.prepare import prepare
from policy.ledger.leaf import JSON


def base(exchange: Exchange, work: Work, document: Document) -> tuple[StoredFile, bytes]:
    """(the row whose bytes it follows, the file to sign): the draft prepared, or what was signed so far."""
    draft, data = content(exchange, work, "draft")
    with exchange.database.reading() as conn:
        kept = files.listing(conn, exchange.seal, work.ref)
    begun = [one for one in kept if one.role == "signing" and one.file > draft.file]
    if begun:
        return begun[-1], exchange.files.read(work.key, begun[-1])
    return draft, prepare(data, layout_of(exchange, document, data))


def mark_of(exchange: Exchange, turn: Turn) -> Mark:
    """What the signature looks like: the hand signature, or the letters of who initials."""
    found = exchange.accounts.by_address(turn.by)
    name = found.name if found is not None else turn.by
    if turn.kind == "initial":
        return initial("".join(word[0] for word in name.split() if word[0].isalpha()).upper()[:6] or "KN")
    return marks.hand(exchange, turn.by, name)


def write(
    conn: sa.Connection,
    exchange: Exchange,
    document: Document,
    turn: Turn,
    written: files.Written,
    detail: Mapping[str, JSON],
) -> None:
    """In the caller's transaction: the turn is done, the file kept, the move made, the entry written."""
    ref, seal = document.ref, exchange.seal
    now = records.get(conn, seal, ref)
    turns.finish(conn, ref, turn)
    more = any(one.waits and one.kind != "seal" for one in turns.listing(conn, now) if one.place > turn.place)
    if turn.kind == "initial":
        move = name_from(now.state, "initial", "initial-approved", "initial-next")
    else:
        names = ("sign-first", "sign-next") if more else ("sign", "sign-last")
        move = name_from(now.state, *names)
    records.advance(conn, seal, ref, move)
    files.add(conn, seal, ref, "signing" if more else "signed", written)
    records.add_event(conn, seal, ref, MOVES[move].entry, ref.subject, dict(detail), partner=document.partner)
