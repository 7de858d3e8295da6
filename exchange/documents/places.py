# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where the clerk or drafter wants number, date, signature and seal on a draft, before anybody signs it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from config.refusal import Refused
from exchange.documents import files, marks, records
from exchange.documents.model import Document, DocumentRef
from exchange.documents.states import WrongState
from exchange.documents.work import load
from exchange.exchange import Exchange
from exchange.signing.pdf.layout import (
    ORGANISATION,
    PERSON,
    Box,
    Layout,
    nth,
    places_text,
    read_places,
    seal_box,
)
from exchange.signing.pdf.prepare import places
from mailserver.accounts import Account
from policy.rights import may, relation


def layout_of(exchange: Exchange, document: Document, draft: bytes) -> Layout:
    """The places on this draft: the usual ones, as far as nobody moved them; the seal in its real size."""
    fields = document.fields
    usual, sizes = places(draft)
    joint = fields.joint_codes
    usual = usual.joint(1 + len(fields.co_signers), 1 + len(joint), len(fields.initials))
    moved = read_places(fields.places, len(sizes))
    people = [moved.get(nth(PERSON, place), box) for place, box in enumerate((usual.person, *usual.people))]
    seals = {}
    for place, code in enumerate((fields.organ_code, *joint)):
        beside = people[0 if place == 0 else 1 + fields.co_codes.index(code)]
        seals[nth(ORGANISATION, place)] = seal_box(beside, marks.diameter(exchange, exchange.agency(code)))
    return usual.moved({**seals, **moved})


def may_place(document: Document, person: Account) -> bool:
    """Whether ``person`` may put the fields of this draft elsewhere: its drafter, its agency's clerk."""
    own = person.address in (document.fields.drafter, document.fields.clerk)
    related = relation(person.agency_code, document.partner, own=own)
    return (
        document.direction == "outgoing"
        and document.state == "drafted"
        and (own or person.role == "clerk")
        and may(person.role, "document.draft", related)
    )


def move_fields(
    exchange: Exchange,
    ref: DocumentRef,
    person: Account,
    wanted: Mapping[str, Box],
    sizes: Sequence[tuple[float, float]],
) -> None:
    """Put fields of a draft elsewhere (none: the usual places); ``sizes`` of its pages in points.

    Raises `Refused` when it is signed, not this person's to change, or a field would leave its page.
    """
    document = load(exchange, ref)
    if document.state != "drafted":
        raise WrongState(document.state)
    if not may_place(document, person):
        raise Refused(
            "forbidden",
            "Chỉ người soạn thảo và văn thư của cơ quan đặt vị trí chữ ký.",
            "Only the drafter and the agency's clerk place the signature.",
        )
    for box in wanted.values():
        _on_its_page(box, sizes)
    text = places_text(wanted) if wanted else ""
    read_places(text, len(sizes))
    fields = dataclasses.replace(document.fields, places=text)

    def job(conn: sa.Connection) -> None:
        if records.get(conn, exchange.seal, ref).state != "drafted":
            raise WrongState(records.get(conn, exchange.seal, ref).state)
        records.set_fields(conn, exchange.seal, ref, fields)
        files.forget_prepared(conn, ref)

    exchange.database.write(job)


def not_on_a_page() -> Refused:
    """The refusal of a place that is not wholly on a page."""
    return Refused(
        "bad-places",
        "Có ô nằm ngoài trang. Kéo ô vào trong trang, hoặc sửa số trang và khoảng cách.",
        "A box is not wholly on its page. Move it onto the page, or correct its page and distances.",
    )


def _on_its_page(box: Box, sizes: Sequence[tuple[float, float]]) -> None:
    if not -len(sizes) <= box.page < len(sizes):
        raise not_on_a_page()
    width, height = sizes[box.page]
    inside = (box.left, box.bottom, width - box.left - box.width, height - box.bottom - box.height)
    if not all(one >= -1 for one in inside):  # not a number is no place either
        raise not_on_a_page()
