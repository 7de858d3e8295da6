# SPDX-License-Identifier: AGPL-3.0-or-later
"""The list of held letters; taking one back makes it a draft again, or it goes at once."""

from __future__ import annotations

import sqlalchemy as sa
from flask import Blueprint, redirect, url_for
from werkzeug.wrappers import Response as AnyResponse

from config.clock import now_us
from config.refusal import Refused
from mailserver.store import DRAFT, SEEN, messages, submissions
from mailserver.store.submissions import Submission
from policy.ledger.entries import record
from webmail import frame, toast
from webmail.frame import page
from webmail.pages.mail.queries import place
from webmail.pages.scheduled import forms
from webmail.pages.scheduled.queries import held

blueprint = Blueprint("scheduled", __name__)


@blueprint.get("/scheduled")
def show() -> AnyResponse:
    """What waits, soonest first."""
    return page("scheduled/scheduled.html", place="mail.scheduled", held=held())


@blueprint.post("/scheduled/cancel")
def cancel() -> AnyResponse:
    """Take a letter back into the drafts and go on writing; too late is said."""
    one = _named()
    parts, drafts = frame.parts(), place("drafts").box.ref

    def job(conn: sa.Connection) -> int:
        if not submissions.take(conn, one):
            raise _too_late()
        size = len(parts.store.content(one.blob))
        uid = messages.put(conn, messages.Put(drafts, one.blob, DRAFT | SEEN, now_us(), size))
        parts.store.woken(conn, drafts)
        record(
            conn,
            parts.seal,
            "mail.taken-back",
            one.envelope.sender,
            {"recipients": len(one.envelope.recipients)},
        )
        return uid

    uid = frame.wait(parts.database.commit(job))
    toast.leave("scheduled.taken-back")
    return redirect(url_for("compose.write", draft=uid))


@blueprint.post("/scheduled/now")
def now() -> AnyResponse:
    """Let a letter go at once."""
    one = _named()
    parts = frame.parts()
    if not frame.wait(parts.database.commit(lambda conn: submissions.move(conn, one, now_us()))):
        raise _too_late()
    parts.wake.publish("queue")
    toast.leave("scheduled.goes")
    return redirect(url_for("scheduled.show"))


def _named() -> Submission:
    number = forms.number()
    found = next((one for one in held() if one.number == number), None)
    if found is None:
        raise _too_late()
    return found


def _too_late() -> Refused:
    return Refused(
        "too-late",
        "Thư này không còn chờ nữa: đã gửi đi hoặc đã lấy lại.",
        "This letter no longer waits: it was sent, or taken back.",
    )
