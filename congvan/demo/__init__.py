# SPDX-License-Identifier: AGPL-3.0-or-later
"""A small province on loopback: agencies of three levels, people, keys, letters, a document exchanged."""
