# SPDX-License-Identifier: AGPL-3.0-or-later
"""Variables of a script (RFC 5229): ``${name}``, ``${1}``, and ``set`` with its modifiers."""

from __future__ import annotations

import re

from mailserver.sieve.program import Step

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*|[0-9]{1,2})\}")
_WILD = re.compile(r"([*?\\])")
_LONGEST = 8 * 1024
_MOST = 128


class Variables:
    """The values of one run. Without ``on`` (the extension is not required) texts stay as they are."""

    def __init__(self, on: bool) -> None:
        self._on = on
        self._named: dict[str, str] = {}
        self.matched: list[str] = []

    def filled(self, text: str) -> str:
        """``text`` with references replaced; unknown ones are empty (RFC 5229 §3)."""
        if not self._on or "${" not in text:
            return text
        return _REFERENCE.sub(self._value, text)[:_LONGEST]

    def _value(self, found: re.Match[str]) -> str:
        name = found[1]
        if name.isdigit():
            number = int(name)
            return self.matched[number] if number < len(self.matched) else ""
        return self._named.get(name.lower(), "")

    def get(self, name: str) -> str:
        """The value of a variable."""
        return self._named.get(name.lower(), "")

    def put(self, name: str, value: str) -> None:
        """Keep a value, cut to 8 KiB; at most 128 variables."""
        if name.lower() in self._named or len(self._named) < _MOST:
            self._named[name.lower()] = value[:_LONGEST]

    def set(self, step: Step) -> None:
        """The ``set`` command, modifiers by precedence (RFC 5229 §4.1)."""
        value = self.filled(step.string(1))
        if "lower" in step.tags:
            value = value.lower()
        elif "upper" in step.tags:
            value = value.upper()
        if "lowerfirst" in step.tags:
            value = value[:1].lower() + value[1:]
        elif "upperfirst" in step.tags:
            value = value[:1].upper() + value[1:]
        if "quotewildcard" in step.tags:
            value = _WILD.sub(r"\\\1", value)
        if "length" in step.tags:
            value = str(len(value))
        self.put(step.string(0), value)
