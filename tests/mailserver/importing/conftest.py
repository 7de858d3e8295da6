# SPDX-License-Identifier: AGPL-3.0-or-later
"""The real IMAP server of this program as the old server, and an account here to copy into."""

from tests.mailserver.imap.conftest import certificate, password, serve, served

__all__ = ["certificate", "password", "serve", "served"]
