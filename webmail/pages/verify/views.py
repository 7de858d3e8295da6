# SPDX-License-Identifier: AGPL-3.0-or-later
"""The public look-up: the answer in one line, then the facts to compare with the paper. No sign-in, no content."""

from __future__ import annotations

from flask import Blueprint, jsonify, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from config.refusal import Refused
from exchange.documents.issuers import issuers
from webmail import frame
from webmail.errors import status_of
from webmail.frame import open_to_all, page
from webmail.pages.documents.reading import signatures
from webmail.pages.verify import checking
from webmail.pages.verify.checking import Compared, Known
from webmail.sessions import not_a_form

blueprint = Blueprint("verify", __name__)


@blueprint.get("/verify")
@open_to_all
def ask() -> AnyResponse:
    """The form; ``?code=`` leads to the document's page."""
    code = checking.clean(request.args.get("code", ""))
    if code:
        return redirect(url_for("verify.show", code=code))
    return _page(None, "", None)


@blueprint.get("/verify/<code>")
@open_to_all
def show(code: str) -> AnyResponse:
    """Whether the document with this code is genuine and in force."""
    cleaned = checking.clean(code)
    found = checking.known(cleaned)
    return _page(found, cleaned, None, status=200 if found is not None else 404)


@blueprint.post("/verify")
@open_to_all
def check() -> AnyResponse:
    """Compare a file with the document of the code, or judge it by its own signatures."""
    code = checking.clean(request.form.get("code", ""))
    upload = request.files.get("file")
    if upload is None or not upload.filename:
        return redirect(url_for("verify.show", code=code) if code else url_for("verify.ask"), code=303)
    data = upload.read(checking.MAX_FILE + 1)
    if len(data) > checking.MAX_FILE:
        raise checking.TooLarge
    found = checking.known(code) if code else None
    name = "".join(one for one in upload.filename if one.isprintable())[-120:]
    return _page(found, code, checking.compare(data, name, found))


@blueprint.post("/api/verify")
@open_to_all
@not_a_form
def judge() -> AnyResponse:
    """For programs: the body is a file of any kind, the answer the verdict as `congvan verify --json` gives it.

    ``?name=`` is the file's name; a refusal is an object with ``code``, ``vi``, ``en``. The file is forgotten.
    """
    data = request.stream.read(checking.MAX_FILE + 1)
    try:
        if len(data) > checking.MAX_FILE:
            raise checking.TooLarge
        verdict = checking.judged(data, request.args.get("name", "")[-120:])
    except Refused as refusal:
        told = jsonify(code=refusal.code, vi=refusal.vi, en=refusal.en)
        told.status_code = status_of(refusal)
        return told
    return jsonify(verdict.as_json())


def _page(found: Known | None, code: str, compared: Compared | None, status: int = 200) -> AnyResponse:
    agency = frame.parts().accounts.agency(found.document.fields.organ_code) if found is not None else None
    verdict = compared.verdict if compared is not None else None
    return page(
        "verify/verify.html",
        status=status,
        found=found,
        fields=found.document.fields if found is not None else None,
        issuers=issuers(frame.parts().exchange, found.document.fields) if found is not None else [],
        agency=agency,
        code=code,
        compared=compared,
        signatures=signatures(verdict) if verdict is not None else [],
        largest=checking.MAX_FILE,
    )
