# SPDX-License-Identifier: AGPL-3.0-or-later
"""Completion of recipients: ``/directory?q=chanh van``, JSON for the pages' own script."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request

from webmail import shown
from webmail.pages.directory import queries

blueprint = Blueprint("directory", __name__)


@blueprint.get("/directory")
def find() -> Response:
    """``{"items": [{"address", "name", "title", "agency", "mark"}]}``."""
    typed = request.args.get("q", "")[:100]
    return jsonify(
        items=[
            {
                "address": one.address,
                "name": one.name,
                "title": one.title,
                "agency": one.agency_name,
                "mark": shown.initials(one.name),
            }
            for one in queries.matches(typed)
        ]
    )
