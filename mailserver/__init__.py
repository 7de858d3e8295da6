# SPDX-License-Identifier: AGPL-3.0-or-later
"""Official mail: accounts, messages, store, delivery, SMTP, IMAP and the queue."""
