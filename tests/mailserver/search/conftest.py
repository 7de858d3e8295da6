# SPDX-License-Identifier: AGPL-3.0-or-later
"""A mailbox that is filled, indexed and searched."""

from __future__ import annotations

import asyncio
from array import array

import pytest

from config.clock import now_us
from mailserver.search.building import Builder
from mailserver.search.keys import Key
from mailserver.search.searching import Searcher, Searches
from mailserver.store import Ref, Store, vault
from tests.conftest import Province


class Box:
    """One mailbox as a search sees it."""

    def __init__(self, store: Store, ref: Ref) -> None:
        self.store = store
        self.ref = ref
        self.searches = Searches(store)
        self.builder = Builder(store)

    @property
    def uids(self) -> array[int]:
        """UIDs by position."""
        return array("I", [row.uid for row in self.store.uid_map(self.ref)])

    def all_flags(self) -> array[int]:
        """Flag bits by position."""
        return array("q", [row.flags for row in self.store.uid_map(self.ref)])

    def modseqs(self, position: int) -> int:
        """The modseq at a position."""
        return self.store.uid_map(self.ref)[position].modseq

    def keyword_bit(self, name: str) -> int | None:
        """No keywords here."""
        return None

    def put(self, *messages: bytes) -> list[int]:
        """Store messages; their UIDs."""
        return [asyncio.run(self.store.append(self.ref, one, 0, 1_780_000_000_000_000)) for one in messages]

    def remove(self, *uids: int) -> None:
        """Delete messages for good, out of the vault too."""
        asyncio.run(self.store.discard(self.ref, uids))
        while self.store.database.write(lambda conn: vault.purge(conn, now_us() + 1)):
            pass

    def found(self, key: Key) -> list[int]:
        """The UIDs a search finds."""
        uids = self.uids
        return [uids[at] for at in Searcher(self.searches, self).match(key, range(len(uids)))]

    def possible(self, wanted: str) -> set[int] | None:
        """The blobs the index names for a folded text."""
        blobs = {row.blob for row in self.store.uid_map(self.ref)}
        return self.searches.bodies.candidates(blobs, wanted, fuzzy=False)


def letter(subject: str, body: str, extra: str = "") -> bytes:
    """A plain message."""
    return (
        f"From: Nguyễn Văn A <a@x.example>\r\nTo: vp@x.example\r\nSubject: {subject}\r\n{extra}"
        "Date: Mon, 1 Jun 2026 08:00:00 +0700\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{body}\r\n"
    ).encode()


def _box(province: Province) -> Box:
    person = province.people[f"cv1@{province.home.domain}"]
    ref = province.store.find(person.ref, "INBOX")
    assert ref is not None
    return Box(province.store, ref)


@pytest.fixture
def box(province: Province) -> Box:
    """An empty mailbox on each engine."""
    return _box(province)


@pytest.fixture
def small_box(small_province: Province) -> Box:
    """An empty mailbox on SQLite."""
    return _box(small_province)
