# SPDX-License-Identifier: AGPL-3.0-or-later
"""Answers to mail programs that look for their settings. They tell nothing about who has an account."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request, url_for

from mailserver.accounts.model import domain_of
from webmail import frame
from webmail.errors import NotThere
from webmail.frame import open_to_all
from webmail.pages.setup import autoconfig, autodiscover, servers
from webmail.sessions import not_a_form

blueprint = Blueprint("setup", __name__)


@blueprint.get("/mail/config-v1.1.xml")
@blueprint.get("/.well-known/autoconfig/mail/config-v1.1.xml")
@open_to_all
def thunderbird() -> Response:
    """``?emailaddress=`` names the domain; without it the domain of the host that was asked."""
    address = request.args.get("emailaddress", "")[:254]
    domain = domain_of(address) if "@" in address else request.host.partition(":")[0]
    domain = domain.removeprefix("autoconfig.").lower()
    return Response(
        autoconfig.document(_servers(), _ours(domain)), mimetype="text/xml", headers={"Vary": "Host"}
    )


@blueprint.post("/Autodiscover/Autodiscover.xml")
@blueprint.post("/autodiscover/autodiscover.xml")
@open_to_all
@not_a_form
def outlook() -> Response:
    """Outlook's question; the answer holds nothing secret, so no form token is needed."""
    address = autodiscover.address_asked(request.get_data(cache=False))
    _ours(domain_of(address))
    return Response(autodiscover.document(_servers(), address), mimetype="text/xml")


@blueprint.get("/autodiscover/autodiscover.json")
@open_to_all
def outlook_where() -> Response:
    """Where the XML form is (Autodiscover version 2)."""
    if request.args.get("Protocol", "").lower() != "autodiscoverv1":
        return jsonify(ErrorCode="ProtocolNotSupported", ErrorMessage="AutodiscoverV1 only"), 400  # type: ignore[return-value]
    return jsonify(Protocol="AutodiscoverV1", Url=url_for("setup.outlook", _external=True))


def _servers() -> servers.Servers:
    return servers.of(frame.parts().settings)


def _ours(domain: str) -> str:
    """Raises `NotThere` for a domain that is not served here."""
    if frame.parts().accounts.home_of_domain(domain) is None:
        raise NotThere
    return domain
