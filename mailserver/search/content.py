# SPDX-License-Identifier: AGPL-3.0-or-later
"""What of a message is searched as TEXT and BODY: one definition for the index and for those who read to decide."""

from __future__ import annotations

from mailserver.message import Summary, header_text, plain_text
from mailserver.message.structure import header_end

_HEAD = 256 * 1024


def head_text(data: bytes) -> str:
    """The header as people read it, not folded; at most 256 KiB of it."""
    return header_text(data[: min(header_end(data, 0, len(data)), _HEAD)])


def body_text(data: bytes, summary: Summary, extracted: str) -> str:
    """The texts of the bodies, the names of the files, and what was ``extracted`` from them; NFC, not folded."""
    names = [one.filename for one in summary.parts if one.filename]
    return "\n".join([plain_text(data, summary), *names, extracted])
