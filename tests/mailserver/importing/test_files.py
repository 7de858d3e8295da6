# SPDX-License-Identifier: AGPL-3.0-or-later
"""mbox files and Maildirs come over with flags and dates; what can't be taken is named."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from config.refusal import Refused
from mailserver.importing import maildir, mbox
from mailserver.importing.copying import bring_in
from mailserver.importing.maildir import MaildirSource
from mailserver.importing.mbox import MboxSource
from mailserver.importing.report import Report
from mailserver.importing.source import Source, folder_name
from mailserver.store import ANSWERED, FLAGGED, SEEN
from tests.conftest import Province

_MBOX = (
    b"From vp@camau.example Mon Jun  1 08:00:00 2026\n"
    b"Status: RO\nX-Status: AF\nSubject: =?utf-8?Q?th=C6=B0?=\n\n>From here on\n>>From there\nx\n\n"
    b"From - \nDate: Tue, 2 Jun 2026 08:00:00 +0700\nSubject: two\r\n\r\nFrom inside, no blank line before\r\n\n"
    b"From someone Wed Jun  3 01:02:03 2026\n\nno header\n"
)


def _copy(province: Province, source: Source) -> Report:
    to = province.people["cv1@vpubnd.camau.example"]
    return asyncio.run(bring_in(source, to, province.store, by="test"))


def _here(province: Province, name: str) -> list[tuple[bytes, int, int]]:
    ref = province.store.find(province.people["cv1@vpubnd.camau.example"].ref, name)
    assert ref is not None
    return [
        (province.store.content(row.blob), row.flags, row.internaldate_us)
        for row in province.store.uid_map(ref)
    ]


def test_an_mbox(province: Province, tmp_path: Path) -> None:
    """Line ends become CRLF, quoted From lines are as they were, status letters are flags; twice is once."""
    file = tmp_path / "Hồ sơ cũ.mbox"
    file.write_bytes(_MBOX)
    report = _copy(province, MboxSource(file))
    assert report.whole
    first, second, third = _here(province, "Hồ sơ cũ")
    assert first[0].endswith(b"\r\n\r\nFrom here on\r\n>From there\r\nx\r\n")
    assert first[1:] == (SEEN | ANSWERED | FLAGGED, 1_780_300_800_000_000)
    assert second[0].endswith(b"\r\n\r\nFrom inside, no blank line before\r\n")
    assert second[2] == 1_780_362_000_000_000
    assert third[0] == b"\r\nno header\r\n"
    again = _copy(province, MboxSource(file))
    assert (again.copied_now, again.folders[0].present, again.whole) == (0, 3, True)


def test_too_large_a_message_is_named(
    province: Province, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others come over; the report says which one did not and why."""
    monkeypatch.setattr(mbox, "LARGEST", 1000)
    file = tmp_path / "x"
    file.write_bytes(_MBOX + b"\nFrom a Wed Jun  3 01:02:03 2026\n\n" + b"y" * 70 * 1000 + b"\n")
    (one,) = _copy(province, MboxSource(file, "Cũ/2025")).folders
    assert (one.copied, one.refused, one.whole) == (3, 1, False)
    assert one.problems == [(4, "larger than 1000 bytes")]


@pytest.mark.parametrize("content", [b"Subject: x\n\ny\n", b"\x00" * 100])
def test_not_an_mbox(tmp_path: Path, content: bytes) -> None:
    """Said before anything is made."""
    file = tmp_path / "x"
    file.write_bytes(content)
    with pytest.raises(Refused, match="import-mbox"):
        asyncio.run(MboxSource(file).folders())
    with pytest.raises(Refused, match="import-mbox"):
        asyncio.run(MboxSource(tmp_path / "none").folders())


def test_a_maildir(small_province: Province, tmp_path: Path) -> None:
    """cur and new, flags in names, subfolders in modified UTF-7; links out of it are not followed."""
    root = tmp_path / "Maildir"
    for folder in ("", ".Sent", ".D&HvE- &AOE-n.2025"):
        for part in ("cur", "new", "tmp"):
            (root / folder / part).mkdir(parents=True)
    (root / "cur" / "1.a:2,RS").write_bytes(b"Subject: one\n\nx\n")
    (root / "new" / "2.b").write_bytes(b"Subject: two\r\n\r\nx\r\n")
    (root / "cur" / "3.c:2,").symlink_to("/etc/hostname")
    (root / ".Sent" / "cur" / "1.d:2,S").write_bytes(b"Subject: sent\n\n")
    (root / ".D&HvE- &AOE-n.2025" / "cur" / "1.e").write_bytes(b"Subject: plan\n\n")
    os.utime(root / "cur" / "1.a:2,RS", (1_700_000_000, 1_700_000_000))
    report = _copy(small_province, MaildirSource(root))
    assert report.whole
    assert [one.target for one in report.folders] == ["INBOX", "Dự án/2025", "Đã gửi"]
    first, second = _here(small_province, "INBOX")
    assert first == (b"Subject: one\r\n\r\nx\r\n", SEEN | ANSWERED, 1_700_000_000_000_000)
    assert second[:2] == (b"Subject: two\r\n\r\nx\r\n", 0)
    assert _copy(small_province, MaildirSource(root)).copied_now == 0
    with pytest.raises(Refused, match="import-maildir"):
        asyncio.run(MaildirSource(tmp_path).folders())
    assert maildir._files(root)[-1].name == "2.b"


@pytest.mark.parametrize(
    ("parts", "name", "use"),
    [
        (["INBOX"], "INBOX", None),
        (["inbox"], "INBOX", None),
        (["INBOX", "Sent"], "Sent", "\\Sent"),
        (["Sent Items"], "Sent Items", "\\Sent"),
        (["Dự án", "a/b\r\n"], "Dự án/a_b__", None),
        (["", ""], "?", None),
        (["Thu\u031bng ra\u0301c"], "Thưng rác", None),
    ],
)
def test_folder_names(parts: list[str], name: str, use: str | None) -> None:
    """Flattened below INBOX, composed, without control characters."""
    assert folder_name(parts) == (name, use)
