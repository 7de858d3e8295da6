# SPDX-License-Identifier: AGPL-3.0-or-later
"""An account of another server comes over whole, once, also when the copying is cut short."""

from __future__ import annotations

import asyncio

import pytest

from config.refusal import Refused, Unavailable
from mailserver.accounts import Account
from mailserver.importing.copying import bring_in
from mailserver.importing.imap import ImapSource, Place, _fetched, _listed, _moment
from mailserver.importing.report import FolderReport, Report
from mailserver.store import ANSWERED, FLAGGED, SEEN
from tests.mailserver.imap.conftest import Served, message
from tests.mailserver.smtp.serving import free_port


def _place(served: Served, folder: str = "") -> Place:
    return Place.parse(f"imaps://cv1%40vpubnd.camau.example@localhost:{served.tls_port}/{folder}")


def _target(served: Served) -> Account:
    return served.province.people["cv2@sonoivu.camau.example"]


async def _copy(served: Served, password: str, **more: object) -> Report:
    async with ImapSource(_place(served), password, str(served.ca)) as source:
        return await bring_in(source, _target(served), served.store, by="test", **more)  # type: ignore[arg-type]


def _here(served: Served, name: str) -> list[tuple[bytes, int, int]]:
    ref = served.store.find(_target(served).ref, name)
    assert ref is not None
    return [
        (served.store.content(row.blob), row.flags, row.internaldate_us) for row in served.store.uid_map(ref)
    ]


def test_everything_comes_over(served: Served, password: str) -> None:
    """Folders, bytes, flags, keywords and dates; the old Sent lands in ours."""
    served.put(message("Báo cáo * khẩn * 2026"), flags=SEEN | FLAGGED)
    served.put(message("rỗng", body=""))
    served.put(b"no header at all")
    served.fill(60)
    owner = served.person("cv1")
    project = served.run(served.store.create(owner.ref, "Dự án/Đê biển & kè"))
    bit = served.run(served.store.keyword(project, "$Forwarded"))
    served.run(
        served.store.append(project, message("trong dự án"), 1 << bit | ANSWERED, 1_700_000_000_000_000)
    )
    sent = served.store.find_use(owner.ref, "\\Sent")
    assert sent is not None
    served.run(served.store.append(sent, message("đã gửi đi"), SEEN, 1_700_000_001_000_000))

    report = asyncio.run(_copy(served, password))

    assert report.whole, [(one.name, one.problems) for one in report.folders]
    assert report.copied_now == 65
    assert not any(one.problems for one in report.folders)
    old = [
        (served.store.content(row.blob), row.flags, row.internaldate_us)
        for row in served.store.uid_map(served.inbox("cv1"))
    ]
    assert _here(served, "INBOX") == old
    ((data, flags, when),) = _here(served, "Dự án/Đê biển & kè")
    assert (data, when) == (message("trong dự án"), 1_700_000_000_000_000)
    made = served.store.mailbox(served.store.find(_target(served).ref, "Dự án/Đê biển & kè"))  # type: ignore[arg-type]
    assert made is not None
    assert flags == ANSWERED | 1 << next(b for b, name in made.keywords.items() if name == "$Forwarded")
    assert [one[0] for one in _here(served, "Đã gửi")] == [message("đã gửi đi")]


def test_cut_short_and_taken_up_again(served: Served, password: str) -> None:
    """Ended in the middle of a folder, the next run goes on after the last page: each message once."""
    served.fill(120)

    async def cut() -> None:
        begun = asyncio.Event()

        def seen(one: FolderReport) -> None:
            if one.copied >= 50:
                begun.set()

        running = asyncio.create_task(_copy(served, password, progress=seen))
        await asyncio.wait_for(begun.wait(), 60)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(cut())
    before = len(_here(served, "INBOX"))
    assert 50 <= before < 120

    again = asyncio.run(_copy(served, password))

    assert again.whole
    assert again.copied_now == 120 - before
    assert [one[0] for one in _here(served, "INBOX")] == [message(f"thư {n}") for n in range(1, 121)]
    served.put(message("đến sau"))
    assert asyncio.run(_copy(served, password)).copied_now == 1
    assert asyncio.run(_copy(served, password)).copied_now == 0


