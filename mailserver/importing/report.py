# SPDX-License-Identifier: AGPL-3.0-or-later
"""What an import did, folder by folder, and whether every message of the source is accounted for."""

from __future__ import annotations

from dataclasses import dataclass, field

_MOST_NAMED = 1000


@dataclass(slots=True)
class FolderReport:
    """One folder. ``source`` messages were there; each is copied (now or in an earlier run), was here
    already (``present``), or refused. ``problems`` names (UID, why), at most a thousand of them.
    """

    name: str
    target: str
    source: int
    copied: int = 0
    copied_now: int = 0
    present: int = 0
    refused: int = 0
    bytes_now: int = 0
    problems: list[tuple[int, str]] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether every message of the source is here."""
        return self.copied + self.present >= self.source and not self.refused

    def note(self, uid: int, why: str) -> None:
        """Name a message that is not as it should be."""
        if len(self.problems) < _MOST_NAMED:
            self.problems.append((uid, why))


@dataclass(slots=True)
class Report:
    """The whole import; ``seconds`` of this run."""

    folders: list[FolderReport] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def copied_now(self) -> int:
        """Messages copied in this run."""
        return sum(one.copied_now for one in self.folders)

    @property
    def whole(self) -> bool:
        """Whether nothing is missing."""
        return all(one.whole for one in self.folders)
