# SPDX-License-Identifier: AGPL-3.0-or-later
"""The letter to the owner of a mailbox that is nearly full, and again when it is full; an agency's goes to its officers.

Once for each time a mark is passed: the letter and the note that it was written are one transaction. It comes in
whatever the quota says.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from base64 import encodebytes
from email.utils import format_datetime
from functools import partial

from config.clock import now_us, to_local
from config.leases import hold
from config.refusal import Refused, Unavailable
from mailserver.accounts import Account, AccountRef
from mailserver.delivery.door import Delivery
from mailserver.delivery.incoming import Incoming, Recipient
from mailserver.message.fields import address_field, text_field
from mailserver.store import fullness
from mailserver.store.fullness import News
from mailserver.store.quota import FULL

log = logging.getLogger("congvan.quota")
_LEASE, _LEASE_S = "quota-letters", 150.0
_EVERY_S = 60.0
_GB = 1_000_000_000


class Warnings:
    """Looks once a minute, on one node at a time. ``hostname`` stands in the letters' From."""

    def __init__(self, delivery: Delivery, hostname: str) -> None:
        self._delivery = delivery
        self._hostname = hostname

    async def run(self) -> None:
        """Work until cancelled. Raises `Unavailable`: begin again later."""
        while True:
            if await asyncio.to_thread(hold, self._delivery.store.database, _LEASE, _LEASE_S):
                await self.look()
            await asyncio.sleep(_EVERY_S)

    async def look(self) -> None:
        """Write to everybody who passed a mark since the last look."""
        store = self._delivery.store
        for one in await asyncio.to_thread(self._news):
            owners = self._owners(one) if one.rises else []
            if not owners:
                await store.database.commit(partial(fullness.note, one=one))
                continue
            people = tuple(Recipient(who.address) for who in owners)
            letter = self._letter(one, owners)
            try:
                await self._delivery.deliver(
                    Incoming("", people, letter, "bounce"), partial(fullness.note, one=one)
                )
            except Unavailable:
                raise
            except Refused as problem:
                log.warning(
                    "account %d.%d was not told of its quota: %s", one.use.agency, one.use.account, problem
                )

    def _news(self) -> list[News]:
        store = self._delivery.store
        with store.database.reading() as conn:
            return list(fullness.news(conn, store.limits))

    def _owners(self, one: News) -> list[Account]:
        accounts = self._delivery.accounts
        if one.use.account:
            found = accounts.by_ref(AccountRef(one.use.agency, one.use.account))
            return [found] if found is not None and found.state != "left" else []
        return [
            who
            for who in accounts.all()
            if who.ref.agency == one.use.agency and who.role == "agency-officer" and who.state == "active"
        ]

    def _letter(self, one: News, owners: list[Account]) -> bytes:
        subject, text = words(one)
        return b"".join(
            [
                b"Return-Path: <>\r\n",
                f"Date: {format_datetime(to_local(now_us()))}\r\n".encode("ascii"),
                address_field("From", [("Máy chủ thư", f"MAILER-DAEMON@{self._hostname}")]),
                address_field("To", [(who.name, who.address) for who in owners]),
                text_field("Subject", subject),
                f"Message-ID: <{secrets.token_hex(16)}@{self._hostname}>\r\n".encode("ascii"),
                b"Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\nMIME-Version: 1.0\r\n",
                b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n",
                encodebytes(text.encode("utf-8")).replace(b"\n", b"\r\n"),
            ]
        )


def words(one: News) -> tuple[str, str]:
    """Subject and text of the letter."""
    used, limit = _size(one.use.used), _size(one.use.limit)
    used_vi, limit_vi = used.replace(".", ","), limit.replace(".", ",")
    whole = not one.use.account
    vi, en = ("Thư của cả cơ quan", "The mail of the whole agency") if whole else ("Hộp thư", "Your mailbox")
    if one.level == FULL:
        subject = f"{vi} đã đầy / {en} is full"
        then_vi = (
            "Thư mới đang bị HOÃN: người gửi được báo hộp thư đầy, máy chủ của họ gửi lại trong vài ngày."
        )
        then_en = (
            "New mail is DEFERRED: senders hear that there is no room, their servers try again for some days."
        )
    else:
        subject = f"{vi} đã dùng {one.use.percent} % / {en} is {one.use.percent} % full"
        then_vi = "Khi đầy, thư mới sẽ bị hoãn rồi trả lại người gửi."
        then_en = "Once it is full, new mail is deferred and then returned to its senders."
    if whole:
        do_vi = "Xin nâng hạn mức với quản trị hệ thống (`congvan agency quota`), hoặc nhắc mọi người xóa bớt thư."
        do_en = "Ask the system officer for more (`congvan agency quota`), or have people delete mail."
    else:
        do_vi = "Xóa thư có tệp lớn (tìm has:attachment), dọn Thùng rác và Thư rác, hoặc nhờ cán bộ CNTT nâng hạn mức."
        do_en = "Delete letters with large files (search has:attachment), empty the trash, or ask the IT officer for more."
    text = (
        f"{vi} đã dùng {used_vi} trong {limit_vi} ({one.use.percent} %). {then_vi}\n\n{do_vi}\n\n----\n"
        f"{en} has used {used} of {limit} ({one.use.percent} %). {then_en}\n\n{do_en}\n"
    )
    return subject, text


def _size(octets: int) -> str:
    return f"{octets / _GB:.1f} GB" if octets >= _GB else f"{octets / 1_000_000:.1f} MB"
