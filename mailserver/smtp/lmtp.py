# SPDX-License-Identifier: AGPL-3.0-or-later
"""LMTP (RFC 2033): mail from an MTA of the operator's own that stands in front, one answer a recipient.

Who connects is trusted as far as the socket is: it listens on a Unix socket or a loopback port, takes mail for our
own mailboxes only, and nobody signs in.
"""

from __future__ import annotations

from dataclasses import replace

from mailserver.delivery import Incoming
from mailserver.smtp.transaction import Session


class LmtpSession(Session):
    """SMTP's session with LHLO, and a reply for each accepted RCPT after the message (§4.2)."""

    _each: dict[str, bytes]

    def _set_post_data_state(self) -> None:
        super()._set_post_data_state()
        self._each = {}

    async def smtp_LHLO(self, hostname: str) -> None:
        """LHLO hostname (§4.1)."""
        await super().smtp_EHLO(hostname)

    async def smtp_EHLO(self, hostname: str) -> None:
        """EHLO and HELO are no commands of LMTP (§4.1)."""
        await self.say(500, "5.5.1", "This is LMTP: send LHLO")

    async def smtp_HELO(self, hostname: str) -> None:
        """See `smtp_EHLO`."""
        await self.smtp_EHLO(hostname)

    async def _pass_on(self, incoming: Incoming, number: str) -> bytes:
        """All recipients in one transaction; when that is refused, each alone, so that one does not stop the others."""
        answer = await super()._pass_on(incoming, number)
        if not answer.startswith(b"2") and len(incoming.recipients) > 1:
            for one in incoming.recipients:
                alone = replace(incoming, recipients=(one,))
                self._each[one.address.lower()] = await super()._pass_on(alone, number)
        return answer

    def _answers(self, answer: bytes) -> bytes:
        return b"\r\n".join([self._each.get(address, answer) for address in self._accepted])
