# SPDX-License-Identifier: AGPL-3.0-or-later
"""Mailboxes, letters and what is done with them."""
