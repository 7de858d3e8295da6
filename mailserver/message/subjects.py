# SPDX-License-Identifier: AGPL-3.0-or-later
"""The base subject by which mail is sorted and threaded (RFC 5256 §2.1), and the collation of both (RFC 5051)."""

from __future__ import annotations

import re
import unicodedata

_BLANKS = re.compile(r"[ \t\r\n]+")
_BLOB = r"\[[^\[\]]*\][ \t]*"
_TRAILER = re.compile(r"(?:\(fwd\)|[ \t])+\Z", re.IGNORECASE)
_LEADER = re.compile(rf"(?:(?:{_BLOB})*(?:re|fwd?)[ \t]*(?:{_BLOB})?:|[ \t])", re.IGNORECASE)
_ONE_BLOB = re.compile(_BLOB)
_FORWARDED = re.compile(r"\[fwd:(.*)\]\Z", re.IGNORECASE | re.DOTALL)
_MAX = 2000
"""Characters of a subject that are looked at: the grammar below is cut bit by bit."""


def base_subject(subject: str) -> tuple[str, bool]:
    """(base subject, whether it was that of a reply or forward) of a decoded subject (RFC 5256 §2.1)."""
    text = _BLANKS.sub(" ", subject[:_MAX])
    answer = False
    while True:
        cut = _TRAILER.sub("", text)  # (2) "(fwd)" and white space at the end
        answer = answer or "(" in text[len(cut) :]
        text, went_on = cut, True
        while went_on:
            went_on = False
            while (leader := _LEADER.match(text)) is not None:  # (3) "Re:", "Fw: ", "[list] Re [x]:"
                answer = answer or ":" in leader[0]
                text, went_on = text[leader.end() :], True
            blob = _ONE_BLOB.match(text)  # (4) "[list]", unless nothing would be left
            if blob is not None and blob.end() < len(text):
                text, went_on = text[blob.end() :], True
        wrapped = _FORWARDED.match(text)  # (6) "[Fwd: …]"
        if wrapped is None:
            return text, answer
        text, answer = wrapped[1], True


def casemap(text: str) -> str:
    """The sort key of a text under i;unicode-casemap (RFC 5051): title case, then decomposed."""
    if text.isascii():
        return text.upper()
    return unicodedata.normalize("NFKD", "".join([one.title() for one in text]))
