# SPDX-License-Identifier: AGPL-3.0-or-later
"""Rights in a mailbox (RFC 4314 §2.1): the letters, what stands by role, what a change of them means."""

from __future__ import annotations

from mailserver.accounts import Account
from mailserver.imap.grammar.lexer import Syntax
from mailserver.store import DELETED, SEEN
from policy.rights import may, relation

ALL = "lrswipkxtea"
"""look up, read, keep \\Seen, write flags, insert, post, make below, delete, \\Deleted, expunge, administer"""
DEPUTY = "lrsw"
"""A deputy during an absence reads, marks as read and flags; nothing is moved or deleted for somebody else."""
_WRITING = "wipkxte"
_OBSOLETE = {"c": "kx", "d": "te"}
"""RFC 4314 §2.1.1: what the rights of RFC 2086 stand for."""


def standing(account: Account, owner: Account) -> str:
    """The rights an account has without a grant: all in its own, by role in its agency's registry mailbox."""
    if owner.ref == account.ref:
        return ALL
    if owner.role != "registry":
        return ""
    towards = relation(account.agency_code, owner.agency_code)
    found = "lrs" if may(account.role, "registry.read", towards) else ""
    if may(account.role, "registry.write", towards):
        found += _WRITING
    if may(account.role, "mailbox.share", towards):
        found += "a"
    return joined(found)


def joined(*several: str) -> str:
    """All the letters, once each and in order."""
    every = "".join(several)
    return "".join(one for one in ALL if one in every)


def parse(letters: str) -> str:
    """The rights a client names, obsolete ones expanded. Raises `Syntax`."""
    for old, new in _OBSOLETE.items():
        letters = letters.replace(old, new)
    unknown = [one for one in letters if one not in ALL]
    if unknown:
        raise Syntax(f"{unknown[0]} is not a right")
    return joined(letters)


def changed(before: str, change: str) -> str:
    """``before`` after a change as SETACL has it: ``+lr``, ``-w``, or all of the new rights."""
    if change[:1] == "+":
        return joined(before, parse(change[1:]))
    if change[:1] == "-":
        away = parse(change[1:])
        return "".join(one for one in before if one not in away)
    return parse(change)


def shown(rights: str) -> str:
    """As MYRIGHTS and ACL show them: ``c`` and ``d`` too, for programs that know only those."""
    return rights + ("c" if "k" in rights else "") + ("d" if "t" in rights and "e" in rights else "")


def flag_mask(rights: str) -> int:
    """The flag bits that may be changed: \\Seen by s, \\Deleted by t, others by w (RFC 4314 §4)."""
    mask = SEEN if "s" in rights else 0
    mask |= DELETED if "t" in rights else 0
    return mask | (~(SEEN | DELETED) if "w" in rights else 0)
