# SPDX-License-Identifier: AGPL-3.0-or-later
"""The status of our certificates as an application of its own: without TLS, for programs, nothing else is there."""

from __future__ import annotations

from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from config.refusal import Refused
from exchange.trust.responder import MAX_REQUEST
from webmail import frame
from webmail.bridge import Bridge
from webmail.errors import status_of
from webmail.frame import Web
from webmail.pages.status.views import blueprint
from webmail.parts import Parts


def create_status_app(parts: Parts, bridge: Bridge) -> Flask:
    """The few addresses that certificates name; all else is 404, in one line."""
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_REQUEST
    frame.attach(app.extensions, Web(parts, bridge))
    app.register_blueprint(blueprint)
    app.register_error_handler(Refused, _refused)
    app.register_error_handler(HTTPException, _http)
    return app


def _refused(refusal: Refused) -> Response:
    return Response(f"{refusal.code}\n", status_of(refusal), mimetype="text/plain")


def _http(problem: HTTPException) -> Response:
    return Response(f"{problem.name}\n", problem.code or 500, mimetype="text/plain")
