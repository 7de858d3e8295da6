# SPDX-License-Identifier: AGPL-3.0-or-later
"""Look-ups in the DNS: one bounded resolver that everybody is given, nobody makes."""

from mailserver.dns.resolver import DnsUnavailable, Resolver

__all__ = ["DnsUnavailable", "Resolver"]
