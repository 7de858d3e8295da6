# SPDX-License-Identifier: AGPL-3.0-or-later
"""All that is asked about who sent a message that comes in: SPF, DKIM, DMARC, and the field that says so."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from mailserver.dns import Resolver
from mailserver.message.addresses import decoded, parse
from mailserver.senderauth import dkim, dmarc, homograph, results, spf
from mailserver.senderauth.canon import Field, fields_of
from mailserver.senderauth.dkim import Dkim
from mailserver.senderauth.dmarc import Dmarc
from mailserver.senderauth.spf import Spf


@dataclass(frozen=True, slots=True)
class Sender:
    """What was found out. ``author``: the domain of the only From address, None when there is not exactly one."""

    spf: Spf | None
    signatures: tuple[Dkim, ...]
    dmarc: Dmarc
    author: str | None
    odd_label: str | None = None
    """The label of the author's domain that looks like another (S38)."""

    @property
    def proved(self) -> bool:
        """Whether the From people see is proved: DMARC, or without a policy the same alignment by name."""
        if self.dmarc.result != "none":
            return self.dmarc.result == "pass"
        by_domain = self.spf is not None and self.spf.result == "pass" and self.spf.domain == self.author
        return by_domain or any(one.result == "pass" and one.domain == self.author for one in self.signatures)


class SenderCheck:
    """Checks senders for the server ``name``; ``trusted`` networks hand over mail that is not checked.

    ``seconds`` bound one message's look-ups all together; what is not known by then is a temperror.
    """

    def __init__(self, resolver: Resolver, name: str, trusted: Sequence[str], seconds: float) -> None:
        self._resolver = resolver
        self._name = name
        self._trusted = [ip_network(one) for one in trusted]
        self._seconds = seconds

    def is_trusted(self, client: str) -> bool:
        """Whether mail from this address is not checked (our own courier, a relay of ours)."""
        try:
            address = ip_address(client)
        except ValueError:
            return True  # a local socket
        return any(address in one for one in self._trusted)

    async def check(
        self, client: str, helo: str, sender: str, data: bytes | bytearray, at_s: int
    ) -> tuple[Sender, bytes, bytes | bytearray]:
        """The finding, the Authentication-Results field, and the message without such fields in our name."""
        fields, start = fields_of(data)
        author = author_of(fields)
        spf_found: Spf | None = None
        signatures: tuple[Dkim, ...] = ()
        found = Dmarc("temperror", author or "", "reject")
        try:
            async with asyncio.timeout(self._seconds):
                spf_found = await spf.check(self._resolver, client, helo, sender, self._name, at_s)
                signatures = await dkim.verify(self._resolver, fields, memoryview(data)[start:], at_s)
                found = await dmarc.check(self._resolver, _ascii(author), spf_found, signatures)
        except TimeoutError:
            pass
        odd = homograph.odd_label(author) if author else None
        field = results.field(self._name, spf_found, signatures, found)
        clean = results.without_ours(data, fields, self._name)
        return Sender(spf_found, signatures, found, author, odd), field, clean


def author_of(fields: Sequence[Field]) -> str | None:
    """The domain of the From address, in lower case; None unless there is one field with one address."""
    lines = [one for one in fields if one.name == b"from"]
    if len(lines) != 1:
        return None
    people = decoded(parse(lines[0].value.replace(b"\r\n", b"").strip()))
    if len(people) != 1 or not people[0].host:
        return None
    return people[0].host.lower().rstrip(".") or None


def _ascii(domain: str | None) -> str | None:
    """The form the DNS knows; what has none stays and is found nowhere."""
    if domain is None or domain.isascii():
        return domain
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return domain
