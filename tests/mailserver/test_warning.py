# SPDX-License-Identifier: AGPL-3.0-or-later
"""The owner of a mailbox hears that it is nearly full, and that it is full: once for each time a mark is passed."""

from __future__ import annotations

import asyncio
import base64

import pytest

from mailserver.accounts import Account, AccountRef
from mailserver.accounts.changes import set_quota
from mailserver.delivery import Delivery
from mailserver.delivery.warning import Warnings
from mailserver.store import Ref
from policy.rulebook import load
from tests.conftest import Province
from tests.mailserver.store.letters import expunge, inbox, letter

LIMIT = 100_000


def warnings(province: Province) -> Warnings:
    return Warnings(Delivery(province.store, province.accounts, load(None), 1 << 20), "mail.camau.example")


def look(province: Province) -> None:
    asyncio.run(warnings(province).look())


def put(province: Province, ref: Ref, size: int) -> int:
    return asyncio.run(province.store.append(ref, letter("thư", size), 0, 1))


def told(province: Province, owner: AccountRef) -> list[str]:
    """Subjects of the letters about room, oldest first."""
    ref = province.store.find(owner, "INBOX")
    assert ref is not None
    subjects = [province.store.summary(row.blob).subject or "" for row in province.store.uid_map(ref)]
    return [one for one in subjects if "full" in one]


def person(province: Province) -> Account:
    return province.people[f"cv1@{province.home.domain}"]


def test_once_for_each_mark(province: Province) -> None:
    who, ref = person(province), inbox(province)
    province.limit(who, LIMIT)
    put(province, ref, 80_000)
    look(province)
    assert told(province, who.ref) == []
    large = put(province, ref, 12_000)
    for _ in range(3):
        look(province)
    assert told(province, who.ref) == ["Hộp thư đã dùng 92 % / Your mailbox is 92 % full"]
    put(province, ref, 6_000)
    for _ in range(3):
        look(province)
    assert told(province, who.ref)[1:] == ["Hộp thư đã đầy / Your mailbox is full"]
    expunge(province, ref, [large])
    look(province)
    put(province, ref, 8_000)
    look(province)
    assert len(told(province, who.ref)) == 3


def test_the_letter_says_what_to_do_in_both_languages_and_comes_in_when_there_is_no_room(
    province: Province,
) -> None:
    who, ref = person(province), inbox(province)
    province.limit(who, 60_000)
    put(province, ref, 59_500)
    look(province)
    newest = province.store.newest(ref, 1)[0]
    head, _, body = province.store.content(newest.blob).partition(b"\r\n\r\n")
    text = base64.b64decode(body).decode()
    assert b"Return-Path: <>" in head
    assert b"Auto-Submitted: auto-generated" in head
    assert "HOÃN" in text
    assert "Thùng rác" in text
    assert "DEFERRED" in text


def test_killed_between_the_letter_and_its_note_it_is_written_once(
    province: Province, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mailserver.store import fullness

    who, ref = person(province), inbox(province)
    province.limit(who, LIMIT)
    put(province, ref, 93_000)
    real = fullness.note

    def dies(*_: object, **__: object) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr(fullness, "note", dies)
    with pytest.raises(RuntimeError):
        look(province)
    monkeypatch.setattr(fullness, "note", real)
    look(province)
    look(province)
    assert len(told(province, who.ref)) == 1


def test_an_agency_and_a_limit_that_is_taken_away(province: Province) -> None:
    who, ref = person(province), inbox(province)
    province.database.write(lambda conn: set_quota(conn, province.seal, province.home, LIMIT, "test"))
    put(province, ref, 95_000)
    look(province)  # nobody is the agency's officer here: it is noted, and `congvan check` names it
    assert told(province, who.ref) == []
    assert province.store.quota(who.ref).is_tighter_for_agency
    province.database.write(lambda conn: set_quota(conn, province.seal, province.home, -1, "test"))
    look(province)
    assert not province.store.quota(who.ref).is_near
