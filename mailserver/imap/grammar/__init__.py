# SPDX-License-Identifier: AGPL-3.0-or-later
"""IMAP's grammar: bytes ↔ values (RFC 9051 §9). No sockets, no store, no session."""
