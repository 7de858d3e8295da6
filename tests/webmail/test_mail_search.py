# SPDX-License-Identifier: AGPL-3.0-or-later
"""The search box: operators in both languages, marks or none, bodies and files, pages of results."""

from __future__ import annotations

import unicodedata

import pytest

from mailserver.search.keys import Key
from webmail.pages.mail.finding import understood


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("cong van", [Key("TEXT", text="cong"), Key("TEXT", text="van")]),
        ('"công văn" số', [Key("TEXT", text="công văn"), Key("TEXT", text="số")]),
        ("“công văn”", [Key("TEXT", text="công văn")]),
        ("from:an to:binh", [Key("FROM", text="an"), Key("TO", text="binh")]),
        ("từ:an đến:bình", [Key("FROM", text="an"), Key("TO", text="bình")]),
        ('subject:"họp giao ban"', [Key("SUBJECT", text="họp giao ban")]),
        ("chủ-đề:họp", [Key("SUBJECT", text="họp")]),
        ("has:attachment", [Key("FILES")]),
        ("có:tệp", [Key("FILES")]),
        ("before:1970-01-03 after:1970-01-02", [Key("BEFORE", number=2), Key("SINCE", number=1)]),
        ("trước:3/1/1970 sau:02-01-1970", [Key("BEFORE", number=2), Key("SINCE", number=1)]),
        ("before:hômqua x", [Key("TEXT", text="x")]),
        ("12:30", [Key("TEXT", text="12:30")]),
        ("", []),
        ('from: "', [Key("TEXT", text="from:"), Key("TEXT", text='"')]),
    ],
)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_understood(query: str, wanted: list[Key], form: str) -> None:
    """What no operator is a word; nothing is an error."""
    key = understood(unicodedata.normalize(form, query)).key  # type: ignore[arg-type]
    assert (list(key.keys) if key.name == "AND" else [] if key.name == "ALL" else [key]) == wanted
