# SPDX-License-Identifier: AGPL-3.0-or-later
"""Dialogues: what a client says and what the server must answer, as text.

``C: line`` sends a line; ``C> text`` sends text without a line end, ``\\r\\n`` and ``\\x00`` written out.
``S: pattern`` the next line; ``S* pattern`` some later line; ``X:`` the connection is closed.
``C2:``, ``S2:`` … are further connections. In patterns ``...`` is anything, ``<n>`` a number, ``<u>`` the
number the first ``<u>`` was, in what is sent too. ``Mail: 3`` at the top puts messages into the inbox first; ``Option: value``
lines choose how the server runs. Lines beginning with ``#`` name the rule.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, field
from pathlib import Path

_STEP = re.compile(r"([CSX])(\d?)([:>*]) ?(.*)\Z", re.DOTALL)
_TIMEOUT_S = 10.0


@dataclass
class Dialogue:
    """A file: options, the rules it shows, its steps."""

    name: str
    options: dict[str, str] = field(default_factory=dict)
    rules: list[str] = field(default_factory=list)
    steps: list[tuple[int, str, str, str, str]] = field(default_factory=list)


def read(path: Path) -> Dialogue:
    """Parse a dialogue file."""
    found = Dialogue(path.stem)
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("#"):
            found.rules += re.findall(r"\b[QS]\d+\b", line)
        elif not line.strip():
            continue
        elif match := _STEP.match(line):
            found.steps.append((number, match[1], match[2] or "1", match[3], match[4]))
        else:
            name, colon, value = line.partition(":")
            assert colon, f"{path.name}:{number}: not a step"
            found.options[name.strip().lower()] = value.strip()
    return found


class Wire:
    """One raw connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_S)
        self._buffer = b""

    def send(self, data: bytes) -> None:
        """Send octets."""
        self.socket.sendall(data)

    def line(self) -> bytes | None:
        """The next line without its end, None when the connection is closed."""
        while b"\n" not in self._buffer:
            try:
                more = self.socket.recv(65536)
            except ConnectionError:
                more = b""
            if not more:
                return None
            self._buffer += more
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.removesuffix(b"\r")

    def until(self, tag: bytes) -> list[bytes]:
        """All lines up to the tagged one."""
        lines = []
        while True:
            line = self.line()
            assert line is not None, f"closed after {lines[-5:]}"
            lines.append(line)
            if line.startswith(tag + b" "):
                return lines

    def command(self, text: str | bytes, tag: str = "t") -> list[bytes]:
        """Send a command and return all lines of its answer."""
        raw = text.encode() if isinstance(text, str) else text
        self.send(tag.encode() + b" " + raw + b"\r\n")
        return self.until(tag.encode())

    def close(self) -> None:
        """Close."""
        self.socket.close()


def play(dialogue: Dialogue, port: int, values: dict[str, str]) -> None:
    """Play it against a server. Raises AssertionError with file line, wish and answer."""
    wires: dict[str, Wire] = {}
    seen: dict[str, str] = {}
    try:
        for number, kind, which, form, raw in dialogue.steps:
            text = raw
            for name, value in values.items():
                text = text.replace("${" + name + "}", value)
            if which not in wires:
                wires[which] = Wire(port)
            wire = wires[which]
            place = f"{dialogue.name}:{number}"
            if kind == "C":
                data = re.sub("<([a-z])>", lambda found: seen.get(found[1], found[0]), text).encode()
                wire.send(
                    data.replace(b"\\r\\n", b"\r\n").replace(b"\\x00", b"\0")
                    if form == ">"
                    else data + b"\r\n"
                )
            elif kind == "X":
                while (left := wire.line()) is not None:
                    assert left.startswith(b"*"), f"{place}: not closed, got {left!r}"
            else:
                _expect(wire, text, place, seen, later=form == "*")
    finally:
        for wire in wires.values():
            wire.close()


def _expect(wire: Wire, wish: str, place: str, seen: dict[str, str], *, later: bool) -> None:
    passed: list[str] = []
    while True:
        raw = wire.line()
        assert raw is not None, f"{place}: wanted {wish!r}, connection closed; passed {passed}"
        line = raw.decode("utf-8", "replace")
        match = _pattern(wish, seen).fullmatch(line)
        if match is not None:
            for name, value in match.groupdict().items():
                seen.setdefault(name, value)
            return
        passed.append(line)
        assert later, f"{place}: wanted {wish!r}, got {line!r}"
        assert len(passed) < 10_000, f"{place}: {wish!r} never came"


def _pattern(wish: str, seen: dict[str, str]) -> re.Pattern[str]:
    out = ""
    for piece in re.split(r"(\.\.\.|<n>|<[a-z]>)", wish):
        if piece == "...":
            out += ".*"
        elif piece == "<n>":
            out += r"\d+"
        elif re.fullmatch("<[a-z]>", piece):
            name = piece[1]
            if name in seen:
                out += re.escape(seen[name])
            elif f"(?P<{name}>" in out:
                out += f"(?P={name})"
            else:
                out += rf"(?P<{name}>\d+)"
        else:
            out += re.escape(piece)
    return re.compile(out, re.DOTALL)
