# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where number, date, signatures and seals will stand: the draft's pages with boxes that can be moved.

Millimetres from the left and upper edge on the page, points in the PDF. The form alone does it; with a script
the boxes are dragged, or moved with the arrow keys. What is saved is what `prepare` makes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from flask import Blueprint, Response, make_response, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from config.refusal import Refused
from exchange.documents import places
from exchange.documents.model import Document, DocumentRef
from exchange.documents.states import WrongState
from exchange.signing.pdf.layout import MM, Box, kind_of
from exchange.signing.pdf.prepare import places as usual_places
from exchange.signing.pdf.render import render
from webmail import frame, toast
from webmail.errors import NotAllowed, NotThere
from webmail.frame import page
from webmail.language import current
from webmail.pages.documents import opening, queries, turns
from webmail.pages.documents.drawn import Kept

blueprint = Blueprint("placing", __name__)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A draft to put fields on. ``sizes`` of pages in points, ``pages`` PNGs."""

    digest: str
    data: bytes = field(repr=False)
    sizes: tuple[tuple[float, float], ...]
    pages: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Placed:
    """One field as the page shows it: millimetres from the left and upper edge of page ``page`` (from 1)."""

    name: str
    kind: str
    who: str
    page: int
    left: float
    top: float
    width: float
    height: float


@blueprint.get("/documents/<ref>/places")
def show(ref: str) -> AnyResponse:
    """The pages with the boxes where they are now."""
    return _page(_document(ref))


@blueprint.post("/documents/<ref>/places")
def save(ref: str) -> AnyResponse:
    """Put the fields where the form says, or back to the usual places."""
    found = _document(ref)
    exchange, who = frame.parts().exchange, frame.account()
    drawn = _drawn(found)
    layout = places.layout_of(exchange, found, drawn.data)
    try:
        wanted = {} if request.form.get("do") == "usual" else _wanted(layout.every(), drawn.sizes)
        places.move_fields(exchange, found.ref, who, wanted, drawn.sizes)
    except Refused as refusal:
        return _page(found, refusal.text(current()), 422)
    toast.leave("places.saved" if wanted else "places.usual-again")
    return redirect(url_for("placing.show", ref=ref), code=303)


@blueprint.get("/documents/<ref>/places/page/<int:number>.png")
def picture(ref: str, number: int) -> Response:
    """One page of the draft as a picture (from 1)."""
    drawn = _drawn(_document(ref))
    if not 0 < number <= len(drawn.pages):
        raise NotThere
    made = make_response(drawn.pages[number - 1])
    made.headers["Content-Type"] = "image/png"
    made.headers["Cache-Control"] = "private, no-store"
    return made


def _document(ref: str) -> Document:
    found = queries.document(queries.reference(ref))
    if found.state != "drafted":
        raise WrongState(found.state)
    if not places.may_place(found, frame.account()):
        raise NotAllowed(
            "Chỉ người soạn thảo và văn thư của cơ quan đặt vị trí chữ ký.",
            "Only the drafter and the agency's clerk place the signature.",
        )
    return found


def _page(document: Document, problem: str = "", status: int = 200) -> AnyResponse:
    drawn = _drawn(document)
    layout = places.layout_of(frame.parts().exchange, document, drawn.data)
    people = {one.field: one.name for one in turns.of(document)}
    return page(
        "documents/places.html",
        place="documents.outgoing",
        status=status,
        doc=document,
        fields=document.fields,
        sizes=[(round(width / MM, 1), round(height / MM, 1)) for width, height in drawn.sizes],
        placed=[_placed(name, box, drawn.sizes, people.get(name, "")) for name, box in layout.every()],
        moved=bool(document.fields.places),
        problem=problem,
    )


def _placed(name: str, box: Box, sizes: tuple[tuple[float, float], ...], who: str) -> Placed:
    number = box.page % len(sizes)
    top = sizes[number][1] - box.bottom - box.height
    sides = (box.left, top, box.width, box.height)
    return Placed(name, kind_of(name) or name, who, number + 1, *(round(one / MM, 1) for one in sides))


def _wanted(every: list[tuple[str, Box]], sizes: tuple[tuple[float, float], ...]) -> dict[str, Box]:
    """The form's places; a field that the form leaves alone keeps its exact one. Raises `Refused`."""
    found = {}
    for name, box in every:
        before = _placed(name, box, sizes, "")
        try:
            number = int(request.form.get(f"{name}.page", before.page))
            left, top = (
                float(request.form.get(f"{name}.{side}", now).replace(",", "."))
                for side, now in (("left", str(before.left)), ("top", str(before.top)))
            )
        except ValueError:
            raise places.not_on_a_page() from None
        if not 0 < number <= len(sizes):
            raise places.not_on_a_page()
        if (number, left, top) != (before.page, before.left, before.top):
            height = sizes[number - 1][1]
            box = Box(number - 1, left * MM, height - top * MM - box.height, box.width, box.height)
        found[name] = box
    return found


def _drawn(document: Document) -> Drawn:
    """The draft's pages; opening them is recorded."""
    key: tuple[DocumentRef, str] = (document.ref, frame.account().address)
    main = opening.main(opening.shown(document))
    kept = _kept.get(key)
    if main is not None and kept is not None and kept.digest == main.sha256:
        return kept
    paper = opening.open_main(document)
    if paper is None:
        raise NotThere
    sizes = usual_places(paper.data)[1]
    made = Drawn(paper.stored.sha256, paper.data, sizes, render(paper.data))
    _kept.put(key, made)
    return made


_kept: Kept[Drawn] = Kept()
