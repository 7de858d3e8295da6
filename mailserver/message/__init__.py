# SPDX-License-Identifier: AGPL-3.0-or-later
"""Messages as bytes: structure, ENVELOPE, BODYSTRUCTURE, preview, words for search. Pure: no I/O, no state."""

from __future__ import annotations

from mailserver.message.addresses import Address
from mailserver.message.fold import finder, fold, fold_line, words
from mailserver.message.scanning import scan
from mailserver.message.summary import Details, Part, Summary
from mailserver.message.text import body_bytes, body_text, html_text, plain_text, search_text, written_text
from mailserver.message.words import header_text

__all__ = [
    "Address",
    "Details",
    "Part",
    "Summary",
    "body_bytes",
    "body_text",
    "finder",
    "fold",
    "fold_line",
    "header_text",
    "html_text",
    "plain_text",
    "scan",
    "search_text",
    "words",
    "written_text",
]
