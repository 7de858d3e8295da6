# SPDX-License-Identifier: AGPL-3.0-or-later
"""How a domain says no: a stable code and the words for the person, in Vietnamese and English.

A refusal knows nothing of protocols. SMTP, IMAP, the pages and the command line each turn it into
a reply in one place of their own.
"""

from __future__ import annotations


class Refused(Exception):
    """A request that was understood and is not carried out.

    ``code`` is stable and machine-readable (``no-such-agency``); ``vi`` and ``en`` say what is wrong
    and what to do about it. ``rule`` names the rule of the rulebook when one decided.
    """

    def __init__(self, code: str, vi: str, en: str, *, rule: str | None = None) -> None:
        super().__init__(f"{code}: {en}")
        self.code = code
        self.vi = vi
        self.en = en
        self.rule = rule

    def text(self, language: str) -> str:
        """The words in ``language`` (``"vi"``, else English)."""
        return self.vi if language == "vi" else self.en

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.code, self.vi, self.en, self.rule))


class Unavailable(Refused):
    """Not able now: the same request may go through later (SMTP 4xx, HTTP 503, exit code 3)."""


def _rebuild(kind: type[Refused], code: str, vi: str, en: str, rule: str | None) -> Refused:
    return kind(code, vi, en, rule=rule)
