# SPDX-License-Identifier: AGPL-3.0-or-later
"""Fields that are written read back as they were, on lines that every server takes."""

from __future__ import annotations

import email
import email.policy
import re
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from mailserver.message import scan
from mailserver.message.fields import address_field, text_field

WORDS = [
    "Đề",
    "nghị",
    "góp",
    "ý",
    "dự",
    "thảo",
    "quy",
    "chế",
    "làm",
    "việc",
    "năm",
    "2026",
    "của",
    "cơ",
    "quan",
    "=?x?=",
    "(a)",
    '"b"',
    "c\\d,",
    "e;",
]
SUBJECTS = st.one_of(st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join), st.text(max_size=300))
LINE = re.compile(rb"[\x20-\x7e]{1,998}\r\n")


def shown(text: str) -> str:
    """As people see it: NFC, one blank between words, without control characters."""
    clean = "".join(" " if unicodedata.category(one) in ("Cc", "Cs") else one for one in text)
    return unicodedata.normalize("NFC", " ".join(clean.split()))


@given(SUBJECTS)
def test_a_subject_reads_back(subject: str) -> None:
    subject = shown(subject)
    field = text_field("Subject", subject)
    assert all(LINE.fullmatch(line) for line in field.splitlines(keepends=True)), field
    assert " ".join(scan(field + b"\r\n").subject.split()) == " ".join(subject.split())
    standard = email.message_from_bytes(field + b"\r\n", policy=email.policy.default)["Subject"]
    assert unicodedata.normalize("NFC", " ".join(str(standard).split())) == " ".join(subject.split())


@given(
    st.lists(
        st.tuples(SUBJECTS, st.sampled_from(["a@b.example", "vanthu@sonoivu.camau.example"])),
        min_size=1,
        max_size=6,
    )
)
def test_addresses_read_back(people: list[tuple[str, str]]) -> None:
    people = [(shown(name), address) for name, address in people]
    field = address_field("To", people)
    assert all(LINE.fullmatch(line) for line in field.splitlines(keepends=True)), field
    read = scan(field + b"\r\n").to
    assert [one.address for one in read] == [address for _, address in people]
    assert [" ".join(one.name.split()) for one in read] == [" ".join(name.split()) for name, _ in people]


@given(st.text(max_size=100))
def test_nothing_gets_into_another_line(text: str) -> None:
    for field in (text_field("Subject", text), address_field("To", [(text, "a@b.example")])):
        assert all(line.startswith((b"Subject:", b"To:", b" ")) for line in field.split(b"\r\n")[:-1])
