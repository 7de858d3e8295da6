# SPDX-License-Identifier: AGPL-3.0-or-later
"""End of data, dots, bare line ends, bounds: the state machine alone."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st

from mailserver.queue.client import wire_form
from mailserver.smtp.content import Content, DotStream, Fault
from mailserver.smtp.spool import Spool

LIMIT = 1_000_000
MIB = 1024 * 1024
SPOOL = Spool(Path("/nowhere"), memory=64 * MIB, disk=0)


def read(
    data: bytes, cuts: list[int] | None = None, limit: int = LIMIT
) -> tuple[bytes, Fault | None, bytes | None]:
    content = Content(limit, SPOOL)
    stream = DotStream(content)
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts or [])})
    for start, end in itertools.pairwise(places):
        rest = stream.feed(data[start:end])
        if rest is not None:
            return bytes(content.end()), content.fault, rest + data[end:]
    return b"", content.fault, None


pieces = st.lists(
    st.sampled_from([b"\r\n", b".", b"..", b"a", b"bc", b"\xc6\xb0", b"\r\n.", b"x" * 70]), max_size=30
)
any_bytes = st.lists(st.sampled_from([b"\r", b"\n", b".", b"\0", b"a", b"\r\n"]), max_size=24).map(b"".join)
cuts = st.lists(st.integers(0, 10_000), max_size=12)


@given(pieces, cuts)
def test_what_a_good_client_sends_is_what_we_get(parts: list[bytes], where: list[int]) -> None:
    message = b"".join(parts)
    if message and not message.endswith(b"\r\n"):
        message += b"\r\n"
    assert read(wire_form(message) + b"QUIT\r\n", where) == (message, None, b"QUIT\r\n")


@given(any_bytes, cuts)
def test_cutting_changes_nothing(data: bytes, where: list[int]) -> None:
    (message, fault, rest), (whole, whole_fault, whole_rest) = read(data, where), read(data)
    assert (message, fault is None, rest) == (whole, whole_fault is None, whole_rest)


@given(any_bytes)
def test_only_one_end_of_data(data: bytes) -> None:
    """Whatever comes, the message ends at the first line that is one dot between two CRLFs, or not at all."""
    _, _, rest = read(data)
    found = (b"\r\n" + data).find(b"\r\n.\r\n")
    assert rest == (None if found < 0 else data[found + 3 :])


@pytest.mark.parametrize(
    "fake",
    [
        b"\n.\n",
        b"\n.\r\n",
        b"\r.\r",
        b"\r.\r\n",
        b"\r\n.\n",
        b"\r\n.\r",
        b"\r\n\0.\r\n",
        b"\r\n.\0\r\n",
        b"\r\r\n.\n\r\n",
        b"\r\n.\r\r\n",
    ],
)
def test_smuggled_ends_end_nothing(fake: bytes) -> None:
    data = b"Subject: a\r\n\r\nx" + fake + b"MAIL FROM:<evil@x>\r\n.\r\n"
    message, fault, rest = read(data)
    assert rest == b""
    assert message == b""
    assert fault in ("bare-line-end", "nul")


def test_a_cr_at_the_very_end_is_bare() -> None:
    content = Content(LIMIT, SPOOL)
    content.add(b"a\r\nb\r")
    assert content.end() == b""
    assert content.fault == "bare-line-end"


def test_past_the_limit_nothing_is_kept() -> None:
    content = Content(10, SPOOL)
    content.add(b"12345678\r\n")
    assert content.fault is None
    content.add(b"1")
    assert content.fault == "too-large"
    content.add(b"x" * 1000)
    assert content.size == 1011
    assert content.end() == b""


def test_a_large_message_waits_in_the_spool_sealed_and_without_a_name(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", memory=64 * MIB, disk=64 * MIB)
    content = Content(8 * MIB, spool)
    sent = b"".join(b"line %07d of words that nobody may find\r\n" % number for number in range(60_000))
    for at in range(0, len(sent), 50_001):
        content.add(sent[at : at + 50_001])
    assert content.spooled
    assert spool.memory.left == 64 * MIB
    assert spool.disk.left < 64 * MIB
    assert list((tmp_path / "spool").iterdir()) == []
    assert content._file is not None
    lying = os.pread(content._file._handle, len(sent), 0)
    assert len(lying) > 2 * MIB
    assert b"nobody may find" not in lying
    assert content.end() == sent
    assert spool.disk.left == 64 * MIB


def test_small_messages_go_to_the_spool_when_memory_is_short(tmp_path: Path) -> None:
    spool = Spool(tmp_path, memory=100_000, disk=MIB)
    first, second = Content(LIMIT, spool), Content(LIMIT, spool)
    first.add(b"x" * 90_000)
    second.add(b"y" * 90_000)
    assert (first.spooled, second.spooled) == (False, True)
    assert (first.end(), second.end()) == (b"x" * 90_000, b"y" * 90_000)
    assert (spool.memory.left, spool.disk.left) == (100_000, MIB)


def test_no_room_is_said_and_given_back(tmp_path: Path) -> None:
    spool = Spool(tmp_path, memory=8 * MIB, disk=3 * MIB)
    first, second = (Content(8 * MIB, spool) for _ in range(2))
    for content in (first, second):
        content.add(b"x" * (2 * MIB))
    assert (first.fault, second.fault) == (None, "no-room")
    first.release()
    second.release()
    assert (spool.memory.left, spool.disk.left) == (8 * MIB, 3 * MIB)


def test_a_spool_that_can_not_be_written_is_no_room(tmp_path: Path) -> None:
    (tmp_path / "spool").write_bytes(b"a file where a folder should be")
    content = Content(8 * MIB, Spool(tmp_path / "spool", memory=MIB, disk=MIB * 8))
    content.add(b"x" * (2 * MIB))
    assert content.fault == "no-room"


def test_a_spool_file_that_was_altered_is_not_read(tmp_path: Path) -> None:
    file = Spool(tmp_path, memory=0, disk=MIB).open()
    file.write(b"secret" * 100)
    os.pwrite(file._handle, b"\0", 50)
    with pytest.raises(InvalidTag):
        file.read()
