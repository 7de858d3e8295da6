# SPDX-License-Identifier: AGPL-3.0-or-later
"""DNS block lists of addresses (RFC 5782). A list that does not answer lists nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from config.refusal import Refused
from mailserver.dns import DnsUnavailable, Resolver

_LISTED = ip_network("127.0.0.0/16")
"""127.255.255.x and the like are how lists say that they were asked wrongly, not that somebody is listed."""


class BlockLists:
    """Asks every list of ``zones``."""

    def __init__(self, resolver: Resolver, zones: Sequence[str]) -> None:
        self._resolver = resolver
        self._zones = tuple(zones)

    async def check(self, client: str) -> None:
        """Raises `Refused` (``listed``) with the list's name and how to get off it."""
        if not self._zones:
            return
        found = await asyncio.gather(*(self._listed(client, zone) for zone in self._zones))
        for zone, listed in zip(self._zones, found, strict=True):
            if listed:
                raise Refused(
                    "listed",
                    f"Địa chỉ {client} nằm trong danh sách chặn {zone}. Quản trị máy gửi xem cách gỡ ở trang của danh sách.",
                    f"The address {client} is on the block list {zone}. The sending server's administrator finds on the "
                    "list's pages how to get off it.",
                )

    async def _listed(self, client: str, zone: str) -> bool:
        address = ip_address(client)
        pointer = address.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
        try:
            answers = await self._resolver.addresses(f"{pointer}.{zone}", v6=False)
        except DnsUnavailable:
            return False
        return any(one in _LISTED for one in answers)
