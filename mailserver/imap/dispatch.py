# SPDX-License-Identifier: AGPL-3.0-or-later
"""One complete command → its handler → the tagged reply. Still no socket."""

from __future__ import annotations

from mailserver.imap.commands import COMMANDS, Entry, State
from mailserver.imap.grammar.assembling import Command
from mailserver.imap.grammar.lexer import Cursor, Syntax
from mailserver.imap.replies import failure
from mailserver.imap.session import Session


async def execute(session: Session, command: Command) -> None:
    """Carry out a command and write its replies. Raises only `ConnectionError` (the client is gone)."""
    if session.trace is not None:
        session.trace.client(command)
    if session.awaiting is not None:
        waiting, session.awaiting = session.awaiting, None
        is_idle_over = waiting.verb == "IDLE" and command.fragments[0].strip().upper() != b"DONE"
        try:
            line = await waiting.take(command.fragments[0])
            if line is not None:
                await session.tell(expunge=True)
                session.write(b"%b OK %b\r\n" % (waiting.tag, line))
        except ConnectionError:
            raise
        except Exception as error:
            session.write(failure(waiting.tag, waiting.verb, error))
        if not is_idle_over:
            return
    cursor = Cursor(command)
    cursor.utf8 = session.utf8_names
    tag, verb = b"*", "?"
    try:
        tag = session.tag = cursor.tag()
        cursor.space()
        verb = cursor.word()
        entry = _entry(session, verb)
        await session.refresh()
        cursor.saved = session.view.saved if session.view is not None else None
        line_or_later = await entry.run(session, cursor)
        await session.tell(expunge=not entry.quiet)
    except ConnectionError:
        raise
    except Exception as error:
        session.write(failure(tag, verb, error))
        return
    if line_or_later is not None:
        session.write(b"%b OK %b\r\n" % (tag, line_or_later))


def _entry(session: Session, verb: str) -> Entry:
    entry = COMMANDS.get(verb)
    if entry is None:
        raise Syntax(f"{verb[:40]} is not a command")
    if entry.state is State.BEFORE and session.account is not None:
        raise Syntax("You are signed in already")
    if entry.state in (State.SIGNED_IN, State.SELECTED) and session.account is None:
        raise Syntax("Please sign in first")
    if entry.state is State.SELECTED and session.view is None:
        raise Syntax("No mailbox is selected")
    return entry
