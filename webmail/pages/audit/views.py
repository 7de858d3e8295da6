# SPDX-License-Identifier: AGPL-3.0-or-later
"""The audit pages: what happened, by which rules of that day, and the proof that nobody changed it. They change nothing."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, make_response, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from config.clock import from_datetime
from mailserver.accounts import Account
from policy.ledger.verify import Report, verify
from webmail import frame, navigation, shown
from webmail.catalogue import entries
from webmail.errors import NotAllowed
from webmail.frame import page
from webmail.language import t
from webmail.pages.audit import queries
from webmail.pages.audit.path import drawing
from webmail.pages.audit.queries import Entry, Window
from webmail.pages.documents.reading import entry_words

blueprint = Blueprint("audit", __name__)

_ICONS = {
    "document.person-signed": "sign",
    "document.sealed": "seal",
    "document.numbered": "seal",
    "document.sent": "send",
    "document.refused": "undo",
    "document.opened": "eye",
    "document.judged": "shield",
    "document.void": "x",
    "letter.signed": "sign",
    "audit.viewed": "eye",
}
_BY_FAMILY = {
    "document": "doc",
    "register": "book",
    "mail": "mail",
    "mailbox": "mail",
    "account": "user",
    "audit": "eye",
    "agency": "org",
    "ledger": "shield",
}


def section(account: Account) -> navigation.Section | None:
    """Audit in the navigation, for auditors."""
    if not queries.reads_all(account):
        return None
    links = (
        navigation.Link("audit.entries", url_for("audit.show"), t("audit.entries")),
        navigation.Link("audit.log", url_for("audit.log"), t("audit.log")),
    )
    return navigation.Section("audit", url_for("audit.show"), t("nav.audit"), "shield", links=links)


navigation.add(50, section)


@blueprint.get("/audit")
def show() -> AnyResponse:
    """The newest entries, or those about a document, an address, an agency (``?q=``)."""
    _only_auditors()
    window = _window()
    if window.query.isascii() and window.query.isdigit() and len(window.query) < 16:
        return redirect(url_for("audit.read", index=int(window.query)))
    return _page(window, None)


@blueprint.get("/audit/entry/<int:index>")
def read(index: int) -> AnyResponse:
    """One entry with its proof; the look is recorded."""
    return _page(_window(), queries.entry(index))


@blueprint.get("/audit/entry/<int:index>/proof.json")
def proof(index: int) -> Response:
    """The proof as a file: what ``congvan audit prove`` prints."""
    found = queries.entry(index)
    told: dict[str, Any] = dict(found.proof.as_json()) if found.proof is not None else {"index": index}
    if found.opened is not None:
        told |= {
            "subject": found.opened.subject,
            "detail": found.opened.detail,
            "nonce": found.opened.nonce.hex(),
        }
    answer = make_response(json.dumps(told, ensure_ascii=False, indent=2) + "\n")
    answer.headers["Content-Type"] = "application/json"
    answer.headers["Content-Disposition"] = f'attachment; filename="entry-{index}.proof.json"'
    return answer


@blueprint.get("/audit/log")
def log() -> AnyResponse:
    """The state of the log."""
    _only_auditors()
    return _log(None)


@blueprint.post("/audit/log")
def check() -> AnyResponse:
    """Verify the published log from its folder alone, now."""
    _only_auditors()
    return _log(verify(frame.parts().settings.ledger_dir, frame.parts().exchange.ledger_keys.present))


def _log(report: Report | None) -> AnyResponse:
    return page(
        "audit/log.html",
        place="audit.log",
        log=queries.log(),
        report=report,
        last_us=from_datetime(datetime.fromisoformat(report.not_newer_than))
        if report is not None and report.not_newer_than
        else None,
        folder=str(frame.parts().settings.ledger_dir),
    )


def _page(window: Window, entry: Entry | None) -> AnyResponse:
    who = frame.account()
    auditor = queries.reads_all(who)
    values: dict[str, Any] = {}
    if entry is not None:
        path = entry.proof is not None and entry.proved is not None
        values = {
            "detail": _detail(entry),
            "drawing": drawing(entry.leaf.index, entry.proved.checkpoint.size, entry.proof.hashes)
            if path and entry.proof is not None and entry.proved is not None
            else None,
        }
    return page(
        "audit/audit.html",
        place="audit.entries" if auditor else "documents",
        window=window,
        found=queries.search(window) if auditor else None,
        families=queries.FAMILIES,
        entry=entry,
        words=entry_words,
        icon_of=_icon,
        **values,
    )


def _detail(entry: Entry) -> list[tuple[str, str]]:
    """What was recorded, with names for the members that pages know."""
    if entry.opened is None:
        return []
    accounts = frame.parts().accounts
    found = []
    for name, value in entry.opened.detail.items():
        if name == "rules" or value in ("", None):
            continue
        key = f"detail.{name}"
        plain = isinstance(value, list) and all(isinstance(one, str) for one in value)
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        text = ", ".join(value) if plain else text
        if name in ("by", "declared_by", "actor") and "@" in text:
            called = shown.known_name(accounts, text, "")
            text = f"{called} <{text}>" if called and called != text else text
        found.append((t(key) if key in entries() else name, text))
    return found


def _icon(kind: str) -> str:
    return _ICONS.get(kind) or _BY_FAMILY.get(kind.partition(".")[0], "list")


def _window() -> Window:
    args = request.args
    return queries.window_of(args.get("q", ""), args.get("kind", ""), args.get("before", ""))


def _only_auditors() -> None:
    if not queries.reads_all(frame.account()):
        raise NotAllowed(
            "Mục Thanh tra chỉ dành cho người có vai trò thanh tra, kiểm tra.",
            "Audit is for auditors only.",
        )
