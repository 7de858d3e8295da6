# SPDX-License-Identifier: AGPL-3.0-or-later
"""Backups: generations of an installation, encrypted to a key that is never on the server; restoring them."""
