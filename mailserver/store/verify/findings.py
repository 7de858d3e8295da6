# SPDX-License-Identifier: AGPL-3.0-or-later
"""What verifying found, and how each thing that can be derived is set right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import sqlalchemy as sa

from config.database import Database

_MOST = 10_000
Fix = Callable[[sa.Connection], object]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it must be. ``fix`` sets it right in one short transaction, when it can be.

    Fixes of numbers add the difference that was found, so they are right whatever happened since.
    """

    kind: str
    place: str
    detail: str
    fix: Fix | None = field(default=None, compare=False, repr=False)

    def as_json(self) -> dict[str, str]:
        """Kind, place and detail."""
        return {"kind": self.kind, "place": self.place, "detail": self.detail}


@dataclass(slots=True)
class Findings:
    """What was looked at and what was wrong; beyond 10,000 problems they are only counted."""

    mailboxes: int = 0
    messages: int = 0
    blobs: int = 0
    vaulted: int = 0
    waste: int = 0
    count: int = 0
    problems: list[Problem] = field(default_factory=list)
    repaired: list[Problem] = field(default_factory=list)

    def add(self, kind: str, place: str, detail: str, fix: Fix | None = None) -> None:
        """Note a problem."""
        self.count += 1
        if len(self.problems) < _MOST:
            self.problems.append(Problem(kind, place, detail, fix))

    def repair(self, database: Database) -> None:
        """Set right what has a fix; what was repaired leaves ``problems``."""
        left = []
        for one in self.problems:
            if one.fix is None:
                left.append(one)
            else:
                database.write(one.fix)
                self.repaired.append(one)
        self.count -= len(self.repaired)
        self.problems = left
