# SPDX-License-Identifier: AGPL-3.0-or-later
"""The compose form's fields as values. Recipients may be typed as ``name <address>``, with commas or semicolons."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from email.utils import getaddresses

from flask import request
from werkzeug.datastructures import FileStorage

from config.refusal import Refused
from mailserver.accounts.model import canonical
from webmail import frame
from webmail.errors import NotThere

_LINE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_KEPT = re.compile(r"([a-z0-9.-]{1,40})/([0-9]{1,10})/([0-9A-Z.]{1,60})\Z")
_ANSWERED = re.compile(r"(reply|all|forward):([a-z0-9.-]{1,40}):([0-9]{1,10})\Z")
_TYPED = 64 * 1024
_FILES = 100


class BadRecipient(Refused):
    """A recipient can't be written to as it stands."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that came with the form, or from another letter."""

    name: str
    type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of a letter already here: mailbox slug, UID, part."""

    mailbox: str
    uid: int
    path: str

    @property
    def value(self) -> str:
        """Its form value."""
        return f"{self.mailbox}/{self.uid}/{self.path}"


@dataclass(frozen=True, slots=True)
class Answered:
    """The letter this one answers or forwards. ``how``: reply, all, forward."""

    how: str
    mailbox: str
    uid: int

    @property
    def value(self) -> str:
        """Its form value."""
        return f"{self.how}:{self.mailbox}:{self.uid}"


@dataclass(frozen=True, slots=True)
class Writing:
    """A letter as the form shows it."""

    sender: str = ""
    to: str = ""
    cc: str = ""
    subject: str = ""
    body: str = ""
    reason: str = ""
    files: tuple[Upload, ...] = ()
    kept: tuple[Kept, ...] = ()
    answered: Answered | None = None
    draft: int | None = None
    later: str = ""
    sign: bool = False
    """Signed by the agency, when it goes from the registry, or by the writer's own key."""
    encrypt: bool = False
    """Signed and encrypted to all recipients."""
    errors: dict[str, str] = field(default_factory=dict)

    def with_error(self, name: str, words: str) -> Writing:
        """The same with an error beside a field."""
        return replace(self, errors={**self.errors, name: words})


def written() -> Writing:
    """The letter of this request's form. Raises `NotThere` for forged values."""
    form = request.form
    draft = form.get("draft", "")
    return Writing(
        sender=form.get("from", "").strip().lower()[:254],
        to=_joined("to"),
        cc=_joined("cc"),
        subject=one_line(form.get("subject", ""))[:900],
        body=form.get("body", "").replace("\r\n", "\n").replace("\r", "\n").replace("\x00", ""),
        reason=one_line(form.get("reason", ""))[:500],
        files=tuple(_upload(one) for one in request.files.getlist("files")[:_FILES] if one.filename),
        kept=tuple(kept(one) for one in form.getlist("kept")[:_FILES]),
        answered=answered(form.get("answered", "")),
        sign=form.get("sign") == "1",
        encrypt=form.get("encrypt") == "1",
        later=one_line(form.get("later", ""))[:40],
        draft=int(draft) if draft.isascii() and draft.isdigit() and len(draft) <= 10 else None,
    )


def kept(value: str) -> Kept:
    """A kept file's form value read back. Raises `NotThere`."""
    found = _KEPT.match(value)
    if found is None:
        raise NotThere
    return Kept(found[1], int(found[2]), found[3])


def answered(value: str) -> Answered | None:
    """The answered letter's form value read back; None when empty. Raises `NotThere`."""
    if not value:
        return None
    found = _ANSWERED.match(value)
    if found is None:
        raise NotThere
    return Answered(found[1], found[2], int(found[3]))


def recipients(typed: str) -> list[tuple[str, str]]:
    """(name, canonical address) of each recipient, each address once. Raises `BadRecipient`, `Refused`."""
    text = one_line(typed)
    if len(text) > _TYPED:
        raise BadRecipient("too-many-recipients", "Danh sách người nhận quá dài.", "Too many recipients.")
    found: dict[str, str] = {}
    for name, address in getaddresses([text.replace(";", ",")]):
        if not name and not address:
            continue
        made = canonical(address or name)
        if not made.isascii():
            raise BadRecipient(
                "bad-address",
                f"Địa chỉ {made} có dấu, máy chủ khác không nhận được. Dùng địa chỉ không dấu.",
                f"The address {made} has marks that other servers do not take. Use one without.",
            )
        found.setdefault(made, one_line(name)[:200])
    if not found and text.strip(" ,"):
        canonical(text)
    most = frame.parts().settings.mail.max_recipients
    if len(found) > most:
        raise BadRecipient(
            "too-many-recipients",
            f"Một thư gửi tối đa {most} người nhận. Chia thành nhiều thư.",
            f"One letter goes to {most} recipients at most. Send several.",
        )
    return [(name, address) for address, name in found.items()]


def one_line(text: str) -> str:
    """``text`` without line ends and control characters."""
    return _LINE.sub(" ", text).strip()


def _joined(name: str) -> str:
    return ", ".join(one.strip(" ,;") for one in request.form.getlist(name) if one.strip(" ,;"))


def _upload(one: FileStorage) -> Upload:
    name = one_line((one.filename or "").replace("\\", "/").rpartition("/")[2])[:200]
    return Upload(name or "file", one.mimetype or "application/octet-stream", one.read())
