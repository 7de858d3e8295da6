# SPDX-License-Identifier: AGPL-3.0-or-later
"""What waits to leave this installation, and making it wait, go, or come back to its sender."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa
from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from mailserver.accounts import Account
from mailserver.store import outbound, submissions
from policy.ledger.entries import record
from policy.rights import may
from webmail import frame, navigation, toast
from webmail.errors import NotAllowed, NotThere
from webmail.frame import page
from webmail.language import t

blueprint = Blueprint("admin", __name__)

_SHOWN = 200
STATES = ("all", "waiting", "held")
_ACTS: dict[str, Callable[[sa.Connection, int, int], int]] = {
    "retry": outbound.retry,
    "hold": outbound.stop,
    "expire": outbound.expire,
}


def section(account: Account) -> navigation.Section | None:
    """Operating in the navigation, for system officers."""
    if not _operates(account):
        return None
    links = (navigation.Link("admin.queue", url_for("admin.queue"), t("queue.title")),)
    return navigation.Section("admin", url_for("admin.queue"), t("nav.admin"), "settings", links=links)


navigation.add(60, section)


@blueprint.get("/admin")
def start() -> AnyResponse:
    """The first of the officer's pages."""
    _only_officers()
    return redirect(url_for("admin.queue"))


@blueprint.get("/admin/queue")
def queue() -> AnyResponse:
    """The rows, oldest first; ``?state=`` waiting or held."""
    _only_officers()
    parts = frame.parts()
    state = request.args.get("state", "all")
    state = state if state in STATES else "all"
    with parts.database.reading() as conn:
        counts = outbound.counts(conn)
        rows = outbound.listed(conn, parts.seal, _SHOWN, None if state == "all" else state)
        scheduled = submissions.count(conn)
    return page(
        "admin/queue.html",
        place="admin.queue",
        rows=rows,
        state=state,
        counts=counts,
        total=sum(counts.values()),
        scheduled=scheduled,
        codes={one.number: one.code for one in parts.accounts.agencies()},
    )


@blueprint.post("/admin/queue")
def act() -> AnyResponse:
    """Retry, hold or expire one row; each is a ledger entry."""
    _only_officers()
    parts, account = frame.parts(), frame.account()
    what = request.form.get("do", "")
    agency, _, row = request.form.get("row", "").partition(".")
    numbers = [one for one in (agency, row) if one.isascii() and one.isdigit() and len(one) <= 12]
    if what not in _ACTS or len(numbers) != 2:
        raise NotThere
    key = (int(agency), int(row))

    def job(conn: sa.Connection) -> int:
        done = _ACTS[what](conn, *key)
        if done:
            record(conn, parts.seal, f"queue.{what}", f"{key[0]}.{key[1]}", {"by": account.address})
        return done

    if not frame.wait(parts.database.commit(job)):
        raise NotThere
    parts.wake.publish("queue")
    toast.leave(f"queue.done-{what}")
    state = request.form.get("state", "all")
    return redirect(url_for("admin.queue", state=state if state in STATES else "all"))


def _operates(account: Account) -> bool:
    return may(account.role, "system.operate", "none")


def _only_officers() -> None:
    if not _operates(frame.account()):
        raise NotAllowed("Trang này dành cho quản trị hệ thống.", "This page is for the system officer.")
