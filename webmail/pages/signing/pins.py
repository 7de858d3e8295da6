# SPDX-License-Identifier: AGPL-3.0-or-later
"""Signing with a token of one's own: the PIN typed on the page, for one document or for those that were opened."""

from __future__ import annotations

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from config.refusal import Refused
from exchange.documents import by_token
from exchange.documents.said_yes import Outcome
from exchange.signing.phone.approval import MOST
from webmail import frame, toast
from webmail.errors import status_of
from webmail.language import current
from webmail.pages.documents.queries import reference
from webmail.pages.signing import shown

blueprint = Blueprint("pins", __name__)


@blueprint.post("/signing/<ref>/pin")
def one(ref: str) -> AnyResponse:
    """The document as it was shown is signed, or the page says why not beside the PIN."""
    who, at = shown.signer(), reference(ref)
    pin, digest = request.form.get("pin", ""), request.form.get("digest", "")
    try:
        by_token.sign(frame.parts().exchange, at, who, pin, digest)
    except Refused as problem:
        return shown.read(at, problem=problem.text(current()), status=status_of(problem))
    toast.leave("signing.done-toast")
    return redirect(url_for("signing.show"), code=303)


@blueprint.post("/signing/pin")
def several() -> AnyResponse:
    """Those chosen are signed each on its own; the list says what became of each."""
    who = shown.signer()
    chosen = [reference(one) for one in dict.fromkeys(request.form.getlist("ref")[:MOST])]
    try:
        done = by_token.sign_all(frame.parts().exchange, who, chosen, request.form.get("pin", ""))
    except Refused as problem:
        return shown.queue(problem=problem.text(current()), status=status_of(problem))
    failed = [one for one in done if one.problem is not None]
    if chosen and not failed:
        toast.leave("signing.done-toast")
        return redirect(url_for("signing.show"), code=303)
    words = _words(done)
    if len(failed) == len(done) > 1 and len(set(words.values())) == 1:  # of the token, not of the documents
        return shown.queue(problem=next(iter(words.values())), status=409)
    return shown.queue(results=words, status=409)


def _words(done: list[Outcome]) -> dict[str, str]:
    return {one.id: "" if one.problem is None else one.problem.text(current()) for one in done}
