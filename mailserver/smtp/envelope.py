# SPDX-License-Identifier: AGPL-3.0-or-later
"""The envelope: MAIL and RCPT with their parameters, judged one by one before any content comes."""

from __future__ import annotations

from typing import Any

from config.refusal import Refused
from mailserver.accounts.model import domain_of
from mailserver.delivery import Recipient, own_addresses
from mailserver.smtp import paths
from mailserver.smtp.errors import TOO_LARGE, refusal
from mailserver.smtp.paths import BadArgument
from mailserver.smtp.signing_in import SigningIn


class Envelope(SigningIn):
    """A session up to the recipients of a message."""

    _sender: str | None = None
    _envelope_id = ""
    _ret = ""
    _hold_until_us: int | None = None
    _recipients: dict[str, Recipient]
    _accepted: list[str]  # one entry for each RCPT that got a 250

    def _set_post_data_state(self) -> None:
        """Forget the transaction; also what RSET, HELO, EHLO and STARTTLS do."""
        super()._set_post_data_state()
        self._sender = None
        self._envelope_id = self._ret = ""
        self._hold_until_us = None
        self._recipients = {}
        self._accepted = []

    # --- MAIL

    async def smtp_MAIL(self, argument: str) -> None:
        """MAIL FROM:<address> [SIZE BODY SMTPUTF8 RET ENVID AUTH HOLDFOR HOLDUNTIL]."""
        assert self.session is not None
        assert self.envelope is not None
        if not self.session.host_name:
            await self.say(503, "5.5.1", "Send EHLO first")
        elif self.serving.kind == "submission" and self.account is None:
            await self.say(530, "5.7.0", "Sign in first", "Hãy đăng nhập để gửi thư.")
        elif self._sender is not None:
            await self.say(503, "5.5.1", "Sender already given")
        else:
            try:
                path = paths.parse("FROM:", argument)
                self._mail(path)
            except BadArgument as problem:
                self.envelope.smtp_utf8 = False
                await self.say(problem.code, problem.enhanced, problem.en, problem.vi)
                return
            self._sender = self.envelope.mail_from = path.address
            await self.say(250, "2.1.0", "OK")

    def _mail(self, path: paths.Path) -> None:
        assert self.envelope is not None
        envelope_id = ret = ""
        hold: int | None = None
        for name, value in self._known(path):
            match name:
                case "SIZE":
                    if value is None or not value.isascii() or not value.isdigit() or len(value) > 20:
                        raise paths.bad_syntax("SIZE takes a number of bytes")
                    if int(value) > self.serving.delivery.max_bytes:
                        raise BadArgument(*TOO_LARGE)
                case "BODY":
                    if value is None or value.upper() not in ("7BIT", "8BITMIME"):
                        raise paths.bad_syntax("BODY is 7BIT or 8BITMIME")
                case "SMTPUTF8":
                    if value is not None:
                        raise paths.bad_syntax("SMTPUTF8 takes no value")
                    self.envelope.smtp_utf8 = True
                case "RET":
                    if value is None or value.upper() not in ("FULL", "HDRS"):
                        raise paths.bad_syntax("RET is FULL or HDRS")
                    ret = value.upper()
                case "HOLDFOR" | "HOLDUNTIL" if self.serving.hold_seconds and self.account is not None:
                    if hold is not None:
                        raise paths.bad_syntax("Only one of HOLDFOR and HOLDUNTIL")
                    hold = paths.hold_until(name, value, self.serving.hold_seconds)
                case "ENVID":
                    envelope_id = paths.from_xtext(value, 100)
                case "AUTH":
                    paths.from_xtext(value, 500)
                case _:
                    raise BadArgument(555, "5.5.4", f"Unknown parameter {name}", "Tham số lạ.")
        if path.address:
            paths.check_address(path.address, sender=True)
        self._check_letters(path.address)
        self._check_owner(path.address)
        self._envelope_id, self._ret, self._hold_until_us = envelope_id, ret, hold

    def _known(self, path: paths.Path) -> list[tuple[str, str | None]]:
        assert self.session is not None
        if path.parameters and not self.session.extended_smtp:
            raise BadArgument(555, "5.5.4", "Parameters need EHLO", "Cần EHLO để dùng tham số.")
        return list(path.parameters.items())

    def _check_letters(self, address: str) -> None:
        if not address.isascii() and not self.utf8:
            raise BadArgument(553, "5.6.7", "This address needs SMTPUTF8", "Địa chỉ này cần SMTPUTF8.")

    def _check_owner(self, address: str) -> None:
        """The sender owns its address; delivery checks the From field in the same way."""
        if self.account is None:
            return
        own = own_addresses(self.serving.accounts, self.account)
        if address.lower() not in own:
            shown = ", ".join(own)
            raise BadArgument(
                550,
                "5.7.1",
                f"You may not send as <{address}>. Addresses you may use: {shown}",
                f"Không được gửi bằng địa chỉ <{address}>. Địa chỉ được dùng: {shown}",
            )

    # --- RCPT

    async def smtp_RCPT(self, argument: str) -> None:
        """RCPT TO:<address> [NOTIFY ORCPT]."""
        if self._sender is None:
            await self.say(503, "5.5.1", "Send MAIL first")
        elif len(self._accepted) >= self.serving.max_recipients:
            await self.say(452, "4.5.3", "Too many recipients", "Quá nhiều người nhận trong một thư.")
        else:
            try:
                recipient = self._recipient(paths.parse("TO:", argument))
            except BadArgument as problem:
                await self.say(problem.code, problem.enhanced, problem.en, problem.vi)
                return
            except Refused as problem:
                await self.push(refusal(problem, utf8=self.utf8))
                return
            self._recipients[recipient.address.lower()] = recipient
            self._accepted.append(recipient.address.lower())
            await self.say(250, "2.1.5", "OK")

    def _recipient(self, path: paths.Path) -> Recipient:
        notify = original = ""
        for name, value in self._known(path):
            if name == "NOTIFY":
                notify = paths.notify_of(value)
            elif name == "ORCPT":
                kind, mark, address = (value or "").partition(";")
                if not mark or not kind:
                    raise paths.bad_syntax("ORCPT is type;address")
                original = f"{kind};{address if kind.lower() == 'utf-8' else paths.from_xtext(address, 500)}"
            else:
                raise BadArgument(555, "5.5.4", f"Unknown parameter {name}", "Tham số lạ.")
        address = path.address
        if address.lower() != "postmaster":
            paths.check_address(address, sender=False)
        self._check_letters(address)
        delivery = self.serving.delivery
        where = delivery.recipient(address, self.account) if "@" in address else "unknown"
        if where == "unknown" and address.partition("@")[0].lower() == "postmaster":
            address, where = self._postmaster(address)
        if where == "unknown":
            raise BadArgument(
                550,
                "5.1.1",
                f"There is no mailbox {address}",
                f"Không có hộp thư {address}, hãy xem danh bạ.",
            )
        if where == "remote" and self.serving.kind != "submission":
            raise BadArgument(
                550,
                "5.7.1",
                "Relaying denied; sign in to send",
                "Máy chủ không chuyển tiếp thư cho người ngoài.",
            )
        return Recipient(address, notify, original)

    def _postmaster(self, address: str) -> tuple[str, Any]:
        """``postmaster`` is always there (RFC 5321 §4.5.1): a system officer, else an agency's registry."""
        accounts = self.serving.accounts
        officer = next((one.address for one in accounts.all() if one.role == "system-officer"), None)
        if officer is not None:
            return officer, "local"
        here = (one for one in accounts.agencies() if not one.elsewhere)
        home = accounts.home_of_domain(domain_of(address)) or next(here, None)
        return (home.registry_address, "local") if home is not None else (address, "unknown")
