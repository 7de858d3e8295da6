# SPDX-License-Identifier: AGPL-3.0-or-later
"""OCSP, revocation lists and certificates of our authority, at the addresses that our certificates name
(`exchange.trust.status_places`). Open to all, without TLS too: every answer is signed itself."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import unquote

from cryptography.hazmat.primitives.serialization import Encoding
from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as AnyResponse

from exchange.trust.responder import MAX_REQUEST
from webmail import frame
from webmail.errors import NotThere
from webmail.frame import open_to_all
from webmail.sessions import not_a_form

blueprint = Blueprint("status", __name__)
_FOR_A_WHILE = {"Cache-Control": "public, max-age=600"}


@blueprint.post("/ocsp")
@open_to_all
@not_a_form
def ocsp() -> AnyResponse:
    """What our issuing authority says of a certificate (RFC 6960 Appendix A.1)."""
    if request.mimetype != "application/ocsp-request" or (request.content_length or 0) > MAX_REQUEST:
        raise NotThere
    return _said(request.get_data())


@blueprint.get("/ocsp/<path:asked>")
@open_to_all
def ocsp_by_get(asked: str) -> AnyResponse:
    """The same, with the request in the address as base64 (RFC 6960 Appendix A.1, RFC 5019 §5)."""
    try:
        data = base64.b64decode(unquote(asked), validate=True)
    except (binascii.Error, ValueError):
        raise NotThere from None
    if len(data) > MAX_REQUEST:
        raise NotThere
    return _said(data)


@blueprint.get("/crl/<name>.crl")
@open_to_all
def crl(name: str) -> AnyResponse:
    """The revocation list of an authority, by its key id; ``root`` and ``issuing`` are those of today."""
    trust = frame.parts().exchange.trust
    found = trust.list_named(name)
    if found is None:
        raise NotThere
    return Response(found.public_bytes(Encoding.DER), mimetype="application/pkix-crl", headers=_FOR_A_WHILE)


@blueprint.get("/ca/<name>.crt")
@open_to_all
def certificate(name: str) -> AnyResponse:
    """The certificate of an authority, by its key id."""
    found = frame.parts().exchange.trust.authority_named(name)
    if found is None:
        raise NotThere
    return Response(found.public_bytes(Encoding.DER), mimetype="application/pkix-cert", headers=_FOR_A_WHILE)


def _said(asked: bytes) -> AnyResponse:
    data = frame.parts().exchange.signer.ocsp(asked)
    return Response(data, mimetype="application/ocsp-response", headers=_FOR_A_WHILE)
