# SPDX-License-Identifier: AGPL-3.0-or-later
"""Waiting for signature (Chờ ký): the list, one document's pages, the gesture, what became of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, jsonify, make_response, url_for
from webauthn.helpers import bytes_to_base64url
from werkzeug.wrappers import Response as AnyResponse

from config.refusal import Refused
from exchange.documents import phone, sealing_by_passkey, walk
from exchange.documents.model import DocumentRef
from exchange.documents.work import load
from exchange.signing.key_client import Keys
from exchange.signing.phone.approval import Approval, Statement, approvals, challenge_for
from exchange.signing.protocol import APPROVAL_SECONDS
from mailserver.accounts import Account
from webmail import frame, navigation
from webmail.errors import NotThere, status_of
from webmail.frame import page
from webmail.language import current, t
from webmail.pages.documents.queries import document, reference
from webmail.pages.signing import forms, pins, queries, shown

blueprint = Blueprint("signing", __name__)
blueprint.register_blueprint(pins.blueprint)


def section(account: Account) -> navigation.Section | None:
    """Waiting for signature, in the navigation of those who sign."""
    if not queries.signs(account):
        return None
    waiting = queries.count(account)
    if not waiting and not queries.always(account):
        return None
    return navigation.Section(
        "signing", url_for("signing.show"), t("nav.signing"), "sign", waiting, t("signing.waiting-said")
    )


navigation.add(15, section)


@blueprint.get("/signing")
def show() -> AnyResponse:
    """What waits for my signature."""
    shown.signer()
    return shown.queue()


@blueprint.get("/signing/<ref>")
def read(ref: str) -> AnyResponse:
    """One document as it will be signed; opening it is recorded."""
    shown.signer()
    return shown.read(reference(ref))


@blueprint.get("/signing/<ref>/large")
def large(ref: str) -> AnyResponse:
    """The text layer of the same file in large type."""
    shown.signer()
    file = queries.presented(reference(ref))
    return page(
        "signing/large.html",
        place="signing",
        focus=True,
        doc=file.document,
        fields=file.document.fields,
        texts=[[line for line in text.splitlines() if line.strip()] for text in file.texts],
    )


@blueprint.get("/signing/<ref>/page/<int:number>.png")
def picture(ref: str, number: int) -> Response:
    """One page as a picture (from 1)."""
    shown.signer()
    file = queries.presented(reference(ref))
    if not 0 < number <= len(file.pages):
        raise NotThere
    made = make_response(file.pages[number - 1])
    made.headers["Content-Type"] = "image/png"
    made.headers["Cache-Control"] = "private, no-store"
    return made


@blueprint.post("/signing/statements")
def statements() -> Response:
    """What the passkey is asked to say yes to, for each document that was read."""
    who = shown.signer()
    try:
        exchange = frame.parts().exchange
        said = [(ref, phone.statement(exchange, ref, who, *forms.digests(one))) for ref, one in forms.items()]
        return _asked(said, who)
    except Refused as refusal:
        return _no(refusal)


@blueprint.post("/signing/finish")
def finish() -> Response:
    """The gesture was made: each document is signed on its own."""
    who = shown.signer()
    try:
        chosen = [(ref, forms.statement(one)) for ref, one in forms.items()]
        done = phone.sign_all(frame.parts().exchange, who, chosen, forms.assertion())
    except Refused as refusal:
        return _no(refusal)
    return jsonify(
        {
            "results": [
                {"ref": one.id, "done": one.problem is None, "text": _words(one.problem)} for one in done
            ],
            "next": url_for("signing.show"),
        }
    )


@blueprint.post("/signing/<ref>/seal/statement")
def seal_statement(ref: str) -> Response:
    """What the clerk's passkey is asked to say yes to for the seal."""
    who = frame.account()
    at = document(reference(ref)).ref
    try:
        said = sealing_by_passkey.statements(frame.parts().exchange, at, who)
        return _asked([(at, one) for one in said], who)
    except Refused as refusal:
        return _no(refusal)


@blueprint.post("/signing/<ref>/seal")
def seal(ref: str) -> Response:
    """The clerk's gesture: the document is sealed and sent."""
    who = frame.account()
    at = document(reference(ref)).ref
    try:
        told = [forms.statement(one) for one in forms.said(at)]
        _sealed(at, who, approvals(told, forms.assertion()))
    except Refused as refusal:
        return _no(refusal)
    link = url_for("documents.read", ref=at.id)
    return jsonify({"results": [{"ref": at.id, "done": True, "text": ""}], "next": link})


def _sealed(ref: DocumentRef, who: Account, proofs: list[Approval]) -> None:
    exchange = frame.parts().exchange
    if load(exchange, ref).state == "sealing":
        walk.seal(exchange, ref, who, proofs)
    else:
        walk.go_on(exchange, ref, who, proofs)


def _asked(said: list[tuple[DocumentRef, Statement]], who: Account) -> Response:
    """The statements with their challenge; the browser computes it again before it asks the passkey."""
    known = Keys(frame.parts().exchange.signer).passkeys(who.address)
    if not known:
        raise Refused(
            "passkey-unknown",
            "Chưa có khóa truy cập nào được đăng ký để ký. Mở mục Tôi và dùng mã đăng ký của cán bộ CNTT.",
            "No passkey is enrolled for signing yet. Open Me and use your officer's enrolment code.",
        )
    told: dict[str, Any] = {
        "items": [
            {"ref": ref.id, "statement": asdict(one), "text": one.as_bytes().decode()} for ref, one in said
        ],
        "challenge": bytes_to_base64url(challenge_for([one for _, one in said])),
        "host": frame.parts().settings.passkey_host,
        "credentials": [bytes_to_base64url(one.credential) for one in known],
        "seconds": APPROVAL_SECONDS,
    }
    return jsonify(told)


def _words(problem: Refused | None) -> str:
    return "" if problem is None else problem.text(current())


def _no(refusal: Refused) -> Response:
    made = jsonify({"problem": refusal.code, "text": refusal.text(current())})
    made.status_code = status_of(refusal)
    return made
