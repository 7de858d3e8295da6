# SPDX-License-Identifier: AGPL-3.0-or-later
"""The content of a message: DATA and BDAT, and handing the message to the one door.

The message is accepted (250) only after `Delivery.deliver` returned. A success notice (NOTIFY=SUCCESS) for
one of our own mailboxes is the courier's work: such a message is queued and carried to our own MX.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from contextlib import AbstractAsyncContextManager

from cryptography.exceptions import InvalidTag

from config.clock import now_us
from config.refusal import Refused
from mailserver.accounts.model import domain_of
from mailserver.delivery import Incoming, Outcome, lent_addresses
from mailserver.hygiene import Verdict
from mailserver.hygiene.screening import Screening
from mailserver.message import scan
from mailserver.message.fields import address_field
from mailserver.smtp import trace
from mailserver.smtp.content import Content, DotStream
from mailserver.smtp.envelope import Envelope
from mailserver.smtp.errors import TOO_LARGE, accepted, refusal, reply
from mailserver.smtp.paths import BadArgument
from mailserver.smtp.spool import Turn
from mailserver.smtp.wire import CHUNK

log = logging.getLogger("congvan.smtp")
_FAULTS = {
    "too-large": TOO_LARGE,
    "bare-line-end": (
        550,
        "5.6.0",
        "Lines end in CRLF; the message has a bare CR or LF",
        "Thư có ký tự xuống dòng không hợp lệ.",
    ),
    "nul": (550, "5.6.0", "The message has a NUL byte", "Thư có byte NUL."),
    "no-room": (452, "4.3.1", "No room just now, try again later", "Máy chủ đang bận, hãy thử lại sau."),
}
_BIG = 1024 * 1024
_FAIR = 4096  # bytes in each time limit (300 s), or the sender is too slow to be one
_GRACE = CHUNK  # a message so little over the limit is read to its end; then the connection is cut (S3)


class Session(Envelope):
    """A whole session."""

    _content: Content | None = None
    _since_reset = 0
    _turn: Turn | None = None

    def _set_post_data_state(self) -> None:
        """Forget the transaction; also what RSET, HELO, EHLO and STARTTLS do."""
        super()._set_post_data_state()
        if self._content is not None:
            self._content.release()
        self._content = None

    def connection_lost(self, error: Exception | None) -> None:
        """Give back what an unfinished message held."""
        if self._content is not None:
            self._content.release()
        super().connection_lost(error)

    # --- DATA and BDAT

    async def _nothing_to_send(self) -> bool:
        if self._sender is None:
            await self.say(503, "5.5.1", "Send MAIL first")
        elif not self._recipients:
            await self.say(503, "5.5.1", "No valid recipients")
        else:
            return False
        return True

    async def smtp_DATA(self, argument: str) -> None:
        """DATA: reads to CRLF ``.`` CRLF in chunks, bounded while it reads."""
        if argument:
            await self.say(501, "5.5.4", "DATA takes no argument")
            return
        if self._content is not None:
            await self.say(503, "5.5.1", "DATA after BDAT")
            return
        if await self._nothing_to_send():
            return
        await self.push(reply(354, "", "End data with <CR><LF>.<CR><LF>"))
        await self.flush()
        content = self._content = Content(self.serving.delivery.max_bytes, self.serving.spool)
        stream = DotStream(content)
        rest: bytes | None = None
        while rest is None:
            rest = stream.feed(await self._more(CHUNK))
            if rest is None and content.size > content.limit + _GRACE:
                code, enhanced, en, vi = _FAULTS["too-large"]
                self._say_and_close(code, enhanced, en, vi)
                return
        if rest:
            self.session_reader.give_back(rest)
        await self._deliver(content)

    async def _more(self, most: int) -> bytes:
        """The next bytes; the time limit begins anew only when a fair amount has come."""
        piece = await self.session_reader.chunk(most)
        self._since_reset += len(piece)
        if self._since_reset >= _FAIR:
            self._since_reset = 0
            self._reset_timeout()
        return piece

    async def smtp_BDAT(self, argument: str) -> None:
        """BDAT size [LAST] (RFC 3030 §2): the chunk is read whatever the answer is."""
        words = argument.upper().split()
        if (
            not words
            or not words[0].isascii()
            or not words[0].isdigit()
            or len(words[0]) > 12
            or words[1:] not in ([], ["LAST"])
        ):
            self._say_and_close(501, "5.5.4", "Syntax: BDAT size [LAST]")
            return
        size = int(words[0])
        started = self._sender is not None and bool(self._recipients)
        content = self._content
        if content is None:
            content = Content(self.serving.delivery.max_bytes, self.serving.spool)
            if started:
                self._content = content
        if content.size + size > content.limit + _GRACE:
            code, enhanced, en, vi = _FAULTS["too-large"]
            self._say_and_close(code, enhanced, en, vi)
            return
        while size:
            piece = await self._more(min(size, CHUNK))
            if started:
                content.add(piece)
            size -= len(piece)
        if not started:
            await self._nothing_to_send()
        elif words[1:]:
            await self._deliver(content)
        elif content.fault is not None:
            await self._refuse(content)
        else:
            await self.say(250, "2.0.0", f"{content.size} bytes received")

    async def _refuse(self, content: Content) -> None:
        assert content.fault is not None
        code, enhanced, en, vi = _FAULTS[content.fault]
        answer = self._answers(reply(code, enhanced, en, vi, utf8=self.utf8))
        self._set_rset_state()
        await self.push(answer)

    def _answers(self, answer: bytes) -> bytes:
        """What is said after a message: one reply for all its recipients."""
        return answer

    async def _deliver(self, content: Content) -> None:
        if content.spooled:
            self._reset_timeout(3600)
            async with Turn(self.serving.spool) as self._turn:  # one large message in memory at a time
                answer = await self._whole(content)
            self._turn = None
        else:
            answer = await self._whole(content)
        answer = self._answers(answer)
        self._set_rset_state()
        await self.push(answer)

    async def _whole(self, content: Content) -> bytes:
        try:
            data = [await asyncio.to_thread(content.end) if content.spooled else content.end()]
        except (OSError, InvalidTag):
            log.exception("the spool can't be read")
            content.fault = "no-room"
        if content.fault is not None:
            code, enhanced, en, vi = _FAULTS[content.fault]
            return reply(code, enhanced, en, vi, utf8=self.utf8)
        return await self._hand_over(data.pop())  # nobody else holds it: it may be large

    async def _hand_over(self, data: bytes | bytearray) -> bytes:
        """Give the message to delivery; the reply to its sender. Nothing but a durable message is a 250."""
        number = trace.new_number()
        field, verdict = b"", None
        try:
            if self.serving.screening is not None:
                field, verdict, data = await self._screen(self.serving.screening, data)
            if len(data) < _BIG:
                message = self._with_trace(data, number, field)
            else:  # copying megabytes is not the event loop's work (DESIGN 4.5)
                message = await asyncio.to_thread(self._with_trace, data, number, field)
        except Refused as problem:
            return refusal(problem, utf8=self.utf8)
        except BadArgument as problem:
            return reply(problem.code, problem.enhanced, problem.en, problem.vi, utf8=self.utf8)
        del data
        assert self._sender is not None
        recipients = tuple(self._recipients.values())
        incoming = Incoming(
            sender=self._sender,
            recipients=recipients,
            data=message,
            door="submission" if self.serving.kind == "submission" else "mx",
            client=self.client,
            account=self.account,
            envelope_id=self._envelope_id,
            ret=self._ret,
            not_before_us=self._hold_until_us,
            carry_all=any("SUCCESS" in one.notify for one in recipients),
            verdict=verdict,
        )
        return await self._pass_on(incoming, number)

    async def _pass_on(self, incoming: Incoming, number: str) -> bytes:
        self._reset_timeout(3600)
        try:
            # Shielded: a connection lost now must not stop what is already on its way into the store.
            outcome: Outcome = await asyncio.shield(self.serving.delivery.deliver(incoming))
        except Refused as problem:
            return refusal(problem, utf8=self.utf8)
        except Exception:
            log.exception("message %s could not be delivered", number)
            return reply(
                451,
                "4.3.0",
                "Not accepted just now, try again later",
                "Máy chủ chưa nhận được thư, hãy gửi lại sau.",
            )
        finally:
            self._reset_timeout()
        return accepted(number, outcome.decision, utf8=self.utf8)

    async def _screen(
        self, screening: Screening, data: bytes | bytearray
    ) -> tuple[bytes, Verdict, bytes | bytearray]:
        """Ask who sent it and whether it is wanted (no time limit of the sender's runs meanwhile)."""
        assert self.session is not None
        self._reset_timeout(3600)
        meanwhile: AbstractAsyncContextManager[None] = contextlib.nullcontext()
        if self._turn is not None and screening.asks(self.client):
            meanwhile = self._turn.aside(len(data))  # a slow DNS makes no other large message wait
        try:
            async with meanwhile:
                return await screening.screen(
                    self.client,
                    self.session.host_name or "",
                    self._sender or "",
                    tuple(one.address for one in self._recipients.values()),
                    data,
                )
        finally:
            self._reset_timeout()

    def _real_sender(self, header: bytes) -> bytes:
        """A Sender field for mail on behalf of somebody, unless the mail program wrote one (RFC 6409 §8.1)."""
        assert self.account is not None
        lent = lent_addresses(self.serving.accounts, self.account)
        if "behalf" not in lent.values():
            return b""
        found = scan(header + b"\r\n")
        if found.sender or not any(lent.get(one.address.lower()) == "behalf" for one in found.from_):
            return b""
        return address_field("Sender", [(self.account.name, self.account.address)])

    def _with_trace(self, data: bytes | bytearray, number: str, field: bytes) -> bytes:
        assert self.session is not None
        try:
            header = trace.header_of(data)
        except trace.HeaderTooLarge:
            raise BadArgument(
                554, "5.6.0", "The header is larger than 1 MiB", "Phần đầu thư quá lớn."
            ) from None
        if header[:1] in (b" ", b"\t"):
            raise BadArgument(554, "5.6.0", "The header begins with a folded line", "Phần đầu thư sai dạng.")
        if trace.hops(header) > trace.MOST_RECEIVED:
            raise BadArgument(
                554, "5.4.6", "Mail loop: too many Received fields", "Thư đi vòng quá nhiều máy chủ."
            )
        now = now_us()
        hop = trace.Hop(
            helo=self.session.host_name or "",
            address=self.client,
            hostname=self.serving.hostname,
            protocol=trace.protocol(
                extended=self.session.extended_smtp,
                tls=self.secure,
                signed_in=self.account is not None,
                utf8=self.utf8,
                lmtp=self.serving.kind == "lmtp",
            ),
            number=number,
            at_us=now,
            tls=self.tls_words,
        )
        sender = self._sender or ""
        front = trace.fields(hop, sender, [one.address for one in self._recipients.values()])
        if field:  # Return-Path stays the first line
            first = front.index(b"\n") + 1
            front = front[:first] + field + front[first:]
        if self.account is not None:
            front += trace.missing_fields(header, domain_of(sender), now)
            front += self._real_sender(header)
        return front + data
