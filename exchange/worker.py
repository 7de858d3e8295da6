# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the worker process does for official documents, and the acts that commands ask of it.

`ExchangeWorker.run` follows the registry mailboxes, sends statuses that are due and finishes what a crash
left numbered; `acts` is the table of commands. Everything blocking runs in threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

from config.clock import now_us
from config.leases import hold
from config.refusal import Refused, Unavailable
from exchange import authority_acts, key_acts, openpgp_acts, pin_acts
from exchange.documents import archive, finding, late_stamps, listing, turns_of_before, walk
from exchange.documents.model import Document
from exchange.documents.opening import open_packet_file
from exchange.documents.work import load
from exchange.edxml.attachments import unpack
from exchange.edxml.model import DocumentPacket
from exchange.edxml.read import read
from exchange.exchange import Exchange
from exchange.receiving import accepting, again, answers, reports
from exchange.receiving.evidence import evidence_of
from exchange.receiving.follower import Follower
from exchange.verifying.report import Report

_LEASE, _LEASE_S = "exchange-worker", 30.0
_LOOK_ANYWAY_S = 5.0
_PAUSE_S = 0.25
_RESUME_EVERY_S = 30.0
_WAIT_FOR_ARRIVAL_S = 20.0


class ExchangeWorker:
    """One at a time in an installation (a lease); what it is woken by: mailbox, ledger, document."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._follower = Follower(exchange)
        self._woken = asyncio.Event()
        self._resumed = -_RESUME_EVERY_S
        self._subscribed = False

    async def run(self) -> None:
        """Work until cancelled. Raises `Unavailable` when signer or database are down: begin again later."""
        if not self._subscribed:
            self._exchange.wake.subscribe(self._wake)
            self._subscribed = True
        while True:
            if not await asyncio.to_thread(hold, self._exchange.database, _LEASE, _LEASE_S):
                await asyncio.sleep(_LOOK_ANYWAY_S)
                continue
            self._woken.clear()
            await asyncio.to_thread(self.work_once)
            await self._until_something()

    def work_once(self) -> int:
        """One round: follow, answer, resume; returns how much was done. Blocking. Raises `Unavailable`."""
        done = self._follower.follow()
        done += answers.send_due(self._exchange)
        if time.monotonic() - self._resumed >= _RESUME_EVERY_S:
            self._resumed = time.monotonic()
            done += turns_of_before.complete(self._exchange)
            done += walk.resume(self._exchange)
            done += late_stamps.stamp_late(self._exchange)
            done += archive.renew_due(self._exchange)
        return done

    async def _until_something(self) -> None:
        """Wait for a wake-up, the next status that is due, or a while; never less than a short pause."""
        await asyncio.sleep(_PAUSE_S)
        due = await asyncio.to_thread(answers.next_due_us, self._exchange)
        wait = _LOOK_ANYWAY_S
        if due is not None:
            wait = min(wait, max(_PAUSE_S, (due - now_us()) / 1_000_000))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._woken.wait()

    def _wake(self, topic: str, key: str) -> None:
        if topic in ("ledger", "document") or (topic == "mailbox" and self._follower.watches(key)):
            self._woken.set()


def acts(exchange: Exchange) -> dict[str, Callable[..., Any]]:
    """The acts on documents for the control socket, by name; all blocking, plain values in and out."""

    def issue(pdf: bytes, **declared: Any) -> dict[str, Any]:
        """``document issue``: see `walk.issue_from_pdf`."""
        return walk.issue_from_pdf(exchange, pdf, **declared)

    def seal(document: str, agency: str, clerk: str) -> dict[str, Any]:
        """``document seal``: the seal of a jointly issuing agency, see `walk.seal`."""
        who = exchange.person(clerk, exchange.agency(agency), "clerk")
        return walk.seal(exchange, finding.find(exchange, document).ref, who)

    def accept(document: str, agency: str, clerk: str, reason: str = "") -> dict[str, Any]:
        """``document accept``."""
        home = exchange.agency(agency)
        who = exchange.person(clerk, home, "clerk")
        found = _arrived(exchange, document, home.code)
        accepting.accept(exchange, found.ref, who, reason)
        return _told(exchange, found)

    def refuse(document: str, agency: str, clerk: str, reason: str = "") -> dict[str, Any]:
        """``document refuse``."""
        home = exchange.agency(agency)
        who = exchange.person(clerk, home, "clerk")
        found = _arrived(exchange, document, home.code)
        accepting.refuse(exchange, found.ref, who, reason)
        return _told(exchange, found)

    def status(document: str) -> dict[str, Any]:
        """``document status`` through the worker."""
        return listing.status(exchange, finding.find(exchange, document).ref)

    def open_file(mail: bytes, agency: str, who: str) -> dict[str, Any]:
        """``document open``: the parts of a packet file and the verdict on it."""
        opened, verdict = open_packet_file(exchange, exchange.agency(agency), mail, who)
        files = [{"name": opened.edxml_name, "data": opened.edxml}]
        packet = read(opened.edxml).packet
        if isinstance(packet, DocumentPacket):
            found = [unpack(one) for one in packet.attachments]
            files += [{"name": one.name, "data": one.data} for one in found]
        files += [{"name": name, "data": data} for name, data in opened.receipts]
        return {"verdict": verdict.as_json(), "files": files}

    def evidence(document: str, who: str) -> dict[str, Any]:
        """``document evidence``."""
        found = finding.find(exchange, document)
        return {"id": found.id, "data": evidence_of(exchange, found.ref, who)}

    def report(document: str, agency: str, who: str, anew: bool) -> dict[str, Any]:
        """``document report``: what was found on receipt, and every later judgement, as kept and signed."""
        home = exchange.agency(agency)
        person = exchange.person(who, home, "clerk", "leader")
        found = _arrived(exchange, document, home.code)
        if anew:
            reports.judge_anew(exchange, found.ref, person)
        kept = reports.opened_for(exchange, found, person)
        if not kept:
            raise Refused(
                "no-report",
                f"Văn bản {found.id} không có báo cáo: gói tin không mở hoặc không xác thực được. {found.fields.reason}",
                f"The document {found.id} has no report: its packet was not authenticated. {found.fields.reason_en}",
            )
        return {"id": found.id, "items": [_reported(one, data) for one, data in kept]}

    def reopen(document: str, agency: str, who: str) -> dict[str, Any]:
        """``document reopen``: look once more at a packet that was held unopened."""
        home = exchange.agency(agency)
        person = exchange.person(who, home, "clerk")
        found = finding.find(exchange, document, home)
        return _told(exchange, load(exchange, again.look_again(exchange, found.ref, person)))

    def archived(document: str) -> dict[str, Any]:
        """``document archive``: the archive copy, renewed now, with the verdict on it."""
        found = finding.find(exchange, document)
        copy, verdict = archive.renewed(exchange, found.ref)
        return {
            "id": found.id,
            "data": copy.data,
            "original": copy.original,
            "size": copy.size,
            "verdict": verdict.as_json(),
        }

    return {
        **key_acts.acts(exchange),
        **authority_acts.acts(exchange),
        **openpgp_acts.acts(exchange),
        **pin_acts.acts(exchange),
        "document.archive": archived,
        "document.issue": issue,
        "document.seal": seal,
        "document.accept": accept,
        "document.refuse": refuse,
        "document.status": status,
        "document.open": open_file,
        "document.report": report,
        "document.reopen": reopen,
        "document.evidence": evidence,
    }


def _arrived(exchange: Exchange, name: str, code: str) -> Document:
    """The document as it arrived at ``code``; waits a little for one that is on its way."""
    agency = exchange.agency(code)
    until = time.monotonic() + _WAIT_FOR_ARRIVAL_S
    while True:
        found = finding.incoming(exchange, name, agency)
        if found is not None:
            return found
        if not _sent_to(exchange, name, code):
            raise Refused(
                "no-such-document",
                f"Không có văn bản “{name[:100]}” gửi đến {code}.",
                f"There is no document “{name[:100]}” sent to {code}.",
            )
        if time.monotonic() > until:
            raise Unavailable(
                "not-arrived-yet",
                f"Văn bản “{name[:100]}” đã gửi nhưng chưa đến {code}. Hãy thử lại sau ít phút.",
                f"The document “{name[:100]}” was sent but has not arrived at {code} yet. Try again shortly.",
            )
        time.sleep(_PAUSE_S)


def _sent_to(exchange: Exchange, name: str, code: str) -> bool:
    try:
        found = finding.find(exchange, name)
    except Refused:
        return False
    return found.direction == "outgoing" and code in found.fields.to_codes


def _reported(report: Report, data: bytes) -> dict[str, Any]:
    layers = [
        verdict.as_json() | {"name": name, "sub_indication": verdict.sub_indication}
        for name, verdict in report.layers
    ]
    verdict = report.verdict
    vi, en = verdict.words("vi"), verdict.words("en")
    words = {"meaning": {"vi": vi[0], "en": en[0]}, "advice": {"vi": vi[1], "en": en[1]}}
    at = report.at.isoformat()
    return verdict.as_json() | {"at": at, "layers": layers, "data": data} | words


def _told(exchange: Exchange, document: Document) -> dict[str, Any]:
    """What accept and refuse answer: the receiver's document as it stands."""
    now = listing.show(exchange, document.ref).document
    return {
        "id": now.id,
        "document_id": now.fields.document_id,
        "number": now.fields.number,
        "state": now.state,
        "arrival_number": now.fields.arrival_number,
        "reason": now.fields.reason,
        "agency": now.fields.to_codes[0] if now.fields.to_codes else "",
    }
