# SPDX-License-Identifier: AGPL-3.0-or-later
"""Official documents: what came in, what went out, one document, issuing, receiving and refusing."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from config.clock import now_us
from config.refusal import Refused, Unavailable
from exchange.documents import places, records
from exchange.documents.issuers import issuers
from exchange.receipts.evidence import MEDIA_TYPE
from exchange.receiving import again, reports
from exchange.receiving.evidence import evidence_of
from exchange.verifying.report import SUFFIX
from mailserver.accounts import Account
from webmail import frame, navigation, toast
from webmail.errors import NotAllowed, NotThere, status_of
from webmail.frame import page
from webmail.language import current, t
from webmail.pages.documents import (
    acts,
    files,
    forms,
    issuing,
    judged,
    opening,
    queries,
    reading,
    turns,
)
from webmail.pages.documents.forms import Issuing, Note
from webmail.pages.documents.queries import Listing

blueprint = Blueprint("documents", __name__)


def section(account: Account) -> navigation.Section | None:
    """Documents in the navigation: what waits for the clerk is counted."""
    if not queries.sees_any(account):
        return None
    home = frame.parts().accounts.agency(account.agency_code)
    if home is None:
        return None
    href = url_for("documents.show")
    if not queries.sees_all(account):
        link = navigation.Link("documents.outgoing", href, t("document.own-drafts"))
        return navigation.Section("documents", href, t("nav.documents"), "doc", links=(link,))
    counts = queries.counts(home.number)
    waiting, trouble = counts["incoming"]["waiting"], counts["outgoing"]["trouble"]
    outgoing = url_for("documents.show", list="outgoing")
    links = (
        navigation.Link("documents.incoming", href, t("document.incoming"), waiting),
        navigation.Link("documents.outgoing", outgoing, t("document.outgoing"), trouble, late=bool(trouble)),
    )
    return navigation.Section(
        "documents", href, t("nav.documents"), "doc", waiting, t("document.waiting-said"), links=links
    )


navigation.add(20, section)


@blueprint.get("/documents")
def show() -> AnyResponse:
    """Incoming (``?list=incoming``) or outgoing documents, a filter of them, or a search (``?q=``)."""
    who = frame.account()
    if not queries.sees_any(who):
        raise NotAllowed(
            "Mục Văn bản dành cho văn thư, lãnh đạo và người soạn thảo. Thanh tra xem ở mục Thanh tra.",
            "Documents are for clerks, leaders and drafters. Auditors look under Audit.",
        )
    home = queries.home()
    direction = request.args.get("list", "")
    query = " ".join(request.args.get("q", "").split())[:200]
    if not queries.sees_all(who):
        return _list("outgoing", "own", query, queries.own_drafts(home, who.address))
    direction = direction if direction in queries.STATES else "incoming"
    if query:
        return _list(direction, "search", query, queries.search(home, query))
    chosen = request.args.get("show", "all")
    chosen = chosen if chosen in queries.STATES[direction] else "all"
    number = request.args.get("page", "1")
    number_of = int(number) if number.isascii() and number.isdigit() and 0 < int(number[:6]) < 100_000 else 1
    return _list(direction, chosen, "", queries.listing(home, direction, chosen, number_of))


@blueprint.get("/documents/new")
def new() -> AnyResponse:
    """The issuing form."""
    _may_draft()
    home = queries.home()
    leaders = frame.parts().accounts.members(home.code, "leader")
    signer = leaders[0].address if len(leaders) == 1 else ""
    return _form(Issuing(secrets.token_hex(16), signer=signer))


@blueprint.post("/documents/new")
def issue() -> AnyResponse:
    """Issue it, or show the form again with what is in the way beside the field that caused it."""
    who = _may_draft()
    form = forms.written()
    if not form.mark:
        form = replace(form, mark=secrets.token_hex(16))
    if request.form.get("do") == "filter":
        return _form(form)
    missing = _missing(form, who)
    if missing:
        return _form(form, missing, status=422)
    started = now_us()
    try:
        made = issuing.carry_out(form)
    except Refused as refusal:
        left = issuing.left_behind(started)
        if left:
            return _document(left, problem=forms.notes(refusal, current()), status=status_of(refusal))
        if isinstance(refusal, Unavailable):
            raise
        where = forms.beside(refusal)
        return _form(form, {where: forms.notes(refusal, current())}, status=422)
    issued = issuing.issues(who) and not form.draft_only
    toast.leave("document.issued-toast" if issued else "document.drafted-toast")
    return redirect(url_for("documents.read", ref=made), code=303)


@blueprint.get("/documents/<ref>")
def read(ref: str) -> AnyResponse:
    """One document; opening it is recorded."""
    return _document(ref)


@blueprint.get("/documents/<ref>/file/<int:number>")
def file(ref: str, number: int) -> Response:
    """One file of it: shown when it is a PDF, saved with ``?save=1``."""
    found = queries.document(queries.reference(ref))
    paper = opening.open_file(found, number)
    saving = request.args.get("save") == "1"
    return files.answer(paper.data, paper.stored.name, paper.stored.media_type, saving=saving)


@blueprint.get("/documents/<ref>/evidence")
def evidence(ref: str) -> Response:
    """The evidence file of a sent document, for the stand-alone verifier."""
    found = queries.document(queries.reference(ref))
    data = evidence_of(frame.parts().exchange, found.ref, frame.account().address)
    name = f"{forms.plain(found.fields.number) or found.id}.evidence.zip"
    return files.answer(data, name, MEDIA_TYPE, saving=True)


@blueprint.post("/documents/<ref>/act")
def act(ref: str) -> AnyResponse:
    """The next act on a document: receive, refuse, approve, go on, void."""
    found = queries.document(queries.reference(ref))
    do = request.form.get("do", "")
    reason = forms.line(request.form.get("reason", ""))[:1000]
    if do not in acts.ACTS:
        raise NotThere
    if do in acts.REASONED and not reason:
        return _document(ref, failed=do, problem=[Note("", t("document.reason-needed"), "")], status=422)
    try:
        upload = request.files.get("pdf")
        acts.carry_out(found, do, reason, upload.read() if upload is not None and upload.filename else b"")
    except (Unavailable, NotThere):
        raise
    except Refused as refusal:
        notes = forms.notes(refusal, current())
        return _document(ref, failed=do, problem=notes, reason=reason, status=422)
    toast.leave(f"document.done-{do}")
    return redirect(url_for("documents.read", ref=ref), code=303)


@blueprint.post("/documents/<ref>/judge")
def judge(ref: str) -> AnyResponse:
    """Judge a received document anew; the new report is kept and shown beside the first."""
    found = queries.document(queries.reference(ref))
    reports.judge_anew(frame.parts().exchange, found.ref, frame.account())
    toast.leave("document.done-judge")
    return redirect(url_for("documents.read", ref=ref, _anchor="signatures"), code=303)


@blueprint.post("/documents/<ref>/reopen")
def reopen(ref: str) -> AnyResponse:
    """Look once more at a packet that was held unopened; leads to the document it brought."""
    found = queries.document(queries.reference(ref))
    try:
        made = again.look_again(frame.parts().exchange, found.ref, frame.account())
    except Unavailable:
        raise
    except Refused as refusal:
        return _document(ref, problem=forms.notes(refusal, current()), status=422)
    toast.leave("document.done-reopen")
    return redirect(url_for("documents.read", ref=made.id), code=303)


@blueprint.get("/documents/<ref>/report/<int:number>")
def report(ref: str, number: int) -> Response:
    """One kept report as its signed file, for the stand-alone verifier; 1 is the one made on receipt."""
    found = queries.document(queries.reference(ref))
    every = reports.opened_for(frame.parts().exchange, found, frame.account())
    if not 0 < number <= len(every):
        raise NotThere
    name = f"{forms.plain(found.fields.number) or found.id}-{number}{SUFFIX}"
    return files.answer(every[number - 1][1], name, "application/json", saving=True)


def _document(ref: str, status: int = 200, **more: Any) -> AnyResponse:
    found = queries.document(queries.reference(ref))
    stored = opening.shown(found)
    main = opening.main(stored)
    paper = problem = verdict = kept = None
    if main is not None:
        try:
            paper = opening.open_main(found)
        except Refused as refusal:
            problem = refusal.text(current())
    if paper is not None and found.direction == "incoming":
        kept = judged.of(found, paper.stored)
        verdict = kept.verdict
    elif paper is not None and paper.stored.role != "draft":
        verdict = opening.verdict(paper)
    parts = frame.parts()
    with parts.database.reading() as conn:
        happened = records.events(conn, parts.seal, found.ref)
    lines = turns.of(found)
    waits = [
        one.name for one in lines if one.kind == "seal" and one.state != "done" and found.state == "sealing"
    ]
    receivers = reading.receivers(found, happened) if found.direction == "outgoing" else []
    return page(
        "documents/document.html",
        place=f"documents.{found.direction}",
        status=status,
        doc=found,
        fields=found.fields,
        stored=stored,
        main=main,
        sha256=main.sha256 if main is not None else "",
        problem_opening=problem,
        heading=reading.heading(verdict, waits) if verdict is not None else "",
        signatures=reading.signatures(verdict) if verdict is not None else [],
        kept=kept,
        readable=bool(found.wrapped_key),
        receivers=receivers,
        received=sum(one.outcome == t("outcome.accepted") for one in receivers),
        steps=reading.steps(found, happened),
        next=acts.offered(found),
        by_passkey=acts.sealing_passkey(found),
        host=frame.passkey_host(),
        turns=lines,
        may_place=places.may_place(found, frame.account()),
        called=queries.names(found.fields.to_codes),
        issuers=issuers(parts.exchange, found.fields),
        **{"failed": "", "problem": [], "reason": "", **more},
    )


def _list(direction: str, chosen: str, query: str, listing: Listing) -> AnyResponse:
    return page(
        "documents/list.html",
        place=f"documents.{direction}",
        direction=direction,
        chosen=chosen,
        query=query,
        listing=listing,
        filters=[(name, listing.counts[direction][name]) for name in ("all", *queries.STATES[direction])],
        pages=max(1, -(-listing.found // queries.PAGE)),
        may_draft=issuing.drafts(frame.account()),
        issues=issuing.issues(frame.account()),
        joint=queries.waiting_for_seal(frame.account()) if direction == "outgoing" else [],
    )


def _form(form: Issuing, problems: dict[str, list[Note]] | None = None, status: int = 200) -> AnyResponse:
    settings, issues = frame.parts().settings, issuing.issues(frame.account())
    return page(
        "documents/new.html",
        place="documents.outgoing",
        status=status,
        form=form,
        problems=problems or {},
        choices=issuing.choices(form),
        issues=issues,
        ending=frame.parts().exchange.ending_of_seal(frame.account().agency_code) if issues else None,
        demo=settings.installation.demo,
        letter_unit=settings.exchange.letter_unit,
    )


def _may_draft() -> Account:
    who = frame.account()
    if not issuing.drafts(who):
        raise NotAllowed(
            "Soạn và phát hành văn bản là việc của văn thư, lãnh đạo và công chức của cơ quan.",
            "Drafting and issuing is for clerks, leaders and civil servants of an agency.",
        )
    return who


def _missing(form: Issuing, who: Account) -> dict[str, list[Note]]:
    """Every empty field at once, so that the form is filled in one go."""
    wanted = {
        "kind": bool(form.kind),
        "subject": bool(form.subject),
        "signer": bool(form.signer),
        "to": bool(form.to),
        "pdf": bool(form.pdf or form.text.strip()),
        "approved": form.approved or form.draft_only or not issuing.issues(who),
    }
    return {
        name: [Note("", t(f"document.missing-{name}"), "")] for name, given in wanted.items() if not given
    }
