# SPDX-License-Identifier: AGPL-3.0-or-later
"""Held packets judged anew by the worker when the word on revocation that they waited for is here, fetched or put by hand.

Both verdicts stay, each with its ledger entry: as two reports, or for a packet that was not opened as its closed row and what
it brought then. What passes now has arrived; whatever else comes of it stays with the clerk, who reads the new reason: nothing is
refused behind a person's back. Bounded: a few packets a round, thirty days; afterwards a person judges anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses

import sqlalchemy as sa

from config.clock import now_us
from config.refusal import Refused, Unavailable
from exchange.documents import files, records
from exchange.documents.model import Document
from exchange.documents.states import WrongState
from exchange.documents.work import load
from exchange.edxml.model import DocumentPacket
from exchange.edxml.read import read
from exchange.exchange import Exchange
from exchange.receiving import again, awaited, reports
from exchange.receiving.awaited import Awaited
from exchange.receiving.content import check
from exchange.receiving.events import SYSTEM
from exchange.receiving.keeping import fields_of_content
from exchange.trust.fetching import Fetcher

_EVERY_S = 20.0
_AT_ONCE = 20


async def run(exchange: Exchange, fetcher: Fetcher) -> None:
    """A round every twenty seconds until cancelled, beside receiving: who never answers delays nothing there.

    Raises `Unavailable` when signer or database are down: begin again later.
    """
    while True:
        await asyncio.to_thread(complete, exchange, fetcher)
        await asyncio.sleep(_EVERY_S)


def complete(exchange: Exchange, fetcher: Fetcher, now: int | None = None) -> int:
    """One round over the packets that are due (``now``: µs); how many were judged anew. Raises `Unavailable`."""
    moment = now_us() if now is None else now
    with exchange.database.reading() as conn:
        if not awaited.any_due(conn, moment):
            return 0
    due = exchange.database.write(lambda conn: awaited.take_due(conn, exchange.seal, moment, _AT_ONCE))
    return sum(_one(exchange, fetcher, one) for one in due)


def _one(exchange: Exchange, fetcher: Fetcher, one: Awaited) -> bool:
    held = load(exchange, one.ref)
    over = held.state != "held" or one.given_up
    if not over:
        fetcher.fetch(one.certificates, one.certificates)
        if fetcher.without_word(one.certificates, one.certificates):
            return False
        with contextlib.suppress(WrongState):
            _reconsider(exchange, held) if held.wrapped_key else _open(exchange, held)
    exchange.database.write(lambda conn: awaited.end(conn, one.ref))
    return not over


def _open(exchange: Exchange, held: Document) -> None:
    """Open a packet that could not be authenticated. Raises `WrongState` (decided meanwhile), `Unavailable`."""
    try:
        again.open_again(exchange, held, SYSTEM)
    except (WrongState, Unavailable):
        raise
    except Refused as problem:
        _still_held(exchange, held, problem)


def _reconsider(exchange: Exchange, held: Document) -> None:
    """Judge an opened document anew and decide. Raises `WrongState` (decided meanwhile), `Refused`, `Unavailable`."""
    agency, sender = exchange.agency_numbered(held.ref.agency), exchange.agency(held.partner)
    opened = exchange.document_key(held.fields.key_code, held.wrapped_key, "receive", "revocation")
    with exchange.database.reading() as conn:
        stored = files.listing(conn, exchange.seal, held.ref)
    reading = edxml = None
    for file in stored:
        if file.role == "edxml":
            edxml = exchange.files.read(opened.key, file)
            reading = read(edxml)
    if edxml is None or reading is None or not isinstance(reading.packet, DocumentPacket):
        raise Refused("nothing-to-judge", "Nội dung không được lưu ở đây.", "The content is not kept here.")
    checked = check(exchange, agency, sender, reading.packet, edxml, reading.problems, held.ref.document)
    fields = dataclasses.replace(
        fields_of_content(held.fields, reading.packet, checked),
        reason=checked.vi[:1000],
        reason_en=checked.en[:1000],
    )

    def effect(conn: sa.Connection) -> None:
        if checked.state == "arrived":
            records.advance(conn, exchange.seal, held.ref, "release", fields)
        else:
            records.advance(conn, exchange.seal, held.ref, "keep-held", fields)

    reports.judge_with_key(exchange, held, opened, SYSTEM, effect)


def _still_held(exchange: Exchange, held: Document, problem: Refused) -> None:
    """The words came and it does not stand all the same: the clerk reads why."""
    fields = dataclasses.replace(held.fields, reason=problem.vi[:1000], reason_en=problem.en[:1000])
    detail = {"by": SYSTEM, "code": problem.code, "packet": held.fields.packet_digest}
    told = {"by": SYSTEM, "reason": problem.vi[:1000], "before": held.fields.reason}
    agency = exchange.agency_numbered(held.ref.agency).code

    def job(conn: sa.Connection) -> None:
        records.advance(conn, exchange.seal, held.ref, "keep-held", fields)
        records.add_event(
            conn,
            exchange.seal,
            held.ref,
            "document.judged",
            held.ledger_subject,
            detail,
            partner=agency,
            told=told,
        )

    exchange.database.write(job)
