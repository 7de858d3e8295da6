# SPDX-License-Identifier: AGPL-3.0-or-later
"""Answers that carry a document's file: the PDF for the browser's own viewer, anything else only for saving."""

from __future__ import annotations

import re
from urllib.parse import quote

from flask import Response, make_response

from exchange.documents.files import PDF

_VIEWER_CSP = (
    "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; img-src 'self' data:; "
    "plugin-types application/pdf; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
_FILE_CSP = "sandbox; default-src 'none'; frame-ancestors 'none'"


def answer(data: bytes, name: str, media_type: str, *, saving: bool) -> Response:
    """The file. Only a PDF is ever shown inside our own address."""
    made = make_response(data)
    shown = media_type == PDF and not saving
    made.headers["Content-Type"] = PDF if media_type == PDF else "application/octet-stream"
    plain = re.sub(r"[^A-Za-z0-9._ -]+", "_", name)[:80] or "file"
    made.headers["Content-Disposition"] = (
        f"{'inline' if shown else 'attachment'}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    )
    made.headers["Content-Security-Policy"] = _VIEWER_CSP if shown else _FILE_CSP
    made.headers["Cache-Control"] = "private, no-store"
    made.headers["Accept-Ranges"] = "none"
    return made
