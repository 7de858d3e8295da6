# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the spam filter looks at in a letter: folded words and pairs of them, and how the letter is made. Pure, bounded."""

from __future__ import annotations

import itertools
import re

from mailserver.message import Summary, plain_text, words

MOST = 400
"""Features of one letter, at most."""

_TEXT = 32 * 1024
_MOST_WORDS = 3000
_LINK = re.compile(r"https?://([a-z0-9.-]{3,100})", re.IGNORECASE)
_SHOUT = re.compile(r"\b[A-ZĐÀ-Ỹ]{4,}\b")
_NUMBERED = re.compile(rb"https?://\d{1,3}\.\d")
_HEAD = re.compile(
    rb"^(x-mailer|user-agent|list-id|list-unsubscribe|precedence|content-type):[ \t]*([^\r\n]{0,80})",
    re.I | re.M,
)


def features(data: bytes, summary: Summary) -> list[str]:
    """The distinct features, the telling ones first."""
    text = plain_text(data, summary, _TEXT)[:_TEXT]
    found: dict[str, None] = {}
    if summary.from_:
        host = summary.from_[0].host.lower()
        found["f:" + host[-60:]] = None
        found["t:" + host.rpartition(".")[2][:20]] = None
    for host in _LINK.findall(text)[:30]:
        found["u:" + ".".join(host.lower().split(".")[-3:])[:60]] = None
    for mark, there in (
        ("m:html-only", [one.type for one in summary.parts if one.type.startswith("text/")] == ["text/html"]),
        ("m:no-to", not summary.to),
        ("m:no-date", summary.date_us is None),
        ("m:no-id", summary.message_id is None),
        ("m:reply-elsewhere", _answers_elsewhere(summary)),
        ("m:number-link", _NUMBERED.search(data[:_TEXT]) is not None),
        ("m:answer", summary.in_reply_to is not None),
        ("m:files", summary.has_attachment),
        ("m:shouts", len(_SHOUT.findall(summary.subject)) > 1),
    ):
        if there:
            found[mark] = None
    top = summary.parts[0]
    for name, value in _HEAD.findall(data[top.header_start : min(top.body_start, 16 * 1024)])[:10]:
        kind = value.split(b";")[0].split(b"(")[0].strip().lower()[:40].decode("latin-1")
        found[f"h:{name.lower().decode()}={kind}"] = None
    subject = words(summary.subject)[:40]
    for one in subject:
        found["s:" + one[:24]] = None
    body = [one for one in words(text)[:_MOST_WORDS] if len(one) <= 24]
    for one in body:
        if len(one) > 1:
            found[one] = None
    for first, second in itertools.pairwise(body):  # a Vietnamese word is often two syllables
        if len(found) >= MOST:
            break
        found[f"{first} {second}"] = None
    return list(found)[:MOST]


def _answers_elsewhere(summary: Summary) -> bool:
    if not summary.reply_to or not summary.from_:
        return False
    return summary.reply_to[0].host.lower() != summary.from_[0].host.lower()
