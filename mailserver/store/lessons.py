# SPDX-License-Identifier: AGPL-3.0-or-later
"""Lessons for the spam filter: a letter that a person moved or copied into Thư rác, out of it, or into Lưu trữ.

Noted in the transaction that moves it, so no program and no page can forget it; learned later, elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from mailserver.accounts.schema import next_number
from mailserver.store import schema
from mailserver.store.model import Ref

_JUNK, _TRASH, _ARCHIVE = "\\Junk", "\\Trash", "\\Archive"
_MOST_AT_ONCE = 50


def note(conn: sa.Connection, source: Ref, target: Ref, new_uids: Iterable[int]) -> bool:
    """Note what the messages ``new_uids`` of ``target``, which came from ``source``, teach; whether they teach anything.

    Into Thư rác: spam. Out of it (unless to the trash) and into Lưu trữ: wanted. Of many at once the first fifty count.
    """
    table = schema.mailbox
    uses = {
        Ref(row.agency, row.mailbox): row.special_use
        for row in conn.execute(
            sa.select(table.c.agency, table.c.mailbox, table.c.special_use).where(
                sa.tuple_(table.c.agency, table.c.mailbox).in_([source, target])
            )
        )
    }
    came, went = uses.get(source), uses.get(target)
    rescued = came == _JUNK and went != _TRASH
    if came == went or not (went in (_JUNK, _ARCHIVE) or rescued):
        return False
    message = schema.message
    rows = conn.execute(
        sa.select(message.c.blob).where(
            message.c.agency == target.agency,
            message.c.mailbox == target.mailbox,
            message.c.uid.in_(list(new_uids)[:_MOST_AT_ONCE]),
        )
    ).all()
    for row in rows:
        conn.execute(
            sa.insert(schema.lesson).values(
                lesson=next_number(conn, 0, "lesson"), blob=row.blob, junk=went == _JUNK
            )
        )
    return bool(rows)
