# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where number, date, signature and seal stand on the page (ND30/2020 Appendix I, boxes 3, 4, 7c, 8).

Points (1/72 inch), counted from the lower left corner of the page as it is seen. A draft that was
composed here brings its own places along (`HINT` in its catalog); for others the places of an A4 page
with the margins of the decree are taken.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pyhanko.pdf_utils import generic

from config.refusal import Refused
from exchange.signing.pdf.objects import numbers

MM = 72 / 25.4
SEAL = 36 * MM
"""Diameter of the round seal of a provincial body: shown in real size."""
HINT = "/CVLayout"
FONT_NAME, ITALIC_NAME = "/CVT", "/CVI"
"""The names of the form's fonts (upright, italic) in its resources."""

NUMBER, DATE, PERSON, ORGANISATION = "so", "ngay", "nguoi_ky", "co_quan"
"""The names of the four form fields (law/signatures.md §5)."""
INITIAL, ATTACHMENT = "ky_nhay", "phu_luc"
"""The fields of initials (ký nháy), and of the organisation on an attachment or copy in a file of its own."""
MOST_SIGNERS = 12
"""Signatures of one kind in one document, at most."""


def nth(field: str, place: int) -> str:
    """The name of the field of the ``place``-th (from 0) signer of a kind: ``nguoi_ky``, ``nguoi_ky_2``…"""
    return field if place == 0 else f"{field}_{place + 1}"


def kind_of(field: str) -> str:
    """Which of `PERSON`, `ORGANISATION`, `INITIAL`, `ATTACHMENT` a field is for; "" for none of them."""
    for kind in (PERSON, ORGANISATION, INITIAL, ATTACHMENT):
        number = field.removeprefix(f"{kind}_")
        if field == kind or (field.startswith(f"{kind}_") and number.isascii() and number.isdigit()):
            return kind
    return ""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on page ``page`` (from 0; -1 is the last)."""

    page: int
    left: float
    bottom: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Layout:
    """The four places; ``people`` and ``organisations`` are those of further signers (joint documents)."""

    number: Box
    date: Box
    person: Box
    organisation: Box
    initials: tuple[Box, ...] = ()
    people: tuple[Box, ...] = ()
    organisations: tuple[Box, ...] = ()

    def signatures(self) -> list[tuple[str, Box]]:
        """(field, place) of every signature in the order in which they are given: initials first."""
        rows = (
            (INITIAL, self.initials),
            (PERSON, (self.person, *self.people)),
            (ORGANISATION, (self.organisation, *self.organisations)),
        )
        return [(nth(kind, place), box) for kind, boxes in rows for place, box in enumerate(boxes)]

    def every(self) -> list[tuple[str, Box]]:
        """(field, place) of all fields."""
        return [(NUMBER, self.number), (DATE, self.date), *self.signatures()]

    def moved(self, places: Mapping[str, Box]) -> Layout:
        """The same signers, the fields named in ``places`` elsewhere."""

        def at(kind: str, boxes: tuple[Box, ...], first: int = 0) -> tuple[Box, ...]:
            return tuple(places.get(nth(kind, first + place), box) for place, box in enumerate(boxes))

        return Layout(
            number=places.get(NUMBER, self.number),
            date=places.get(DATE, self.date),
            person=places.get(PERSON, self.person),
            organisation=places.get(ORGANISATION, self.organisation),
            initials=at(INITIAL, self.initials),
            people=at(PERSON, self.people, 1),
            organisations=at(ORGANISATION, self.organisations, 1),
        )

    def joint(self, people: int = 1, organisations: int = 1, initials: int = 0) -> Layout:
        """The usual places for so many signers: side by side to the left of the first, initials above it.

        Raises `Refused` for more than `MOST_SIGNERS` of a kind.
        """
        if not (
            0 < people <= MOST_SIGNERS and 0 < organisations <= MOST_SIGNERS and 0 <= initials <= MOST_SIGNERS
        ):
            raise too_many_signers()
        first = self.person
        row = max(1, int(first.left // 170) + 1)
        boxes = []
        for place in range(1, max(people, organisations)):
            across, down = place % row, place // row
            boxes.append(
                replace(first, left=first.left - across * 170, bottom=max(8.0, first.bottom - down * 110))
            )
        small = [
            Box(
                first.page,
                first.left + first.width - 44 - 48 * place,
                first.bottom + first.height + 34,
                44,
                20,
            )
            for place in range(initials)
        ]
        return replace(
            self,
            initials=tuple(small),
            people=tuple(boxes[: people - 1]),
            organisations=tuple(seal_box(one) for one in boxes[: organisations - 1]),
        )

    def as_pdf(self) -> generic.ArrayObject:
        """For the catalog of a composed draft."""
        boxes = (self.number, self.date, self.person, self.organisation)
        return generic.ArrayObject(
            numbers((one.page, one.left, one.bottom, one.width, one.height)) for one in boxes
        )


def default_layout(first: tuple[float, float], last: tuple[float, float]) -> Layout:
    """The places on pages of these sizes (width, height) in points, for a draft that names none."""
    person = Box(-1, last[0] - 20 * MM - 190, 40 * MM, 150, 60)
    return Layout(
        number=Box(0, 30 * MM - 10, first[1] - 46 * MM, 190, 18),
        date=Box(0, first[0] - 20 * MM - 250, first[1] - 46 * MM, 250, 18),
        person=person,
        organisation=seal_box(person),
    )


def seal_box(person: Box, diameter: float = SEAL) -> Box:
    """The seal covers about a third of the signature, on its left (ND30/2020 Appendix I, II.8.a)."""
    right = person.left + person.width / 3
    middle = person.bottom + person.height / 2
    return Box(person.page, right - diameter, middle - diameter / 2, diameter, diameter)


def places_text(places: Mapping[str, Box]) -> str:
    """Fields with their places as JSON."""
    return json.dumps(
        {name: [box.page, box.left, box.bottom, box.width, box.height] for name, box in places.items()}
    )


def read_places(text: str, pages: int) -> dict[str, Box]:
    """The inverse of `places_text`. Raises `Refused` for a field or a place that can't be."""
    try:
        told = json.loads(text or "{}")
        found = {
            str(name): Box(int(page), *(float(one) for one in sides)) for name, (page, *sides) in told.items()
        }
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise _bad_places() from None
    for name, box in found.items():
        if not (kind_of(name) or name in (NUMBER, DATE)) or len(found) > 40 or not _sensible(box, pages):
            raise _bad_places()
    return {name: replace(box, page=box.page % pages) for name, box in found.items()}


