# SPDX-License-Identifier: AGPL-3.0-or-later
"""Coverage-guided fuzzing of a connection: ``python -m tests.mailserver.imap.fuzz [options of libFuzzer]``.

The first octet chooses the state: before signing in, signed in, a mailbox selected, enabled to the full, idling,
in clear before STARTTLS, inside DEFLATE (what is sent deflated, and the stream itself). The rest is what a client
sends; behind `LATER` stands what comes after STARTTLS or COMPRESS was answered. What must hold: every event is
answered, the answer is whole lines, nothing is an error of the server, no other session is disturbed, what is held
is bounded, nothing that came in clear is run behind STARTTLS.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType, ModuleType

from config.settings import Installation, Listen, Mail, Settings
from mailserver.imap.deflate import PIECE, Deflate
from mailserver.imap.dispatch import execute
from mailserver.imap.grammar.assembling import Assembler, Command, Event, Overrun
from mailserver.imap.naming import registry_of_clerk
from mailserver.imap.session import Services, Session
from mailserver.imap.trace import Traces
from mailserver.search.searching import Searches
from mailserver.store import Store
from tests.conftest import Province, one_province
from tests.mailserver.imap.conftest import message

_LINE, _LITERALS, _MOST_COMMANDS = 64 * 1024, 64 * 1024, 50
STATES = (
    (),
    ("LOGIN",),
    ("LOGIN", "SELECT INBOX"),
    ("LOGIN", "ENABLE QRESYNC UTF8=ACCEPT IMAP4rev2", "SELECT INBOX"),
    ("LOGIN", "SELECT INBOX", "IDLE"),
    ("LOGIN", "EXAMINE INBOX"),
    ("IN CLEAR",),
    ("LOGIN", "SELECT INBOX", "DEFLATED"),
    ("LOGIN", "SELECT INBOX", "STREAM"),
)
LATER = b"\xfd\xfe"
SEEDS = (
    b"a FETCH 1:* (UID FLAGS ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (SUBJECT)]<0.9> BINARY.SIZE[1])\r\n",
    b"a UID STORE 1:2,* (UNCHANGEDSINCE 9) -FLAGS.SILENT (\\Seen $x)\r\nb EXPUNGE\r\n",
    b'a APPEND INBOX (\\Seen) "01-Feb-2026 07:00:00 +0700" {4+}\r\nabcd ~{4+}\r\nefgh\r\n',
    b'a LIST (SUBSCRIBED RECURSIVEMATCH) "" ("%" "I*") RETURN (STATUS (MESSAGES MAILBOXID) MYRIGHTS)\r\n',
    b"a UID SEARCH RETURN (SAVE COUNT) OR (FROM {1+}\r\nx SINCE 1-Jan-2026) NOT EMAILID E1\r\nb FETCH $ UID\r\n",
    b"a AUTHENTICATE SCRAM-SHA-256 biwsbj1hLHI9MTIzNDU2Nzg=\r\n*\r\nb LOGIN x {3+}\r\nabc\r\n",
    b"a SELECT INBOX (QRESYNC (1 2 1:9 (1:3 1:3)))\r\nb STATUS INBOX (DELETED SIZE)\r\nDONE\r\n",
    b"a SETACL x anyone +lr\r\nb GETACL x\r\nc CREATE x (USE (\\Sent))\r\nd RENAME x y/z\r\ne DELETE y/z\r\n",
    b"a STARTTLS\r\nb LOGIN x y\r\n\xfd\xfec CAPABILITY\r\nd LOGIN {1+}\r\nx y\r\n",
    b"a COMPRESS DEFLATE\r\nb NOOP\r\n\xfd\xfe\x4a\x52\xf0\xf3\xf7\x0f\xe0\xe5\x02\x00\x00\x00\xff\xff",
    b"a SORT (REVERSE DATE SUBJECT) UTF-8 ALL\r\nb THREAD REFERENCES UTF-8 ALL\r\nc UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)\r\n",
)


class Sink:
    """Where replies go: counted, not kept beyond a bound."""

    def __init__(self) -> None:
        self.got = bytearray()

    def send(self, data: bytes) -> None:
        """Take octets."""
        self.got += data

    async def drained(self) -> None:
        """Never slow."""


class Harness:
    """A store, its services and a way to run one input."""

    def __init__(self, province: Province, folder: Path) -> None:
        settings = Settings(
            base=folder,
            file=folder / "province.toml",
            installation=Installation(tls_name="localhost"),
            listen=Listen(imap="", imaps=""),
            mail=Mail(plaintext_on_loopback=True, max_message_bytes=_LITERALS),
        )
        self.loop = asyncio.new_event_loop()
        self.person = next(
            one for address, one in province.people.items() if address.startswith("cv1@vpubnd")
        )
        self.store: Store = province.store
        self.services = Services(
            province.store,
            province.accounts,
            settings,
            registry_of_clerk(province.accounts),
            Searches(province.store),
            Traces(province.store),
        )
        inbox = self.store.find(self.person.ref, "INBOX")
        assert inbox is not None
        for number in range(5):
            self.loop.run_until_complete(
                self.store.append(inbox, message(f"thư {number}"), number, 1_780_000_000_000_000)
            )

    def check(self, raw: bytes) -> None:
        """Raises `AssertionError`, or what the server raised."""
        self.loop.run_until_complete(asyncio.wait_for(self._play(raw), 30))

    async def _play(self, raw: bytes) -> None:
        sink = Sink()
        state = STATES[raw[0] % len(STATES)] if raw else ()
        session = Session(self.services, sink, "127.0.0.1", tls="IN CLEAR" not in state, can_tls=True)
        assembler = Assembler(_LINE, lambda verb: (_LITERALS, _LITERALS))
        deflate: Deflate | None = None
        for text in state:
            if text == "LOGIN":
                session.signed_in(self.person)
            elif text in ("DEFLATED", "STREAM"):
                session.deflating, deflate = True, Deflate()
            elif text != "IN CLEAR":
                await execute(session, Command([b"s " + text.encode()], []))
        session.flush()
        sink.got.clear()
        now, _, later = raw[1:].partition(LATER)
        if deflate is None:
            assembler.feed(now)
        else:
            deflate.take(zlib.compress(now, wbits=-15) if "DEFLATED" in state else now)
        count = 0
        try:
            while count < _MOST_COMMANDS and (event := _next(assembler, deflate)) is not None:
                count += 1
                if isinstance(event, Overrun):
                    break
                if isinstance(event, Command):
                    waiting = session.awaiting is not None
                    await execute(session, event)
                    session.flush()
                    assert sink.got or waiting, event
                    assert not sink.got or sink.got.endswith(b"\r\n"), bytes(sink.got)
                    assert b"[SERVERBUG]" not in sink.got, (event, bytes(sink.got[-500:]))
                    sink.got.clear()
                if session.closing:
                    break
                if (
                    session.start_tls or session.start_deflate
                ):  # what came before the answer is thrown away (S2)
                    assembler.discard()
                    assert assembler.held == 0
                    if session.start_tls:
                        assert session.account is None
                        session.start_tls, session.tls = False, True
                        assembler.feed(later)
                    else:
                        session.start_deflate, session.deflating, deflate = False, True, Deflate()
                        deflate.take(later)
                    later = b""
            assert assembler.held <= _LINE + _LITERALS + len(raw) + PIECE
        except ConnectionAbortedError:
            assert deflate is not None  # garbage where a stream should be
        finally:
            session.ended()


def _next(assembler: Assembler, deflate: Deflate | None) -> Event | None:
    """As the connection does it: inflated piece by piece, as commands are taken."""
    event = assembler.next()
    while event is None and deflate is not None and (more := deflate.inflate()):
        assembler.feed(more)
        event = assembler.next()
    return event


@contextmanager
def harness() -> Iterator[Harness]:
    """A harness on a province of its own."""
    with tempfile.TemporaryDirectory() as name, one_province(Path(name)) as province:
        yield Harness(province, Path(name))


def main() -> None:
    """Seeds go into the first folder given, or are only tried."""
    import atheris

    from mailserver.imap import commands, deflate, dispatch, flags, grammar, naming, sections

    rooms = [deflate, dispatch, flags, naming, sections]
    rooms += [
        one for room in (commands, grammar) for one in vars(room).values() if isinstance(one, ModuleType)
    ]
    for room in rooms:
        for name, one in list(vars(room).items()):
            if isinstance(one, FunctionType) and one.__module__.startswith("mailserver.imap"):
                setattr(room, name, atheris.instrument_func(one))
    folder = next((Path(one) for one in sys.argv[1:] if not one.startswith("-")), None)
    with harness() as made:
        for number, seed in enumerate(SEEDS):
            for state in range(len(STATES)):
                made.check(bytes([state]) + seed)
                if folder is not None:
                    folder.mkdir(parents=True, exist_ok=True)
                    (folder / f"imap-{number}-{state}").write_bytes(bytes([state]) + seed)
        atheris.Setup(sys.argv, made.check)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
