# SPDX-License-Identifier: AGPL-3.0-or-later
"""Mail hygiene: attachment types by content, virus scanner, spam filter, greylisting, block lists; the one verdict."""

from mailserver.hygiene.verdict import Verdict

__all__ = ["Verdict"]