def test_what_is_here_already_is_not_doubled(served: Served, password: str) -> None:
    """Without a cursor, messages are known by their content."""
    served.fill(3)
    mine = served.store.find(_target(served).ref, "INBOX")
    assert mine is not None
    served.run(served.store.append(mine, message("thư 2"), 0, 1))
    report = asyncio.run(_copy(served, password))
    inbox = next(one for one in report.folders if one.name == "INBOX")
    assert (inbox.copied, inbox.present, inbox.whole) == (2, 1, True)


def test_one_folder_by_its_name(served: Served, password: str) -> None:
    """A URL may name one folder."""
    served.fill(2)

    async def copy() -> Report:
        place = _place(served, "INBOX")
        async with ImapSource(place, password, str(served.ca)) as source:
            return await bring_in(source, _target(served), served.store, by="test")

    assert [one.name for one in asyncio.run(copy()).folders] == ["INBOX"]


def test_refusals(served: Served, password: str) -> None:
    """A wrong password, nobody there, a strange certificate, no TLS: said, with what to do."""
    with pytest.raises(Refused, match="import-sign-in"):
        asyncio.run(_copy(served, "wrong"))

    async def nobody() -> None:
        async with ImapSource(Place("127.0.0.1", free_port(), False, "a", ""), "x"):
            pass

    with pytest.raises(Unavailable, match="import-source-gone"):
        asyncio.run(nobody())

    async def stranger() -> None:
        async with ImapSource(_place(served), password):
            pass

    with pytest.raises(Unavailable, match="import-source-gone"):
        asyncio.run(stranger())
    with pytest.raises(Refused, match="no-tls"):
        Place.parse("imap://a@mail.example/INBOX")
    for wrong in ("http://a@b/", "imaps://b", "imaps://a@b:x/", "imaps://a@[/"):
        with pytest.raises(Refused, match="import-address"):
            Place.parse(wrong)


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([b'(\\HasNoChildren \\Sent) "/" "Sent Items"'], (b"Sent Items", "/")),
        ([b'(\\Noselect) "." INBOX.x'], (b"INBOX.x", ".")),
        ([b"() NIL flat"], (b"flat", "")),
        ([b'() "\\\\" "a\\"b\\\\c"'], (b'a"b\\c', "\\")),
        ([b'() "/" {5}', bytearray(b"a(b)c"), b""], (b"a(b)c", "/")),
    ],
)
def test_list_lines(lines: list[bytes], found: tuple[bytes, str]) -> None:
    """Quoted, atom, literal and flat names."""
    ((path, _, separator),) = _listed(lines)
    assert (path, separator) == found


def test_fetch_lines_in_any_order() -> None:
    """Items before and after the literal; a line about another message's flags between."""
    got = _fetched(
        [
            b"1 FETCH (BODY[] {3}",
            bytearray(b"abc"),
            b' UID 7 FLAGS (\\Seen $A) INTERNALDATE " 1-Jun-2026 08:00:00 +0700" RFC822.SIZE 3)',
            b"9 FETCH (UID 20 FLAGS (\\Seen))",
            b"2 FETCH (UID 8 RFC822.SIZE 0 FLAGS () BODY[] {0}",
            bytearray(b""),
            b")",
            b"Fetch completed",
        ]
    )
    assert [(one.uid, one.data, sorted(one.flags)) for one in got] == [
        (7, b"abc", ["$A", "\\Seen"]),
        (8, b"", []),
    ]
    assert got[0].internaldate_us == 1_780_275_600_000_000
    assert _moment(b'INTERNALDATE "31-Foo-2026 08:00:00 +0700"') == 0
