# SPDX-License-Identifier: AGPL-3.0-or-later
"""Writing a letter: one form with one button; what the rules say stands beside what they speak of."""

from __future__ import annotations

from dataclasses import replace

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from config.refusal import Refused, Unavailable
from mailserver.delivery import Outcome
from policy.judge import Finding
from webmail import frame, toast
from webmail.errors import status_of
from webmail.frame import page
from webmail.language import current, t
from webmail.pages.compose import forms, queries, securing, sending
from webmail.pages.compose.forms import Kept, Writing
from webmail.pages.compose.sending import AsksReason, Ready, Stopped
from webmail.pages.mail.queries import may_send_as

blueprint = Blueprint("compose", __name__)

_BESIDE = {
    "bad-address": "to",
    "no-recipient": "to",
    "no-such-recipient": "to",
    "too-many-recipients": "to",
    "message-too-large": "files",
    "not-your-address": "from",
    "bad-date": "later",
    "no-encryption-certificate": "to",
}


@blueprint.get("/compose")
def write() -> AnyResponse:
    """An empty letter, an answer (``?reply=``, ``?all=``, ``?forward=`` mailbox/uid) or a draft (``?draft=`` uid)."""
    for how in ("reply", "all", "forward"):
        if how in request.args:
            mailbox, _, uid = request.args[how].rpartition("/")
            answered = forms.answered(f"{how}:{mailbox}:{uid}")
            if answered is not None:
                return _form(queries.beginning(answered))
    draft = request.args.get("draft", "")
    if draft.isascii() and draft.isdigit() and len(draft) <= 10:
        return _form(queries.draft(int(draft)))
    typed = {name: forms.one_line(request.args.get(name, ""))[:2000] for name in ("to", "cc", "subject")}
    return _form(Writing(to=typed["to"], cc=typed["cc"], subject=typed["subject"]))


@blueprint.post("/compose")
def send() -> AnyResponse:
    """Send it, or show the form again with what is in the way."""
    writing = forms.written()
    if not writing.to and not writing.cc:
        return _form(writing.with_error("to", t("compose.no-recipient")), status=422)
    ready: Ready | None = None
    try:
        ready = sending.prepare(writing)
        outcome = sending.send(writing, ready)
    except AsksReason as asked:
        assert ready is not None
        return _form(_kept(writing, ready), findings=asked.findings, asks_reason=True, status=422)
    except Stopped as stopped:
        return _form(writing, findings=stopped.findings, stopped=stopped.refusal, status=422)
    except Unavailable:
        raise
    except Refused as refusal:
        again = (
            _kept(writing, ready) if ready is not None and refusal.code != "message-too-large" else writing
        )
        shown = again.with_error(_BESIDE.get(refusal.code, "form"), refusal.text(current()))
        return _form(shown, status=max(422, status_of(refusal)) if ready is None else 422)
    _say(outcome, writing)
    back = writing.answered
    if back is not None:
        return redirect(url_for("mail.read", mailbox=back.mailbox, uid=back.uid))
    return redirect(url_for("mail.show", mailbox="inbox"))


def _say(outcome: Outcome, writing: Writing) -> None:
    """What became of the letter; one that waits can be taken back."""
    if outcome.held is None:
        toast.leave("compose.sent", n=len(outcome.local) + outcome.spread + outcome.queued)
        return
    undo, fields = url_for("scheduled.cancel"), [("number", str(outcome.held))]
    if writing.later:
        toast.leave("compose.scheduled", undo=undo, fields=fields, at=writing.later)
    else:
        seconds = frame.parts().settings.submission.undo_seconds
        toast.leave("compose.held", undo=undo, fields=fields, seconds=seconds)


def _kept(writing: Writing, ready: Ready) -> Writing:
    """Files can't be put back into a form: with files, the letter waits among the drafts meanwhile."""
    if not ready.uploads:
        return writing
    uid = sending.keep_draft(writing, ready)
    saved = queries.draft(uid)
    paths = tuple(Kept("drafts", uid, one.path) for one in saved.kept)
    return replace(writing, files=(), kept=paths, draft=uid)


def _form(
    writing: Writing,
    *,
    findings: tuple[Finding, ...] = (),
    asks_reason: bool = False,
    stopped: Refused | None = None,
    status: int = 200,
) -> AnyResponse:
    account, exchange = frame.account(), frame.parts().exchange
    own = may_send_as(account)
    kept = queries.kept_names(writing)
    return page(
        "compose/compose.html",
        place="compose",
        status=status,
        writing=writing,
        own=[(one, _shown_as(one)) for one in own],
        kept=kept,
        can_sign=any(securing.may_sign(exchange, account, one) for one in own),
        can_encrypt=any(securing.may_encrypt(exchange, account, one) for one in own),
        warned=_warned(writing, findings),
        lost=[one.name for one in writing.files],
        findings=findings,
        asks_reason=asks_reason or bool(writing.reason),
        stopped=stopped,
        limit=frame.parts().settings.mail.max_message_bytes * 3 // 4,
    )


def _warned(writing: Writing, findings: tuple[Finding, ...]) -> list[str]:
    """The recipients that a rule names."""
    try:
        known = [address for _, address in forms.recipients(writing.to)]
    except Refused:
        return []
    return [one for one in known if any(one in finding.vi for finding in findings)]


def _shown_as(address: str) -> str:
    known = frame.parts().accounts.by_address(address)
    return known.name if known is not None else address
