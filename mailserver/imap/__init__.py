# SPDX-License-Identifier: AGPL-3.0-or-later
"""IMAP4rev1 with the extensions mail programs use. ``server.ImapServer`` is the way in."""