def too_many_signers() -> Refused:
    """The refusal of more than `MOST_SIGNERS`."""
    return Refused(
        "too-many-signers",
        f"Mỗi loại chữ ký có tối đa {MOST_SIGNERS} người ký.",
        f"There are at most {MOST_SIGNERS} signers of a kind.",
    )


def _bad_places() -> Refused:
    return Refused(
        "bad-places",
        "Vị trí ô ký hoặc ô số không nằm trên trang nào của văn bản.",
        "The place of a field is on no page of the document.",
    )


def from_pdf(value: Any, pages: int) -> Layout | None:
    """The places that a composed draft brings along; None when they are not of the form."""
    try:
        boxes = [Box(int(page), *(float(one) for one in sides)) for page, *sides in value]
    except (TypeError, ValueError, IndexError, KeyError):
        return None
    if len(boxes) != 4 or not all(_sensible(one, pages) for one in boxes):
        return None
    number, date, person, organisation = (replace(one, page=one.page % pages) for one in boxes)
    return Layout(number, date, person, organisation)


def _sensible(box: Box, pages: int) -> bool:
    return (
        -pages <= box.page < pages
        and 0 < box.width < 2000
        and 0 < box.height < 2000
        and -2000 < box.left < 15000
        and -2000 < box.bottom < 15000
    )


@dataclass(frozen=True, slots=True)
class Paper:
    """A page's visible rectangle in its own coordinates and how it is turned when shown."""

    left: float
    bottom: float
    right: float
    top: float
    rotate: int = 0

    @classmethod
    def of(cls, page: Any) -> Paper:
        """The paper of a page dictionary; A4 when it says nothing usable."""
        box = _inherited(page, "/CropBox") or _inherited(page, "/MediaBox")
        try:
            x1, y1, x2, y2 = (float(one) for one in box)
        except (TypeError, ValueError):
            x1, y1, x2, y2 = 0.0, 0.0, 595.28, 841.89
        turn = _inherited(page, "/Rotate")
        rotate = int(turn) % 360 if isinstance(turn, (int, float)) else 0
        return cls(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2), rotate if rotate % 90 == 0 else 0)

    @property
    def size(self) -> tuple[float, float]:
        """(width, height) as seen."""
        across, up = self.right - self.left, self.top - self.bottom
        return (up, across) if self.rotate in (90, 270) else (across, up)

    def place(self, box: Box) -> tuple[int, int, int, int]:
        """The ``/Rect`` of a box, in the page's own coordinates, rounded to points."""
        x1, y1, x2, y2 = box.left, box.bottom, box.left + box.width, box.bottom + box.height
        if self.rotate == 90:
            x1, y1, x2, y2 = self.right - y2, self.bottom + x1, self.right - y1, self.bottom + x2
        elif self.rotate == 180:
            x1, y1, x2, y2 = self.right - x2, self.top - y2, self.right - x1, self.top - y1
        elif self.rotate == 270:
            x1, y1, x2, y2 = self.left + y1, self.top - x2, self.left + y2, self.top - x1
        else:
            x1, y1, x2, y2 = self.left + x1, self.bottom + y1, self.left + x2, self.bottom + y2
        return round(x1), round(y1), round(x2), round(y2)


def upright(rotate: int) -> list[int]:
    """The ``/Matrix`` of an appearance that stands upright on a page turned by ``rotate``."""
    return {90: [0, 1, -1, 0, 0, 0], 180: [-1, 0, 0, -1, 0, 0], 270: [0, -1, 1, 0, 0, 0]}.get(
        rotate, [1, 0, 0, 1, 0, 0]
    )


def _inherited(page: Any, key: str) -> Any:
    for _ in range(32):
        if key in page:
            return page[key]
        if "/Parent" not in page:
            return None
        page = page["/Parent"]
    return None
