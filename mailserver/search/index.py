# SPDX-License-Identifier: AGPL-3.0-or-later
"""The index of words, as readers use it."""

from __future__ import annotations

from mailserver.store import Store


class Index:
    """Which blobs may hold a text. May be asked from any thread."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def upto(self) -> int:
        """The last blob that is indexed."""
        return 0

    def candidates(self, among: set[int], wanted: str, *, fuzzy: bool) -> set[int] | None:
        """The blobs of ``among`` that may hold ``wanted``; None: any may."""
        return None

    def extracted(self, blob: int) -> str:
        """The text taken from the attachments of a blob."""
        return ""
