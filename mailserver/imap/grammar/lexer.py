# SPDX-License-Identifier: AGPL-3.0-or-later
"""A cursor over one complete command: each method takes one piece of RFC 9051 §9's grammar or raises `Syntax`."""

from __future__ import annotations

import re

from mailserver.imap.grammar.assembling import Command
from mailserver.imap.grammar.names import decode_name
from mailserver.imap.grammar.sequences import SequenceSet, parse_sequence_set

_TAG = re.compile(rb"[!#$&',\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]{1,100}")
_ATOM = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+")
_ASTRING = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~\x80-\xff]+")
_LIST_MAILBOX = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~%*\x80-\xff]+")
_QUOTED = re.compile(rb'"([^"\\\r\n\x00]*+(?:\\["\\][^"\\\r\n\x00]*+)*+)"')
_UNQUOTE = re.compile(rb'\\(["\\])')
_LITERAL = re.compile(rb"\{\d+\+?\}\Z")
_LITERAL8 = re.compile(rb"~(?=\{\d+\+?\}\Z)")
_NUMBER = re.compile(rb"\d{1,20}")
_SET = re.compile(rb"[\d*:,]+")
_FLAG = re.compile(rb"\\?[!#$&'+,\-./0-9:;<=>?@A-Z^_`a-z|}~]+")
MAX_NUMBER = 2**63 - 1


class Syntax(Exception):
    """The command does not follow the grammar: tagged BAD with this text."""


class Cursor:
    """Reads a command from left to right."""

    def __init__(self, command: Command, saved: SequenceSet | None = None) -> None:
        self.saved = saved
        """What ``$`` stands for in the selected mailbox (RFC 5182 §2.1); None where nothing is selected."""
        self.utf8 = False
        """Whether mailbox names are UTF-8 here (RFC 9051 §5.1, RFC 6855 §3)."""
        self._fragments = command.fragments
        self._literals = command.literals
        self._index = 0
        self._text = command.fragments[0]
        self._at = 0

    # --- single tokens

    def _take(self, pattern: re.Pattern[bytes]) -> bytes | None:
        match = pattern.match(self._text, self._at)
        if match is None:
            return None
        self._at = match.end()
        return match[0]

    def tag(self) -> bytes:
        """A tag."""
        found = self._take(_TAG)
        if found is None:
            raise Syntax("A tag is missing")
        return found

    def space(self) -> None:
        """One blank; more are borne."""
        if not self.try_byte(b" "):
            raise Syntax("A blank is missing")
        while self.try_byte(b" "):
            pass

    def try_space(self) -> bool:
        """Take blanks if there are any."""
        found = self.try_byte(b" ")
        while self.try_byte(b" "):
            pass
        return found

    def try_byte(self, one: bytes) -> bool:
        """Take ``one`` octet if it is next."""
        if self._text.startswith(one, self._at):
            self._at += 1
            return True
        return False

    def byte(self, one: bytes) -> None:
        """Exactly this octet."""
        if not self.try_byte(one):
            raise Syntax(f"“{one.decode()}” is missing")

    def at(self, one: bytes) -> bool:
        """Whether ``one`` is next."""
        return self._text.startswith(one, self._at)

    def end(self) -> None:
        """The end of the command; blanks before it are borne."""
        self.try_space()
        if not self.at_end():
            raise Syntax("Too many arguments")

    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self._at >= len(self._text) and self._index == len(self._fragments) - 1

    def atom(self) -> bytes:
        """An atom."""
        found = self._take(_ATOM)
        if found is None:
            raise Syntax("A word is missing")
        return found

    def word(self) -> str:
        """An atom as upper-case text: names of commands, items and keys."""
        return self.atom().decode("ascii").upper()

    def number(self) -> int:
        """A number of at most 63 bits."""
        found = self._take(_NUMBER)
        if found is None or int(found) > MAX_NUMBER:
            raise Syntax("A number is missing or too large")
        return int(found)

    # --- strings

    def string(self) -> bytes:
        """A quoted string or literal."""
        found = self._try_string()
        if found is None:
            raise Syntax("A string is missing")
        return found

    def _try_string(self) -> bytes | None:
        match = _QUOTED.match(self._text, self._at)
        if match is not None:
            self._at = match.end()
            value = match[1]
            return _UNQUOTE.sub(rb"\1", value) if b"\\" in value else value
        if _LITERAL.match(self._text, self._at) and self._index < len(self._literals):
            value = self._literals[self._index]
            self._index += 1
            self._text, self._at = self._fragments[self._index], 0
            return value
        return None

    def astring(self) -> bytes:
        """An atom-like word, quoted string or literal."""
        found = self._try_string()
        if found is None:
            found = self._take(_ASTRING)
        if found is None:
            raise Syntax("A string is missing")
        return found

    def nstring(self) -> bytes | None:
        """A string or NIL."""
        found = self._try_string()
        if found is None and self.atom().upper() != b"NIL":
            raise Syntax("A string or NIL is missing")
        return found

    def literal(self) -> bytes:
        """A literal or literal8, nothing else (the message of APPEND)."""
        self._take(_LITERAL8)
        if not _LITERAL.match(self._text, self._at):
            raise Syntax("A literal is missing")
        return self.string()

    # --- values

    def mailbox(self) -> str:
        """A mailbox name, decoded (RFC 9051 §5.1, modified UTF-7 of RFC 3501 §5.1.3)."""
        return decode_name(self.astring(), utf8=self.utf8)

    def list_mailbox(self) -> str:
        """A mailbox pattern of LIST."""
        found = self._try_string()
        if found is None:
            found = self._take(_LIST_MAILBOX)
        if found is None:
            raise Syntax("A mailbox pattern is missing")
        return decode_name(found, utf8=self.utf8)

    def sequence_set(self) -> SequenceSet:
        """A sequence set, or ``$``."""
        if self.saved is not None and self.try_byte(b"$"):
            return self.saved
        found = self._take(_SET)
        parsed = parse_sequence_set(found) if found else None
        if parsed is None:
            raise Syntax("A sequence set is missing or wrong")
        return parsed

    def at_sequence_set(self) -> bool:
        """Whether a digit, ``*`` or ``$`` is next."""
        return self._text[self._at : self._at + 1].isdigit() or self.at(b"*") or self.at(b"$")

    def flag(self) -> str:
        """A flag or keyword."""
        found = self._take(_FLAG)
        if found is None:
            raise Syntax("A flag is missing or has characters that flags can't have")
        return found.decode("ascii")

    def flags(self, *, bare: bool = False) -> list[str]:
        """A flag list in parentheses, or with ``bare`` also without."""
        if not self.try_byte(b"("):
            if not bare:
                raise Syntax("A flag list is missing")
            found = [self.flag()]
            while self.try_space() and not self.at_end():
                found.append(self.flag())
            return found
        found = []
        self.try_space()
        while not self.try_byte(b")"):
            found.append(self.flag())
            if not self.try_space() and not self.at(b")"):
                raise Syntax("A flag list is not closed")
        return found

    def words(self) -> list[str]:
        """A list of words in parentheses, upper case."""
        self.byte(b"(")
        found: list[str] = []
        self.try_space()
        while not self.try_byte(b")"):
            found.append(self.word())
            if not self.try_space() and not self.at(b")"):
                raise Syntax("A list is not closed")
        return found
