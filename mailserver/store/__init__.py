# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where mail is kept: sealed blobs in segments, mailboxes, messages, the change log, outbound rows."""

from mailserver.store.model import (
    ANSWERED,
    DELETED,
    DRAFT,
    FLAGGED,
    SEEN,
    Change,
    Mailbox,
    Ref,
    Row,
)
from mailserver.store.store import Store

__all__ = [
    "ANSWERED",
    "DELETED",
    "DRAFT",
    "FLAGGED",
    "SEEN",
    "Change",
    "Mailbox",
    "Ref",
    "Row",
    "Store",
]
