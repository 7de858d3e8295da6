# SPDX-License-Identifier: AGPL-3.0-or-later
"""Reading many blobs at once: whatever the order, each comes as it was stored, and neighbours come together."""

from __future__ import annotations

import asyncio
import random

import pytest

from mailserver.store import Ref, Store
from tests.conftest import Province


@pytest.fixture
def inbox(small_province: Province) -> tuple[Store, Ref]:
    """An empty mailbox."""
    person = next(iter(small_province.people.values()))
    ref = small_province.store.find(person.ref, "INBOX")
    assert ref is not None
    return small_province.store, ref


def test_every_order_gives_what_was_stored(inbox: tuple[Store, Ref], monkeypatch: pytest.MonkeyPatch) -> None:
    store, ref = inbox
    sizes = [10, 4000, 300_000, 200_000, 100_000, 700_000, 20, 4000]
    data = [f"Subject: {number}\r\n\r\n".encode() + b"x" * size for number, size in enumerate(sizes)]
    for one in data:
        asyncio.run(store.append(ref, one, 0, 1_780_000_000_000_000))
    rows = store.rows(ref)
    stored = dict(zip([row.blob for row in rows], data, strict=True))
    asked: list[int] = []
    read = store.segments.read
    monkeypatch.setattr(store.segments, "read", lambda *where: asked.append(where[2]) or read(*where))
    contents = store.contents_in(ref, 1, 100)
    assert [contents(blob) for blob in stored] == data
    assert len(asked) == 4  # 10 … 200,000 octets, then 100,000, then the large one alone, then the rest
    blobs = [*stored, *stored]
    random.Random(7).shuffle(blobs)
    contents = store.contents(blobs)
    assert [contents(blob) for blob in blobs] == [stored[blob] for blob in blobs]
    with pytest.raises(LookupError):
        contents(10**9)
