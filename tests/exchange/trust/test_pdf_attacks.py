# SPDX-License-Identifier: AGPL-3.0-or-later
"""Byte-range games, universal signature forgery, shadows, bombs: the right verdict in bounded time and memory."""

from __future__ import annotations

import re
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from exchange.trust.pdf_judge import judge_pdf
from tests.exchange.signing.house import House

_RANGE = re.compile(rb"/ByteRange\s*\[\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s*\]")


def _last(data: bytes) -> re.Match[bytes]:
    return list(_RANGE.finditer(data))[-1]


def _with_range(data: bytes, *numbers: int) -> bytes:
    """The last ByteRange replaced, nothing moved."""
    found = _last(data)
    text = b"/ByteRange [" + b" ".join(str(one).encode() for one in numbers) + b"]"
    assert len(text) <= len(found[0])
    return data[: found.start()] + text.ljust(len(found[0])) + data[found.end() :]


def test_byte_range_games(house: House, issued: bytes) -> None:
    _, first, start, rest = (int(one) for one in _last(issued).groups())
    for numbers in (
        (0, first, start, rest - 1),
        (0, first, start, rest + 1),
        (0, first, start, 0),
        (0, first, start + 2, rest - 2),
        (1, first - 1, start, rest),
        (0, first, 0, first),
        (0, 999999, start, rest),
    ):
        verdict = judge_pdf(_with_range(issued, *numbers), house.anchors())
        assert not verdict.official, numbers
        assert verdict.verdict in ("TOTAL-FAILED", "UNREADABLE"), numbers


@pytest.mark.parametrize("contents", [b"<>", b"<00>", b"<3080>", b"null", b"<30820000>"])
def test_forged_without_a_signature(house: House, issued: bytes, contents: bytes) -> None:
    """Universal signature forgery: a signature field whose Contents or ByteRange says nothing."""
    _, first, start, _ = (int(one) for one in _last(issued).groups())
    forged = issued[:first] + contents.ljust(start - first) + issued[start:]
    verdict = judge_pdf(forged, house.anchors())
    assert verdict.verdict in ("TOTAL-FAILED", "UNREADABLE", "INDETERMINATE")
    assert not verdict.official
    nothing = issued[: _last(issued).start()] + b" " * len(_last(issued)[0]) + issued[_last(issued).end() :]
    assert not judge_pdf(nothing, house.anchors()).passed


def test_one_of_two_signatures_lies(house: House, issued: bytes) -> None:
    """The person's value altered: the seal covers it, so both tell, and the whole fails."""
    found = next(iter(_RANGE.finditer(issued)))
    at = int(found[2]) + 200
    digit = b"0" if issued[at : at + 1] != b"0" else b"1"
    verdict = judge_pdf(issued[:at] + digit + issued[at + 1 :], house.anchors())
    assert verdict.verdict == "TOTAL-FAILED"


def test_cut_at_many_lengths(house: House, issued: bytes) -> None:
    for end in range(0, len(issued), len(issued) // 40):
        verdict = judge_pdf(issued[:end], house.anchors())
        assert not verdict.passed or not verdict.official, end


def test_a_shadow_behind_the_seal(house: House, issued: bytes) -> None:
    """An update that swaps the visible page (hide, replace): whatever pyHanko calls it, it came after the seal."""
    old = int(issued.rsplit(b"startxref", 1)[1].split()[0])
    page = b"\n4 0 obj\n<< /Length 9 >>\nstream\nBT (x) ET\nendstream\nendobj\n"
    table = len(issued) + len(page)
    shadow = issued + page
    shadow += (
        b"xref\n4 1\n%010d 00000 n \ntrailer\n<< /Size 200 /Root 1 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n"
        % (
            len(issued) + 1,
            old,
            table,
        )
    )
    verdict = judge_pdf(shadow, house.anchors())
    assert (verdict.verdict, verdict.official) == ("TOTAL-FAILED", False)
    assert verdict.sub_indication in ("CHANGED_AFTER_SEAL", "ILLEGAL_CHANGES")


def test_a_bomb(tmp_path: Path) -> None:
    """Zeros that inflate two hundredfold, in a cross-reference stream: an answer within 512 MB and seconds."""
    packer = zlib.compressobj(1)
    box = b"".join(packer.compress(bytes(1 << 20)) for _ in range(256)) + packer.flush()
    head = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Type /Pages /Kids [] /Count 0 >>\nendobj\n"
    at = len(head)
    data = (
        head
        + b"3 0 obj\n<< /Type /XRef /W [1 4 2] /Size 90000000 /Root 1 0 R /Filter /FlateDecode /Length %d >>\nstream\n"
        % len(box)
    )
    data += box + b"\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n" % at
    (tmp_path / "bomb.pdf").write_bytes(data)
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (512 << 20, 512 << 20))\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (20, 20))\n"
        "from exchange.trust.anchors import Anchors; from exchange.trust.pdf_judge import judge_pdf\n"
        "print(judge_pdf(open(sys.argv[1], 'rb').read(), Anchors()).verdict)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "bomb.pdf")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "UNREADABLE", done.stderr[-500:]
