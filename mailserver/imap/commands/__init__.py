# SPDX-License-Identifier: AGPL-3.0-or-later
"""One file a command; `COMMANDS` is the one map from name to handler (RFC 9051 §6)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

from mailserver.imap.commands import (
    append,
    authenticate,
    capability,
    check,
    close,
    compress,
    copy,
    create,
    delete,
    deleteacl,
    enable,
    examine,
    expunge,
    fetch,
    getacl,
    getquota,
    getquotaroot,
    identify,
    idle,
    list,
    listrights,
    login,
    logout,
    lsub,
    move,
    myrights,
    namespace,
    noop,
    rename,
    search,
    select,
    setacl,
    sort,
    starttls,
    status,
    store,
    subscribe,
    thread,
    uid,
    unselect,
    unsubscribe,
)
from mailserver.imap.grammar.lexer import Cursor
from mailserver.imap.session import Session


class State(Enum):
    """When a command may be given (RFC 9051 §3)."""

    ANY = "any"
    BEFORE = "not authenticated"
    SIGNED_IN = "authenticated"
    SELECTED = "selected"


@dataclass(frozen=True, slots=True)
class Entry:
    """A handler. It returns the words after the tagged OK, or None when the answer comes later.

    ``quiet``: EXPUNGE may not be sent with it (RFC 9051 §7.5.1).
    """

    run: Callable[[Session, Cursor], Awaitable[bytes | None]]
    state: State
    quiet: bool = False


COMMANDS = {
    "CAPABILITY": Entry(capability.run, State.ANY),
    "NOOP": Entry(noop.run, State.ANY),
    "LOGOUT": Entry(logout.run, State.ANY),
    "ID": Entry(identify.run, State.ANY),
    "STARTTLS": Entry(starttls.run, State.BEFORE),
    "AUTHENTICATE": Entry(authenticate.run, State.BEFORE),
    "LOGIN": Entry(login.run, State.BEFORE),
    "ENABLE": Entry(enable.run, State.SIGNED_IN),
    "NAMESPACE": Entry(namespace.run, State.SIGNED_IN),
    "LIST": Entry(list.run, State.SIGNED_IN),
    "XLIST": Entry(list.run_xlist, State.SIGNED_IN),
    "LSUB": Entry(lsub.run, State.SIGNED_IN),
    "STATUS": Entry(status.run, State.SIGNED_IN),
    "SELECT": Entry(select.run, State.SIGNED_IN),
    "EXAMINE": Entry(examine.run, State.SIGNED_IN),
    "CREATE": Entry(create.run, State.SIGNED_IN),
    "DELETE": Entry(delete.run, State.SIGNED_IN),
    "RENAME": Entry(rename.run, State.SIGNED_IN),
    "SUBSCRIBE": Entry(subscribe.run, State.SIGNED_IN),
    "UNSUBSCRIBE": Entry(unsubscribe.run, State.SIGNED_IN),
    "APPEND": Entry(append.run, State.SIGNED_IN),
    "IDLE": Entry(idle.run, State.SIGNED_IN),
    "COMPRESS": Entry(compress.run, State.SIGNED_IN),
    "GETQUOTA": Entry(getquota.run, State.SIGNED_IN),
    "GETQUOTAROOT": Entry(getquotaroot.run, State.SIGNED_IN),
    "GETACL": Entry(getacl.run, State.SIGNED_IN),
    "SETACL": Entry(setacl.run, State.SIGNED_IN),
    "DELETEACL": Entry(deleteacl.run, State.SIGNED_IN),
    "LISTRIGHTS": Entry(listrights.run, State.SIGNED_IN),
    "MYRIGHTS": Entry(myrights.run, State.SIGNED_IN),
    "CHECK": Entry(check.run, State.SELECTED),
    "CLOSE": Entry(close.run, State.SELECTED),
    "UNSELECT": Entry(unselect.run, State.SELECTED),
    "EXPUNGE": Entry(expunge.run, State.SELECTED),
    "SEARCH": Entry(search.run, State.SELECTED, quiet=True),
    "SORT": Entry(sort.run, State.SELECTED, quiet=True),
    "THREAD": Entry(thread.run, State.SELECTED, quiet=True),
    "FETCH": Entry(fetch.run, State.SELECTED, quiet=True),
    "STORE": Entry(store.run, State.SELECTED, quiet=True),
    "COPY": Entry(copy.run, State.SELECTED),
    "MOVE": Entry(move.run, State.SELECTED),
    "UID": Entry(uid.run, State.SELECTED),
}
