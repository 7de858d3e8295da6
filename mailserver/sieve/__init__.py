# SPDX-License-Identifier: AGPL-3.0-or-later
"""Mail filters (RFC 5228 and extensions): scripts are read, checked and run here; they only give back actions.

Pure but for `scripts` (sealed rows) and bounded: the length of a script, its depth, the work of one run and what one
run may do are limited, so a script can neither stop delivery nor flood anybody.
"""

from mailserver.sieve.actions import FileInto, Ran, Redirect, Reject, Vacation
from mailserver.sieve.interpreter import Limits, run
from mailserver.sieve.letter import Letter
from mailserver.sieve.program import EXTENSIONS, BadScript, Program, compiled

__all__ = [
    "EXTENSIONS",
    "BadScript",
    "FileInto",
    "Letter",
    "Limits",
    "Program",
    "Ran",
    "Redirect",
    "Reject",
    "Vacation",
    "compiled",
    "run",
]
