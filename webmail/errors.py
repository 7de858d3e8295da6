# SPDX-License-Identifier: AGPL-3.0-or-later
"""The one place where a refusal or a failure becomes a page: status, words, the way on."""

from __future__ import annotations

import logging
import secrets

from flask import Flask, Response, g, redirect, request, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from config.refusal import Refused, Unavailable
from webmail import frame
from webmail.frame import NotSignedIn
from webmail.language import current, t

log = logging.getLogger("congvan.web")

_STATUS = {
    "throttled": 429,
    "too-many-streams": 429,
    "stale-form": 403,
    "account-locked": 403,
    "bad-credentials": 403,
    "not-your-address": 403,
    "not-allowed": 403,
    "forbidden": 403,
    "not-signed-in": 401,
    "message-too-large": 413,
    "length-required": 411,
}
_DRAWING = {401: "clock", 403: "lock", 404: "search", 429: "clock"}
_KNOWN = (400, 403, 404, 405, 411, 413, 429, 500, 503)


class NotAllowed(Refused):
    """A right is missing; say who has it in ``vi`` and ``en``."""

    def __init__(self, vi: str, en: str) -> None:
        super().__init__("not-allowed", vi, en)


class NotThere(Refused):
    """Nothing is at this address, or it may not be seen: the two look alike."""

    def __init__(self) -> None:
        super().__init__(
            "no-such-page",
            "Không có trang hoặc thư này, hoặc đã được chuyển đi chỗ khác.",
            "This page or letter does not exist, or has been moved elsewhere.",
        )


def status_of(refusal: Refused) -> int:
    """The HTTP status of a refusal."""
    if isinstance(refusal, Unavailable):
        return 503
    if refusal.code.startswith("no-such-"):
        return 404
    return _STATUS.get(refusal.code, 400)


def install(app: Flask) -> None:
    """Have ``app`` answer refusals and failures with pages."""
    app.register_error_handler(Refused, _refused)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _failed)


def _refused(refusal: Refused) -> AnyResponse:
    if isinstance(refusal, NotSignedIn) and request.method == "GET" and request.path != "/events":
        return redirect(url_for("account.sign_in", next=request.full_path.rstrip("?")))
    status = status_of(refusal)
    answer = _state(status, refusal.text(current()), refusal.code)
    seconds = getattr(refusal, "seconds", None)
    if seconds is not None:
        answer.headers["Retry-After"] = str(seconds)
    return answer


def _http(problem: HTTPException) -> AnyResponse:
    if problem.response is not None or problem.code is None or problem.code < 400:
        return problem.get_response()
    status = problem.code if problem.code in _KNOWN else 400
    answer = _state(status, t(f"error.text-{status}"), "")
    for name, value in problem.get_headers():
        if name.lower() == "allow":
            answer.headers[name] = value
    return answer


def _failed(problem: Exception) -> AnyResponse:
    mark = secrets.token_hex(3).upper()
    log.error("page failed %s: %s %s", mark, request.method, request.endpoint, exc_info=problem)
    g.failing = True  # what the frame reads may be what failed
    return _state(500, t("error.text-500", code=mark), "")


def _state(status: int, text: str, code: str) -> Response:
    title = t(f"error.title-{status}" if status in (401, *_KNOWN) else "error.title-400")
    return frame.page(
        "states/state.html",
        status=status,
        title=title,
        text=text,
        drawing=_DRAWING.get(status, "alert"),
        code=code,
        retry=request.full_path.rstrip("?") if request.method == "GET" and status in (429, 500, 503) else "",
    )
