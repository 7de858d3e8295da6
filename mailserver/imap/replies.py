# SPDX-License-Identifier: AGPL-3.0-or-later
"""Errors → replies: the one place (RFC 9051 §7.1, response codes of RFC 5530)."""

from __future__ import annotations

import logging
import re

from config.refusal import Refused, Unavailable
from mailserver.imap.grammar.lexer import Syntax
from mailserver.imap.grammar.searching import BadCharset

log = logging.getLogger("congvan.imap")

_CODES = {
    "no-such-mailbox": "NONEXISTENT",
    "mailbox-exists": "ALREADYEXISTS",
    "bad-credentials": "AUTHENTICATIONFAILED",
    "account-locked": "AUTHORIZATIONFAILED",
    "throttled": "UNAVAILABLE",
    "too-many-mailboxes": "LIMIT",
    "too-many-keywords": "LIMIT",
    "over-quota": "OVERQUOTA",
    "larger-than-quota": "OVERQUOTA",
    "message-too-big": "TOOBIG",
    "no-permission": "NOPERM",
}
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class No(Exception):
    """A command that can't be done: tagged NO with a response code (may be "") and words in two languages."""

    def __init__(self, code: str, vi: str, en: str) -> None:
        super().__init__(en)
        self.code = code
        self.vi = vi
        self.en = en


def words(vi: str, en: str) -> str:
    """Text for people on one line, both languages."""
    return _UNPRINTABLE.sub(" ", f"{vi} / {en}")


def failure(tag: bytes, verb: str, error: Exception) -> bytes:
    """The tagged reply for what a command raised. Anything unforeseen is logged and is NO [SERVERBUG]."""
    if isinstance(error, Syntax):
        return b"%b BAD %b\r\n" % (tag, _UNPRINTABLE.sub(" ", str(error)).encode("utf-8", "replace"))
    if isinstance(error, BadCharset):
        return b"%b NO [BADCHARSET (UTF-8 US-ASCII)] This charset is not known\r\n" % tag
    if isinstance(error, No):
        return _no(tag, error.code, words(error.vi, error.en))
    if isinstance(error, Refused):
        return _no(tag, response_code(error), words(error.vi, error.en))
    log.error("%s failed", verb, exc_info=error)
    return _no(
        tag,
        "SERVERBUG",
        words("Lỗi của máy chủ, chưa có gì thay đổi.", "An error of the server, nothing was changed."),
    )


def response_code(error: Refused) -> str:
    """The RFC 5530 code for a refusal; what a rule decided is an ALERT, which programs show to people."""
    if error.rule is not None:
        return "ALERT"
    known = _CODES.get(error.code)
    if known is not None:
        return known
    return "UNAVAILABLE" if isinstance(error, Unavailable) else "CANNOT"


def _no(tag: bytes, code: str, text: str) -> bytes:
    mark = f"[{code}] " if code else ""
    return b"%b NO %b\r\n" % (tag, (mark + text).encode("utf-8", "replace"))
