# SPDX-License-Identifier: AGPL-3.0-or-later
"""Our own static files under an address that holds the digest of them all, so that they may be kept for ever."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from flask import Blueprint, Response, abort, make_response

from webmail.frame import open_to_all

_FOLDER = Path(__file__).with_name("static")
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}

blueprint = Blueprint("static_files", __name__)


@cache
def _files() -> dict[str, bytes]:
    return {
        path.relative_to(_FOLDER).as_posix(): path.read_bytes()
        for path in sorted(_FOLDER.rglob("*"))
        if path.suffix in _TYPES
    }


@cache
def digest() -> str:
    """Twelve hex digits over names and contents."""
    found = hashlib.sha256()
    for name, content in _files().items():
        found.update(f"{name} {len(content)} ".encode() + content)
    return found.hexdigest()[:12]


def address(name: str) -> str:
    """Where a static file is served. Raises KeyError when there is none of this name."""
    if name not in _files():
        raise KeyError(name)
    return f"/static/{digest()}/{name}"


@blueprint.get("/static/<version>/<path:name>")
@open_to_all
def static(version: str, name: str) -> Response:
    """One file; kept for a year under its digest, asked for anew under an older one."""
    content = _files().get(name)
    if content is None:
        abort(404)
    answer = make_response(content)
    answer.headers["Content-Type"] = _TYPES[Path(name).suffix]
    kept = "public, max-age=31536000, immutable" if version == digest() else "no-cache"
    answer.headers["Cache-Control"] = kept
    return answer
