# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the browser sends about a gesture, as values; anything else is `Refused`."""

from __future__ import annotations

from typing import Any

from flask import request

from config.refusal import Refused
from exchange.documents.model import DocumentRef
from exchange.signing.phone.approval import MOST, Assertion, Statement, raw
from webmail.pages.documents.queries import reference

_LARGEST = 256 * 1024


def items() -> list[tuple[DocumentRef, dict[str, Any]]]:
    """(document, what is said about it) of a JSON body. Raises `Refused`, `NotThere`."""
    told = _body().get("items")
    if (
        not isinstance(told, list)
        or not 0 < len(told) <= MOST
        or not all(isinstance(one, dict) for one in told)
    ):
        raise _bad()
    found = [(reference(str(one.get("ref", ""))), one) for one in told]
    if len({ref for ref, _ in found}) != len(found):
        raise _bad()
    return found


def said(ref: DocumentRef) -> list[dict[str, Any]]:
    """What is said about one document and its attachments. Raises `Refused`, `NotThere`."""
    told = _body().get("items")
    if (
        not isinstance(told, list)
        or not 0 < len(told) <= MOST
        or not all(isinstance(one, dict) and one.get("ref") == ref.id for one in told)
    ):
        raise _bad()
    return told


def digests(one: dict[str, Any]) -> tuple[str, str]:
    """(digest of the file, digest of its pages) as the browser has them."""
    digest, shown = one.get("digest"), one.get("shown")
    if not isinstance(digest, str) or not isinstance(shown, str):
        raise _bad()
    return digest, shown


def statement(one: dict[str, Any]) -> Statement:
    """The statement that the browser brings back."""
    return Statement.read(one.get("statement"))


def assertion() -> Assertion:
    """The authenticator's answer."""
    told = _body().get("assertion")
    try:
        response = told["response"]  # type: ignore[index]
        return Assertion(
            raw(str(told["rawId"])),  # type: ignore[index]
            raw(str(response["clientDataJSON"])),
            raw(str(response["authenticatorData"])),
            raw(str(response["signature"])),
            raw(str(response.get("userHandle") or "")),
        )
    except (KeyError, TypeError, AttributeError):
        raise _bad() from None


def _body() -> dict[str, Any]:
    if (request.content_length or 0) > _LARGEST:
        raise _bad()
    told = request.get_json(silent=True)
    if not isinstance(told, dict):
        raise _bad()
    return told


def _bad() -> Refused:
    return Refused(
        "bad-request",
        "Yêu cầu ký không đúng. Tải lại trang rồi thử lại.",
        "The request does not fit. Reload the page and try again.",
    )
