# SPDX-License-Identifier: AGPL-3.0-or-later
"""Mail: the list beside the letter, the body's own document, attached files, moving and marking."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from mailserver.accounts import Account
from mailserver.message import body_bytes
from mailserver.store import FLAGGED, SEEN
from policy.ledger.entries import record
from policy.ledger.leaf import JSON
from webmail import frame, navigation, toast
from webmail.errors import NotAllowed, NotThere
from webmail.frame import page
from webmail.language import t
from webmail.pages.mail import forms, queries, reading
from webmail.pages.mail.forms import Act
from webmail.pages.mail.places import Place, sibling
from webmail.pages.mail.queries import Letter
from webmail.pages.mail.secured import secured, told
from webmail.pages.scheduled.queries import held

blueprint = Blueprint("mail", __name__)

_BODY_CSP = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    "img-src 'self' data:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)
_FILE_CSP = "sandbox; default-src 'none'; frame-ancestors 'none'"
_PLAIN_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}/[a-z0-9][a-z0-9.+-]{0,80}\Z")
_ACTIVE = ("html", "xml", "svg", "script")
_FLAGS = {
    "flag": ("add", FLAGGED),
    "unflag": ("remove", FLAGGED),
    "seen": ("add", SEEN),
    "unread": ("remove", SEEN),
}


def section(account: Account) -> navigation.Section:
    """Mail in the navigation."""
    links = []
    for one in queries.places():
        if one.shared and one.kind not in ("inbox", "sent"):
            continue
        count = (
            one.box.exists
            if one.kind == "drafts"
            else one.box.unseen
            if one.kind in ("inbox", "junk", "")
            else 0
        )
        href = url_for("mail.show", mailbox=one.slug)
        links.append(navigation.Link(one.place, href, queries.title(one), count))
    waiting = len(held())
    if waiting:
        links.append(
            navigation.Link("mail.scheduled", url_for("scheduled.show"), t("scheduled.title"), waiting)
        )
    unseen = next(one.count for one in links if one.place == "mail.inbox")
    href = url_for("mail.show", mailbox="inbox")
    return navigation.Section("mail", href, t("nav.mail"), "mail", unseen, t("nav.new"), links=tuple(links))


navigation.add(10, section)


@blueprint.get("/mail/<mailbox>")
def show(mailbox: str) -> AnyResponse:
    """A mailbox, a filter of it, or a search."""
    return _with_list(queries.place(mailbox), None)


@blueprint.get("/mail/<mailbox>/<int:uid>")
def read(mailbox: str, uid: int) -> AnyResponse:
    """One letter beside its list; opening it marks it as read."""
    place = queries.place(mailbox)
    letter = queries.letter(place, uid)
    if place.shared:
        _record_shared("mailbox.opened", place, {"uid": uid})
    if not letter.row.flags & SEEN and request.method == "GET":
        frame.wait(frame.parts().store.set_flags(place.box.ref, [uid], "add", SEEN))
        queries.forget_places()
        place = queries.place(mailbox)
        letter = queries.letter(place, uid)
    return _with_list(place, letter)


@blueprint.get("/mail/<mailbox>/<int:uid>/body")
def body(mailbox: str, uid: int) -> Response:
    """The body as a document of its own that can run, load and reach nothing."""
    letter = queries.letter(queries.place(mailbox), uid)
    shown = secured(letter)
    data = shown.data
    prefer = "text" if request.args.get("as") == "text" or not shown.html else "html"
    found, cut = reading.pieces(data, shown.summary, prefer="text" if prefer == "text" else "html")
    if not shown.html:
        found = [one for one in found if one.kind == "text"]
    pictures = reading.own_pictures(data, shown.summary) if any(one.kind == "html" for one in found) else {}
    remote, blocks = 0, []
    for one in found:
        if one.kind == "text":
            blocks.append(("text", reading.linked(one.text)))
        else:
            cleaned = reading.clean(one.text, pictures)
            remote += cleaned.remote
            blocks.append(("html", cleaned.html))
    answer = make_response(render_template("mail/body.html", blocks=blocks, remote=remote, cut=cut))
    answer.headers["Content-Security-Policy"] = _BODY_CSP
    return answer


@blueprint.get("/mail/<mailbox>/<int:uid>/part/<path:path>")
def part(mailbox: str, uid: int, path: str) -> Response:
    """One attached file, for saving; never shown inside our own address."""
    letter = queries.letter(queries.place(mailbox), uid)
    shown = secured(letter)
    found = shown.summary.part(path)
    if found is None or found.is_multipart or not path:
        raise NotThere
    content = body_bytes(shown.data, found)
    return _download(content, reading.file_name(found), found.type)


@blueprint.get("/mail/<mailbox>/<int:uid>/source")
def source(mailbox: str, uid: int) -> Response:
    """The letter's bytes as they came, as an .eml file."""
    letter = queries.letter(queries.place(mailbox), uid)
    return _download(queries.content(letter), f"{uid}.eml", "message/rfc822")


