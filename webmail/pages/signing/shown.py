# SPDX-License-Identifier: AGPL-3.0-or-later
"""The list and the reading page of what waits for a signature, with what became of an act on them."""

from __future__ import annotations

from collections.abc import Mapping

from werkzeug.wrappers import Response as AnyResponse

from exchange.documents.model import DocumentRef
from exchange.signing.protocol import APPROVAL_SECONDS
from mailserver.accounts import Account
from webmail import frame
from webmail.errors import NotAllowed
from webmail.frame import page
from webmail.pages.documents import turns as turns_shown
from webmail.pages.documents.queries import names
from webmail.pages.signing import queries


def signer() -> Account:
    """Who looks. Raises `NotAllowed` for those who neither sign nor initial."""
    who = frame.account()
    if not queries.signs(who):
        raise NotAllowed(
            "Mục Chờ ký dành cho người ký và người ký nháy văn bản.",
            "Waiting for signature is for those who sign or initial documents.",
        )
    return who


def queue(results: Mapping[str, str] | None = None, problem: str = "", status: int = 200) -> AnyResponse:
    """What waits. ``results``: what became of each document, "" when it was signed."""
    who = frame.account()
    waiting = queries.waiting(who)
    mode = frame.parts().exchange.approval_of_person(who.address)
    opened = queries.opened(who, [doc for doc, _ in waiting]) if mode == "token" else set()
    return page(
        "signing/queue.html",
        place="signing",
        status=status,
        waiting=waiting,
        names=queries.drafters(doc for doc, _ in waiting),
        mode=mode,
        ending=frame.parts().exchange.ending_of_person(who.address),
        opened=opened,
        results=results or {},
        problem=problem,
        host=frame.passkey_host(),
    )


def read(at: DocumentRef, problem: str = "", status: int = 200) -> AnyResponse:
    """One document as it will be signed; opening it is recorded."""
    who = frame.account()
    shown = queries.presented(at, anew=True)
    waiting = queries.refs(who)
    place = waiting.index(at) + 1 if at in waiting else 1
    made = page(
        "signing/read.html",
        place="signing",
        status=status,
        focus=True,
        doc=shown.document,
        fields=shown.document.fields,
        turn=shown.turn,
        last=not any(one.waits and one.kind == "sign" for one in shown.turns if one != shown.turn),
        turns=turns_shown.lines(shown.document, shown.turns),
        shown=shown,
        nth=place,
        of=len(waiting),
        mode=frame.parts().exchange.approval_of_person(who.address),
        problem=problem,
        called=names(shown.document.fields.to_codes),
        host=frame.passkey_host(),
        minutes=APPROVAL_SECONDS // 60,
    )
    # the script hashes the very bytes that it shows, so they are shown from memory
    made.headers["Content-Security-Policy"] = frame.CSP.replace("img-src 'self'", "img-src 'self' blob:")
    return made
