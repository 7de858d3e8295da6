# SPDX-License-Identifier: AGPL-3.0-or-later
"""Text of a script → commands, tests and arguments as written (RFC 5228 §8). Linear and bounded."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from config.refusal import Refused

MAX_SCRIPT = 64 * 1024
"""Octets of a script, unless the caller says less."""
MAX_DEPTH = 15
_MAX_ITEMS = 5000
_MAX_NUMBER = 2**31 - 1  # RFC 5228 §2.4.1 asks for this much
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_TOKEN = re.compile(
    r"""(?P<space>(?:[ \t\r\n]|\#[^\n]*(?:\n|\Z)|/\*(?:[^*]|\*(?!/))*\*/)+)
    |(?P<text>text:[ \t]*(?:\#[^\n]*)?\r?\n)
    |(?P<number>[0-9]{1,12}(?P<unit>[KMGkmg])?(?![A-Za-z0-9_]))
    |(?P<tag>:[A-Za-z_][A-Za-z0-9_]*)
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<string>"(?:[^"\\]|\\.)*")
    |(?P<mark>[;{}()\[\],])""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class BadScript(Refused):
    """The script can't be used; ``line`` counts from 1."""

    def __init__(self, line: int, vi: str, en: str) -> None:
        super().__init__("bad-script", f"Dòng {line}: {vi}", f"Line {line}: {en}")
        self.line = line

    def __reduce__(self) -> tuple[object, ...]:
        said = (self.line, self.vi.partition(": ")[2], self.en.partition(": ")[2])
        return (BadScript, said)


@dataclass(frozen=True, slots=True)
class Token:
    """One token: ``kind`` is tag, word, number, string, mark or end."""

    kind: str
    value: str
    number: int
    line: int


@dataclass(frozen=True, slots=True)
class Tag:
    """``:name`` of an argument."""

    name: str


Argument = Tag | int | str | list[str]


@dataclass(slots=True)
class Node:
    """A command or a test as written. ``block`` is None when there is none."""

    name: str
    line: int
    arguments: list[Argument] = field(default_factory=list)
    tests: list[Node] = field(default_factory=list)
    grouped: bool = False
    block: list[Node] | None = None


def tokens(text: str) -> list[Token]:
    """The tokens of a script, closed by one of kind ``end``. Raises `BadScript`."""
    found: list[Token] = []
    position, line = 0, 1
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise BadScript(
                line, "có ký tự hoặc chuỗi viết sai.", f"can't read {text[position : position + 20]!r}."
            )
        kind, start = match.lastgroup or "", line
        if kind == "unit":
            kind = "number"
        line += match[0].count("\n")
        position = match.end()
        if kind == "space":
            continue
        if len(found) >= 4 * _MAX_ITEMS:
            raise BadScript(start, "kịch bản quá dài.", "the script is too long.")
        if kind == "text":
            value, position = _multi_line(text, position, start)
            line += text.count("\n", match.end(), position)
            found.append(Token("string", value, 0, start))
        elif kind == "number":
            number = int(match["number"].rstrip("KMGkmg")) * _UNITS[(match["unit"] or "").lower()]
            if number > _MAX_NUMBER:
                raise BadScript(start, "số quá lớn.", "the number is too large.")
            found.append(Token("number", match[0], number, start))
        elif kind == "string":
            found.append(Token("string", _ESCAPED.sub(r"\1", match[0][1:-1]), 0, start))
        else:
            value = match[0].lower() if kind in ("tag", "word") else match[0]
            found.append(Token(kind, value, 0, start))
    found.append(Token("end", "", 0, line))
    return found


def _multi_line(text: str, start: int, line: int) -> tuple[str, int]:
    """The value of ``text:`` and where it ends: at a line with a lone dot (RFC 5228 §2.4.2)."""
    out: list[str] = []
    position = start
    while position < len(text):
        end = text.find("\n", position)
        end = len(text) if end < 0 else end + 1
        one = text[position:end]
        position = end
        bare = one.rstrip("\r\n")
        if bare == ".":
            return "".join(out), position
        out.append((bare[1:] if bare.startswith("..") else bare) + "\r\n")
    raise BadScript(
        line, "đoạn “text:” chưa có dòng “.” kết thúc.", "“text:” is not ended by a line with “.”."
    )


def parse(script: str, most: int = MAX_SCRIPT) -> list[Node]:
    """The commands of a script. Raises `BadScript`."""
    if len(script.encode("utf-8", "replace")) > most:
        raise BadScript(1, f"kịch bản dài quá {most} byte.", f"the script is longer than {most} bytes.")
    if "\x00" in script:
        raise BadScript(1, "kịch bản có ký tự NUL.", "the script has a NUL character.")
    return _Parser(tokens(script)).commands(0, top=True)


class _Parser:
    def __init__(self, found: list[Token]) -> None:
        self._found = found
        self._at = 0
        self._items = 0

    def _peek(self) -> Token:
        return self._found[self._at]

    def _next(self) -> Token:
        token = self._found[self._at]
        if token.kind != "end":
            self._at += 1
        return token

    def _is(self, mark: str) -> bool:
        token = self._peek()
        return token.kind == "mark" and token.value == mark

    def _want(self, mark: str) -> None:
        token = self._next()
        if token.kind != "mark" or token.value != mark:
            raise BadScript(token.line, f"thiếu “{mark}”.", f"“{mark}” is missing.")

    def commands(self, depth: int, *, top: bool = False) -> list[Node]:
        """Commands up to the end or the closing brace."""
        found: list[Node] = []
        while self._peek().kind == "word":
            found.append(self._command(depth))
        token = self._peek()
        if token.kind != "end" if top else not self._is("}"):
            raise BadScript(
                token.line, "chờ một lệnh ở đây.", f"a command is expected here, not {token.value!r}."
            )
        return found

    def _command(self, depth: int) -> Node:
        node = self._node(depth)
        if self._is("{"):
            if depth >= MAX_DEPTH:
                raise BadScript(node.line, "các khối lồng nhau quá sâu.", "blocks are nested too deeply.")
            self._next()
            node.block = self.commands(depth + 1)
            self._want("}")
        else:
            self._want(";")
        return node

    def _node(self, depth: int) -> Node:
        word = self._next()
        self._items += 1
        if word.kind != "word":
            raise BadScript(word.line, "chờ tên lệnh ở đây.", "a name is expected here.")
        if self._items > _MAX_ITEMS or depth > MAX_DEPTH:
            raise BadScript(
                word.line, "kịch bản quá dài hoặc quá sâu.", "the script is too long or too deep."
            )
        node = Node(word.value, word.line)
        while (argument := self._argument()) is not None:
            node.arguments.append(argument)
        if self._is("("):
            self._next()
            node.grouped = True
            node.tests.append(self._node(depth + 1))
            while self._is(","):
                self._next()
                node.tests.append(self._node(depth + 1))
            self._want(")")
        elif self._peek().kind == "word":
            node.tests.append(self._node(depth + 1))
        return node

    def _argument(self) -> Argument | None:
        token = self._peek()
        if token.kind == "tag":
            self._next()
            return Tag(token.value[1:])
        if token.kind == "number":
            self._next()
            return token.number
        if token.kind == "string":
            self._next()
            return token.value
        if not self._is("["):
            return None
        self._next()
        found = [self._string()]
        while self._is(","):
            self._next()
            found.append(self._string())
        self._want("]")
        return found

    def _string(self) -> str:
        token = self._next()
        if token.kind != "string":
            raise BadScript(token.line, "trong [ ] chỉ có chuỗi.", "a list holds strings only.")
        self._items += 1
        return token.value
