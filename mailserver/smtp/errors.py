# SPDX-License-Identifier: AGPL-3.0-or-later
"""The one place where words become SMTP replies, also what the domain refuses (RFC 5321 §4.2, RFC 3463).

A reply has an English line and a Vietnamese line. Replies are ASCII (RFC 5321 §2.4) unless the transaction
asked for SMTPUTF8 (RFC 6531 §3.7.4): without it the Vietnamese line goes out without its marks, which
everybody in Viet Nam reads. A rule's id stands in every reply that speaks of the rule. Lines stay under 512
bytes; long words go on in further lines of the same reply.
"""

from __future__ import annotations

import textwrap
import unicodedata
from functools import lru_cache

from config.refusal import Refused, Unavailable
from policy.judge import Decision

_CODES = {
    "message-too-large": (552, "5.3.4"),
    "no-such-recipient": (550, "5.1.1"),
    "relay-denied": (550, "5.7.1"),
    "may-not-write": (550, "5.7.2"),
    "list-empty": (550, "5.2.4"),
    "no-recipient": (554, "5.5.1"),
    "not-your-address": (550, "5.7.1"),
    "bad-address": (553, "5.1.3"),
    "rule": (550, "5.7.1"),
    "bad-credentials": (535, "5.7.8"),
    "throttled": (454, "4.7.0"),
    "account-locked": (535, "5.7.13"),
    "over-quota": (452, "4.2.2"),
    "larger-than-quota": (552, "5.2.2"),
    "database-unavailable": (451, "4.3.0"),
    "writer-stuck": (451, "4.3.0"),
    "greylisted": (451, "4.7.1"),
    "sender-not-checked": (451, "4.7.24"),
    "listed": (554, "5.7.1"),
    "storage-unavailable": (452, "4.3.1"),
}
TOO_LARGE = (
    552,
    "5.3.4",
    "The message is too large",
    "Thư quá lớn, hãy gửi tệp lớn bằng liên kết.",
)
"""Code, enhanced code and words for a message over the limit, said at MAIL (SIZE) or after the content."""
_WIDTH = 380
_MOST_LINES = 12
_PLAIN = str.maketrans(
    {"đ": "d", "Đ": "D", "“": '"', "”": '"', "‘": "'", "’": "'", "–": "-", "—": "-", "…": "..."}
)


def without_marks(text: str) -> str:
    """Vietnamese in ASCII: ``Thư công vụ`` → ``Thu cong vu``; what has no ASCII form becomes ``?``."""
    apart = unicodedata.normalize("NFD", text.translate(_PLAIN))
    bare = "".join(one for one in apart if not unicodedata.combining(one))
    return bare.encode("ascii", "replace").decode("ascii")


@lru_cache(maxsize=256)
def reply(code: int, enhanced: str, *words: str, utf8: bool = False) -> bytes:
    """A reply's lines without the last CRLF. ``enhanced`` is repeated on every line (RFC 2034 §4)."""
    lines: list[str] = []
    for one in words:
        clean = " ".join(one.split())
        shown = clean if utf8 or clean.isascii() else without_marks(clean)
        lines += [shown] if len(shown) <= _WIDTH else textwrap.wrap(shown, _WIDTH)
    lines = lines[:_MOST_LINES]
    mark = f"{enhanced} " if enhanced else ""
    last = len(lines) - 1
    whole = [f"{code}{' ' if at == last else '-'}{mark}{line}".rstrip(" ") for at, line in enumerate(lines)]
    return "\r\n".join(whole).encode("utf-8")


def refusal(problem: Refused, *, utf8: bool = False) -> bytes:
    """What the domain's refusal is in SMTP: ``Unavailable`` and what may pass later 4xx, else 5xx."""
    default = (451, "4.3.0") if isinstance(problem, Unavailable) else (554, "5.7.0")
    code, enhanced = _CODES.get(problem.code, default)
    mark = f"[{problem.rule}] " if problem.rule and problem.rule not in problem.en else ""
    return reply(code, enhanced, mark + problem.en, mark + problem.vi, utf8=utf8)


def accepted(number: str, decision: Decision | None, *, utf8: bool = False) -> bytes:
    """The 250 after a message: its id, and the rules that warn (DESIGN 4.9)."""
    warned = (
        [one for one in decision.findings if one.severity == "warn"]
        if decision is not None and decision.verdict == "warn"
        else []
    )
    if not warned:
        return reply(250, "2.0.0", f"Accepted {number}")
    words = [
        f"Accepted {number}; {warned[0].rule_id}: {warned[0].en}",
        f"{warned[0].rule_id}: {warned[0].vi}",
    ]
    for one in warned[1:]:
        words += [f"{one.rule_id}: {one.en}", f"{one.rule_id}: {one.vi}"]
    return reply(250, "2.0.0", *words, utf8=utf8)
