# SPDX-License-Identifier: AGPL-3.0-or-later
"""Proving that the index is whole: it opens, covers every indexed blob once, and names what a sample of them holds."""

from __future__ import annotations

from collections import Counter

import sqlalchemy as sa

from config.refusal import Refused
from config.seal import SealBroken
from mailserver.message import scan
from mailserver.search import dictionary, merging, schema, texts
from mailserver.search.columns import Pieces, opened
from mailserver.search.content import body_text, head_text
from mailserver.search.facts import aad
from mailserver.search.fields import Fields
from mailserver.search.index import Index, head_aad
from mailserver.search.postings import Head
from mailserver.search.terms import FIRST_WORD, Folded
from mailserver.store import Ref, Store
from mailserver.store import schema as stored
from mailserver.store.verify import Problem

_SAMPLE, _TOKENS = 200, 20


def verify_search(store: Store) -> list[Problem]:
    """What is wrong with index and pages. Changes nothing; `indexer.clear` makes the worker build all anew."""
    found: list[Problem] = []
    with store.database.reading() as conn:
        state = conn.execute(sa.select(schema.state)).first()
        if state is None:
            return found
        rows = conn.execute(sa.select(schema.segment).where(schema.segment.c.live)).all()
        there = set(
            conn.execute(sa.select(stored.blob.c.blob).where(stored.blob.c.blob <= state.blob)).scalars()
        )
        try:
            words = sum(len(page) for _, page in dictionary.pages(conn, store.seal))
        except SealBroken as problem:
            return [Problem("search-dictionary", "search", str(problem))]
    if words != state.words - FIRST_WORD:
        found.append(
            Problem("search-dictionary", "search", f"{words} words, {state.words - FIRST_WORD} are meant")
        )
    covered: Counter[int] = Counter()
    for row in rows:
        place = f"search segment {row.segment}"
        try:
            head = Head.unpack(store.seal.open(row.sealed, head_aad(row.segment)))
            covered.update(head.blobs)
            for at, first in enumerate(head.firsts):
                shard = merging.opened(store, row.segment, at, len(head.blobs))
                if not shard.ids or shard.ids[0] != first or list(shard.ids) != sorted(set(shard.ids)):
                    found.append(Problem("search-shard", place, f"shard {at} is out of order"))
        except (Refused, sa.exc.NoResultFound, ValueError) as problem:
            found.append(Problem("search-segment", place, str(problem)))
    for blob in sorted(there - covered.keys())[:_SAMPLE]:
        found.append(Problem("search-missing", f"blob {blob}", "not in the index"))
    for blob in sorted(one for one, times in covered.items() if times > 1)[:_SAMPLE]:
        found.append(Problem("search-twice", f"blob {blob}", "in several segments"))
    if not found:
        _sample(store, sorted(there), state.unfolded, found)
    _pages(store, found)
    return found


def _sample(store: Store, blobs: list[int], unfolded: int, found: list[Problem]) -> None:
    index = Index(store)
    for blob in blobs[:: max(1, len(blobs) // _SAMPLE)]:
        try:
            data = store.content(blob)
        except (LookupError, Refused, OSError):
            continue  # `store.verify` tells of it
        summary = store.summaries([blob]).get(blob) or scan(data)
        text = Folded(head_text(data), body_text(data, summary, index.extracted([blob]).get(blob, "")))
        kept = dict(texts.read(store, [blob])).get(blob)
        if kept != texts.pack(text.head, text.body) and not (kept is None and blob <= unfolded):
            found.append(Problem("search-text", f"blob {blob}", "its folded text is not what it says"))
        for token in sorted(text.tokens)[:_TOKENS]:
            possible = index.candidates({blob}, token, fuzzy=False)
            if possible is not None and blob not in possible:
                found.append(Problem("search-posting", f"blob {blob}", "a word of it is not in the index"))
                break


def _pages(store: Store, found: list[Problem]) -> None:
    table = schema.page
    with store.database.reading() as conn:
        keys = conn.execute(
            sa.select(table.c.agency, table.c.mailbox, table.c.first_uid, table.c.last_uid, table.c.kind)
        ).all()
    for row in keys:
        ref, place = Ref(row.agency, row.mailbox), f"search page {row.agency}.{row.mailbox} {row.first_uid}"
        with store.database.reading() as conn:
            sealed = conn.execute(
                sa.select(table.c.sealed).where(
                    table.c.agency == ref.agency,
                    table.c.mailbox == ref.mailbox,
                    table.c.kind == row.kind,
                    table.c.first_uid == row.first_uid,
                )
            ).scalar()
        if sealed is None:
            continue
        try:
            column = opened(row.kind, store.seal.open(sealed, aad(ref, row.kind, row.first_uid)))
        except (SealBroken, ValueError) as problem:
            found.append(Problem("search-page", place, f"{row.kind}: {problem}"))
            continue
        if isinstance(column, Pieces | Fields):
            continue  # very long ones are in none
        uids = {one.uid for one in store.rows(ref, row.first_uid, row.last_uid)}
        if not uids <= set(column.uids):
            found.append(
                Problem("search-page", place, f"{row.kind}: {len(uids - set(column.uids))} are missing")
            )
