# SPDX-License-Identifier: AGPL-3.0-or-later
"""The Flask application: hooks that hold for every page, and the rooms of pages."""

from __future__ import annotations

from flask import Blueprint, Flask, Response, current_app, g, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from config.refusal import Refused, Unavailable
from webmail import errors, frame, icons, navigation, sessions, shown, static_files, toast
from webmail.bridge import Bridge
from webmail.frame import Web, is_open, open_to_all
from webmail.language import COOKIE, current, t
from webmail.pages.account.views import blueprint as account_pages
from webmail.pages.admin.views import blueprint as admin_pages
from webmail.pages.audit.views import blueprint as audit_pages
from webmail.pages.compose.views import blueprint as compose_pages
from webmail.pages.devices.views import blueprint as device_pages
from webmail.pages.directory.views import blueprint as directory_pages
from webmail.pages.documents.placing import blueprint as placing_pages
from webmail.pages.documents.views import blueprint as document_pages
from webmail.pages.filters.views import blueprint as filter_pages
from webmail.pages.mail.views import blueprint as mail_pages
from webmail.pages.registers.views import blueprint as register_pages
from webmail.pages.scheduled.views import blueprint as scheduled_pages
from webmail.pages.setup.views import blueprint as setup_pages
from webmail.pages.signing.views import blueprint as signing_pages
from webmail.pages.status.views import blueprint as status_pages
from webmail.pages.verify.views import blueprint as verify_pages
from webmail.parts import Parts

_HEADERS = {
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
}
_SMALL_FORM = 1024 * 1024
_READING = ("GET", "HEAD", "OPTIONS")
_WITH_FILES = ("compose.send", "documents.issue", "verify.check")
ROOMS = (
    static_files.blueprint,
    account_pages,
    device_pages,
    setup_pages,
    mail_pages,
    compose_pages,
    directory_pages,
    document_pages,
    placing_pages,
    register_pages,
    signing_pages,
    audit_pages,
    scheduled_pages,
    filter_pages,
    admin_pages,
    verify_pages,
    status_pages,
)
PUBLIC_ROOMS = (static_files.blueprint, verify_pages, status_pages)
"""What anybody may see: the look-up of documents, and the status of our certificates."""


class LengthRequired(Refused):
    """A body came without its length (chunked): a2wsgi would show it empty."""

    def __init__(self) -> None:
        super().__init__(
            "length-required",
            "Yêu cầu không ghi độ dài nên chưa được nhận.",
            "The request did not give its length and was not accepted.",
        )


def create_app(parts: Parts, bridge: Bridge, rooms: tuple[Blueprint, ...] = ROOMS) -> Flask:
    """The pages of one installation; ``bridge`` leads to the event loop that writes and delivers."""
    app = Flask(__name__, static_folder=None)
    key = b"".join(parts.seal.digest(f"web-cookie-{half}", b"") for half in ("a", "b"))
    largest = parts.settings.mail.max_message_bytes + _SMALL_FORM
    app.config.update(
        SECRET_KEY=key,
        SESSION_COOKIE_NAME="__Host-congvan-toast",
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        MAX_CONTENT_LENGTH=largest,
        MAX_FORM_MEMORY_SIZE=4 * _SMALL_FORM,
        MAX_FORM_PARTS=4000,
    )
    frame.attach(app.extensions, Web(parts, bridge))
    app.before_request(_before)
    app.after_request(_after)
    errors.install(app)
    for room in rooms:
        app.register_blueprint(room)
    app.add_url_rule("/", "start", _public_start if _is_public(app) else _start)
    app.add_url_rule("/health", "health", _health)
    _teach_templates(app)
    return app


def _before() -> None:
    if "Transfer-Encoding" in request.headers or (
        request.method not in _READING and request.content_length is None
    ):
        raise LengthRequired
    view = current_app.view_functions.get(request.endpoint or "")
    if request.endpoint not in _WITH_FILES:
        request.max_content_length = _SMALL_FORM
    if request.endpoint in ("static_files.static", "health"):
        return
    if not _is_public(current_app):
        sessions.recognise()
    if request.routing_exception is not None:
        return
    if view is not None and not is_open(view):
        frame.account()
    if request.method not in _READING and sessions.is_a_form(view):
        sessions.check_form()


def _after(answer: Response) -> Response:
    for name, value in _HEADERS.items():
        answer.headers.setdefault(name, value)
    answer.headers.setdefault("Content-Security-Policy", frame.CSP)
    answer.headers.setdefault("Cache-Control", "no-store")
    answer.headers.setdefault("Vary", "Accept-Language, Cookie")
    if g.get("language") is not None:
        answer.headers.setdefault("Content-Language", current())
    asked = request.args.get("lang")
    if asked in ("vi", "en"):
        answer.set_cookie(COOKIE, asked, max_age=31_536_000, secure=True, httponly=True, samesite="Lax")
    sessions.keep_door(answer)
    return answer


def _start() -> AnyResponse:
    return redirect(url_for("mail.show", mailbox="inbox"))


@open_to_all
def _public_start() -> AnyResponse:
    return redirect(url_for("verify.ask"))


def _is_public(app: Flask) -> bool:
    """Whether the application has no sign-in at all."""
    return account_pages.name not in app.blueprints


@open_to_all
def _health() -> Response:
    """Whether pages can be served: the database answers, and no process is stopped in its turn to write."""
    parts = frame.parts()
    with parts.database.reading() as conn:
        conn.exec_driver_sql("SELECT 1")
    parts.database.refuse_when_stuck()
    return Response("ok\n", mimetype="text/plain")


def _teach_templates(app: Flask) -> None:
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals.update(
        t=t,
        icon=icons.icon,
        icon_sheet=icons.sheet,
        static=static_files.address,
        form_token=sessions.form_token,
        take_toast=toast.take,
        lang=current,
    )
    app.jinja_env.filters.update(
        day=shown.day,
        clock=shown.clock,
        machine=shown.machine,
        moment=lambda us: shown.moment(us, current()),
        short=lambda us: shown.short(us, current()),
        size=lambda octets: shown.size(octets, current()),
        number=lambda value: shown.number(value, current()),
        initials=shown.initials,
    )

    @app.context_processor
    def _frame() -> dict[str, object]:
        who = g.get("account")
        try:
            sections = navigation.sections(who) if who is not None and not g.get("failing") else []
        except Unavailable:
            sections = []  # the page that says so must still come
        return {
            "me": who,
            "public": _is_public(app),
            "sections": sections,
            "installation": frame.parts().settings.installation,
        }
