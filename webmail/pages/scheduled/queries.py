# SPDX-License-Identifier: AGPL-3.0-or-later
"""What of one's own waits before it goes."""

from __future__ import annotations

from mailserver.store import submissions
from mailserver.store.submissions import Submission
from webmail import frame


def held() -> list[Submission]:
    """The person's held letters, soonest first."""
    parts, account = frame.parts(), frame.account()
    with parts.database.reading() as conn:
        return submissions.of_account(conn, parts.seal, account.ref)
