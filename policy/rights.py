# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who may do what: one table act × role × relation. Pages, API, IMAP ACL and the command line all ask here.

The relation is that of the person to the thing: `own` (their mailbox, their draft, assigned to them),
`deputy` (of a person who delegated it for a time), `same-agency`, `other` (another agency's), `none` (not signed in,
or nothing to do with it).
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from config.refusal import Refused

Role: TypeAlias = Literal[
    "civil-servant", "clerk", "leader", "agency-officer", "auditor", "system-officer", "registry", "system"
]
Relation: TypeAlias = Literal["own", "deputy", "same-agency", "other", "none"]
Act: TypeAlias = Literal[
    "mail.read.own",
    "mail.send",
    "registry.read",
    "registry.write",
    "mailbox.share",
    "document.draft",
    "document.review",
    "document.initial",
    "document.approve",
    "document.sign",
    "document.number",
    "document.issue",
    "document.accept",
    "document.refuse",
    "document.read",
    "document.assign",
    "register.read",
    "register.export",
    "task.handle",
    "report.read",
    "audit.read",
    "audit.prove",
    "account.manage",
    "rules.read",
    "system.operate",
]

_PEOPLE = ("civil-servant", "clerk", "leader", "agency-officer", "auditor", "system-officer")

_TABLE: dict[str, dict[str, tuple[str, ...]]] = {
    "mail.read.own": {"own": (*_PEOPLE, "registry", "system"), "deputy": _PEOPLE},
    "mail.send": {"own": (*_PEOPLE, "registry", "system"), "deputy": _PEOPLE},
    "registry.read": {"own": ("clerk", "registry"), "same-agency": ("clerk",)},
    "registry.write": {"own": ("clerk", "registry"), "same-agency": ("clerk",)},
    "mailbox.share": {"own": (*_PEOPLE, "registry", "system"), "same-agency": ("clerk",)},
    "document.draft": {
        "own": ("civil-servant", "clerk", "leader", "system"),
        "same-agency": ("civil-servant", "clerk", "leader", "system"),
    },
    "document.review": {"own": ("civil-servant", "leader"), "same-agency": ("leader",)},
    "document.initial": {
        "own": ("civil-servant", "clerk", "leader"),
        "same-agency": ("civil-servant", "clerk", "leader"),
    },
    "document.approve": {"own": ("leader",), "same-agency": ("leader",)},
    "document.sign": {"own": ("leader",), "same-agency": ("leader",)},
    "document.number": {"same-agency": ("clerk",)},
    "document.issue": {"own": ("clerk",), "same-agency": ("clerk",)},
    "document.accept": {"own": ("clerk",), "same-agency": ("clerk",)},
    "document.refuse": {"own": ("clerk",), "same-agency": ("clerk",)},
    "document.read": {
        "own": ("civil-servant", "clerk", "leader", "system"),
        "same-agency": ("clerk", "leader"),
    },
    "document.assign": {"own": ("leader",), "same-agency": ("leader",)},
    "register.read": {
        "own": ("clerk", "leader", "auditor"),
        "same-agency": ("clerk", "leader", "auditor"),
        "other": ("auditor",),
    },
    "register.export": {
        "own": ("clerk", "auditor"),
        "same-agency": ("clerk", "auditor"),
        "other": ("auditor",),
    },
    "task.handle": {"own": ("civil-servant", "clerk", "leader"), "same-agency": ("leader",)},
    "report.read": {
        "own": ("clerk", "leader", "agency-officer", "auditor"),
        "same-agency": ("clerk", "leader", "agency-officer", "auditor"),
        "other": ("auditor",),
    },
    "audit.read": {
        "own": ("auditor",),
        "same-agency": ("auditor",),
        "other": ("auditor",),
        "none": ("auditor",),
    },
    "audit.prove": {
        "own": ("auditor", "clerk", "leader"),
        "same-agency": ("auditor", "clerk", "leader"),
        "other": ("auditor",),
        "none": ("auditor",),
    },
    "account.manage": {
        "own": ("agency-officer", "system-officer"),
        "same-agency": ("agency-officer", "system-officer"),
        "other": ("system-officer",),
        "none": ("system-officer",),
    },
    "rules.read": dict.fromkeys(("own", "same-agency", "other", "none"), (*_PEOPLE, "registry", "system")),
    "system.operate": dict.fromkeys(("own", "same-agency", "other", "none"), ("system-officer",)),
}

ACTS: tuple[Act, ...] = get_args(Act)
ROLES: tuple[Role, ...] = get_args(Role)
RELATIONS: tuple[Relation, ...] = get_args(Relation)


class Forbidden(Refused):
    """The act is not one of this role's."""

    def __init__(self, act: Act) -> None:
        super().__init__(
            "forbidden",
            f"Bạn không có quyền thực hiện việc này ({act}). Liên hệ cán bộ CNTT của cơ quan nếu cần quyền.",
            f"You have no right to do this ({act}). Ask your agency's IT officer if you need it.",
        )


def may(role: str, act: Act, relation: Relation) -> bool:
    """May somebody of `role` do `act` on a thing they stand in `relation` to? What is not in the table: no."""
    return role in _TABLE.get(act, {}).get(relation, ())


def require(role: str, act: Act, relation: Relation) -> None:
    """Raise `Forbidden` unless `may` says yes."""
    if not may(role, act, relation):
        raise Forbidden(act)


def relation(agency: str | None, thing: str | None, *, own: bool = False) -> Relation:
    """The relation of a person of `agency` to a thing of the agency `thing`."""
    if own:
        return "own"
    if agency is None or thing is None:
        return "none"
    return "same-agency" if agency == thing else "other"
