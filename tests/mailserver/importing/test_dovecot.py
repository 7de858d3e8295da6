# SPDX-License-Identifier: AGPL-3.0-or-later
"""An account of a real Dovecot comes over: folders, bytes, flags, keywords, dates; once, quickly, also when cut short."""

from __future__ import annotations

import asyncio
import imaplib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from mailserver.imap.grammar.names import encode_name
from mailserver.importing.copying import bring_in
from mailserver.importing.imap import ImapSource, Place
from mailserver.importing.report import FolderReport, Report
from mailserver.store import ANSWERED, FLAGGED, SEEN
from tests import dovecot
from tests.conftest import Province
from tests.mailserver.imap.conftest import message

pytestmark = pytest.mark.skipif(not dovecot.is_there(), reason="needs root and Debian's dovecot-imapd")
MANY = 300


@pytest.fixture(scope="module")
def old(certificate: Path) -> Iterator[dovecot.Dovecot]:
    """A Dovecot with mail in four folders."""
    with dovecot.dovecot(certificate, separator=".", prefix="INBOX.") as made:
        with made.client() as client:
            for number in range(1, MANY + 1):
                _put(
                    client, "INBOX", message(f"thư cũ {number}", size=number * 7), when=1_600_000_000 + number
                )
            _put(client, "INBOX", b"no header\r\n\x00\xff bytes", "\\Seen \\Answered")
            nested = "INBOX.Dự án.Đê biển & kè"
            client.create(_wire(nested))
            _put(
                client,
                _wire(nested),
                message("trong dự án"),
                "\\Flagged $Forwarded NonJunk",
                when=1_700_000_000,
            )
            _put(client, "INBOX.Sent", message("đã gửi đi"), "\\Seen")
            client.create("INBOX.Trong")
        yield made


def _wire(name: str) -> str:
    return '"' + encode_name(name).decode() + '"'


def _put(client: imaplib.IMAP4, name: str, data: bytes, flags: str = "", when: int = 1_650_000_000) -> None:
    kind, said = client.append(name, f"({flags})", imaplib.Time2Internaldate(when), data)
    assert kind == "OK", said


async def _copy(old: dovecot.Dovecot, province: Province, folder: str = "", **more: object) -> Report:
    place = Place.parse(f"imaps://{quote(dovecot.USER, safe='')}@localhost:{old.port}/{folder}")
    to = province.people["cv2@sonoivu.camau.example"]
    async with ImapSource(place, dovecot.PASSWORD, str(old.ca)) as source:
        return await bring_in(source, to, province.store, by="test", **more)  # type: ignore[arg-type]


def _here(province: Province, name: str) -> list[tuple[bytes, int, int]]:
    ref = province.store.find(province.people["cv2@sonoivu.camau.example"].ref, name)
    assert ref is not None, name
    store = province.store
    return [(store.content(row.blob), row.flags, row.internaldate_us) for row in store.uid_map(ref)]


def test_everything_comes_over_from_dovecot(old: dovecot.Dovecot, small_province: Province) -> None:
    """And a second run has nothing to do."""
    report = asyncio.run(_copy(old, small_province))
    told = {one.target: (one.source, one.copied, one.refused) for one in report.folders}
    assert report.whole, [(one.name, one.problems) for one in report.folders]
    assert told == {
        "INBOX": (MANY + 1, MANY + 1, 0),
        "Dự án/Đê biển & kè": (1, 1, 0),
        "Đã gửi": (1, 1, 0),
        "Trong": (0, 0, 0),
    }
    assert not any(one.problems for one in report.folders)
    inbox = _here(small_province, "INBOX")
    assert inbox[:MANY] == [
        (message(f"thư cũ {n}", size=n * 7), 0, (1_600_000_000 + n) * 1_000_000) for n in range(1, MANY + 1)
    ]
    assert inbox[MANY][1:] == (SEEN | ANSWERED, 1_650_000_000_000_000)
    ((data, flags, when),) = _here(small_province, "Dự án/Đê biển & kè")
    assert (data, when) == (message("trong dự án"), 1_700_000_000_000_000)
    ref = small_province.store.find(
        small_province.people["cv2@sonoivu.camau.example"].ref, "Dự án/Đê biển & kè"
    )
    assert ref is not None
    made = small_province.store.mailbox(ref)
    assert made is not None
    words = {name for bit, name in made.keywords.items() if flags >> bit & 1}
    assert (flags & 0x1F, words) == (FLAGGED, {"$Forwarded", "NonJunk"})
    assert [one[0] for one in _here(small_province, "Đã gửi")] == [message("đã gửi đi")]
    again = asyncio.run(_copy(old, small_province))
    assert (again.copied_now, again.whole) == (0, True)


def test_fifty_messages_a_second_and_more(old: dovecot.Dovecot, small_province: Province) -> None:
    """The rate that an office's move at the week-end is planned with; it is many times that on an idle machine."""
    report = asyncio.run(_copy(old, small_province, "INBOX"))
    assert report.copied_now == MANY + 1
    assert report.copied_now / report.seconds > 50


def test_a_cut_connection_is_taken_up_again(old: dovecot.Dovecot, small_province: Province) -> None:
    """Ended in the middle, the next run brings the rest, and Dovecot's new mail with it."""

    async def cut() -> None:
        begun = asyncio.Event()

        def seen(one: FolderReport) -> None:
            if one.copied >= 50:
                begun.set()

        running = asyncio.create_task(_copy(old, small_province, "INBOX", progress=seen))
        await asyncio.wait_for(begun.wait(), 60)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(cut())
    before = len(_here(small_province, "INBOX"))
    assert 50 <= before < MANY
    report = asyncio.run(_copy(old, small_province, "INBOX"))
    assert report.whole
    assert report.copied_now == MANY + 1 - before
    subjects = [one[0] for one in _here(small_province, "INBOX")]
    assert len(set(subjects)) == len(subjects) == MANY + 1
