# SPDX-License-Identifier: AGPL-3.0-or-later
"""Mail goes out: the courier of outbound rows, its SMTP client, notices to senders (RFC 3464)."""