@blueprint.post("/mail/<mailbox>/act")
def act(mailbox: str) -> AnyResponse:
    """Mark, move or delete letters of one mailbox."""
    place = queries.place(mailbox)
    wanted = forms.act()
    if place.lent_by and wanted.do not in _FLAGS:
        raise NotAllowed(
            "Đọc thay chỉ được đánh dấu và gắn cờ; không chuyển hay xóa thư của người khác.",
            "A deputy marks and flags; nothing is moved or deleted for somebody else.",
        )
    if place.shared:
        _record_shared("mailbox.changed", place, {"act": wanted.do, "uids": [*wanted.uids]})
    if wanted.do in _FLAGS:
        how, mask = _FLAGS[wanted.do]
        frame.wait(frame.parts().store.set_flags(place.box.ref, wanted.uids, how, mask))
        if len(wanted.uids) == 1 and wanted.do != "unread":
            return redirect(_address("mail.read", mailbox=mailbox, uid=wanted.uids[0]))
        return _back(mailbox)
    if wanted.do == "discard":
        if not wanted.sure:
            return page("mail/sure.html", place=place.place, mailbox=mailbox, act=wanted, status=200)
        gone = frame.wait(frame.parts().store.discard(place.box.ref, wanted.uids))
        toast.leave("mail.discarded", n=len(gone))
        return _back(mailbox)
    return _move(place, wanted)


def _move(place: Place, wanted: Act) -> AnyResponse:
    kind = wanted.do
    target = queries.place(wanted.target) if kind == "move" else sibling(queries.places(), place, kind)
    if target.lent_by:
        raise NotThere
    if target.box.ref == place.box.ref:
        return _back(place.slug)
    pairs = frame.wait(frame.parts().store.move(place.box.ref, wanted.uids, target.box.ref))
    undo = [("do", "move"), ("target", place.slug), *(("uid", str(new)) for _, new in pairs)]
    toast.leave(
        "mail.moved",
        n=len(pairs),
        where=queries.title(target),
        undo=url_for("mail.act", mailbox=target.slug),
        fields=undo,
    )
    return _back(place.slug)


def _back(mailbox: str) -> AnyResponse:
    return redirect(_address("mail.show", mailbox=mailbox))


def _address(endpoint: str, **values: Any) -> str:
    """The address of a page that keeps the list's window."""
    return url_for(endpoint, **{**values, **forms.window().carry})


def _with_list(place: Place, letter: Letter | None) -> Response:
    window = forms.window()
    if window.query:
        listing = queries.search(
            queries.places() if window.everywhere else [place], window.query, window.before
        )
    else:
        listing = queries.listing(place, window.show, window.before)
    return page(
        "mail/mail.html",
        place=place.place,
        here=place,
        title=queries.title(place),
        window=window,
        room=queries.room(place),
        listing=listing,
        letter=letter,
        many_places=len({one.slug for _, lines in listing.groups for one in lines}) > 1,
        targets=[
            (one.slug, queries.title(one))
            for one in queries.places()
            if one.box.ref != place.box.ref and one.kind not in ("sent", "drafts")
        ],
        titles={one.slug: queries.title(one) for one in queries.places()},
        **(_letter_values(letter) if letter is not None else {}),
    )


def _letter_values(letter: Letter) -> dict[str, Any]:
    opened = secured(letter)
    summary = opened.summary if opened.summary.from_ else letter.summary
    wants_text = request.args.get("as") == "text" or not opened.html
    chosen = reading.body_parts(opened.summary, prefer="text" if wants_text else "html")
    as_html = opened.html and any(one.type == "text/html" for one in chosen)
    text, cut, octets = None, False, 0
    if as_html:
        octets = sum(one.size for one in chosen)
    else:
        found, cut = reading.pieces(opened.data, opened.summary, prefer="text")
        text = [reading.linked(one.text) for one in found if one.kind == "text" or opened.html]
    plain = reading.body_parts(opened.summary, prefer="text")
    both = opened.html and as_html != any(one.type == "text/html" for one in plain)
    return {
        "summary": summary,
        "sender": queries.person(summary.from_[0] if summary.from_ else None),
        "to": [queries.person(one) for one in summary.to[:200]],
        "cc": [queries.person(one) for one in summary.cc[:200]],
        "at_us": summary.date_us or letter.row.internaldate_us,
        "text": text,
        "cut": cut,
        "frame_size": 0 if octets < 400 else 1 if octets < 4000 else 2 if octets < 20_000 else 3,
        "as_text": wants_text,
        "both": both or wants_text,
        "files": reading.files(opened.summary),
        "secured": told(opened),
        "door": queries.verdict(letter),
    }


def _record_shared(kind: str, place: Place, detail: dict[str, JSON]) -> None:
    """Opening and changing letters of a shared mailbox is recorded under a person; personal mail is not (4.11)."""
    who, ref = frame.account(), place.box.ref
    told: dict[str, JSON] = {"mailbox": f"{ref.agency}.{ref.mailbox}", "door": "page", **detail}
    parts = frame.parts()
    parts.database.write(lambda conn: record(conn, parts.seal, kind, who.address, told))


def _download(content: bytes, name: str, kind: str) -> Response:
    answer = make_response(content)
    safe = _PLAIN_TYPE.match(kind) and not any(word in kind for word in _ACTIVE)
    answer.headers["Content-Type"] = kind if safe else "application/octet-stream"
    plain = re.sub(r"[^A-Za-z0-9._ -]+", "_", name)[:80] or "file"
    answer.headers["Content-Disposition"] = (
        f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    )
    answer.headers["Content-Security-Policy"] = _FILE_CSP
    answer.headers["Cache-Control"] = "private, no-store"
    return answer
