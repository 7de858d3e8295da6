# SPDX-License-Identifier: AGPL-3.0-or-later
"""Autodiscover as Outlook asks it: the plain XML form (MS-OXDSCLI §2.2.3, §2.2.4)."""

from __future__ import annotations

from lxml import etree

from config.refusal import Refused
from webmail.pages.setup.servers import Servers

_ANSWER = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
_OUTLOOK = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
_LARGEST = 64 * 1024


def address_asked(body: bytes) -> str:
    """The EMailAddress of a request. Raises `Refused` for anything that is no such request."""
    if len(body) <= _LARGEST and b"<!DOCTYPE" not in body:
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
        try:
            root = etree.fromstring(body, parser)
        except (etree.XMLSyntaxError, ValueError):
            root = None
        if root is not None:
            found = root.find(".//{*}EMailAddress")
            if found is not None and found.text and "@" in found.text:
                return found.text.strip()[:254]
    raise Refused(
        "autodiscover-request",
        "Yêu cầu Autodiscover không có địa chỉ thư.",
        "The Autodiscover request has no mail address.",
    )


def document(servers: Servers, address: str) -> bytes:
    """The answer for ``address``: IMAP and SMTP with TLS, the whole address as the name."""
    root = etree.Element("Autodiscover", nsmap={None: _ANSWER})  # type: ignore[dict-item]
    response = etree.SubElement(root, "Response", nsmap={None: _OUTLOOK})  # type: ignore[dict-item]
    account = etree.SubElement(response, "Account")
    _text(account, "AccountType", "email")
    _text(account, "Action", "settings")
    for kind, port in (("IMAP", servers.imaps), ("SMTP", servers.submissions)):
        protocol = etree.SubElement(account, "Protocol")
        for name, text in (
            ("Type", kind),
            ("Server", servers.host),
            ("Port", str(port)),
            ("LoginName", address),
            ("DomainRequired", "off"),
            ("SPA", "off"),
            ("SSL", "on"),
            ("AuthRequired", "on"),
        ):
            _text(protocol, name, text)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _text(parent: etree._Element, name: str, text: str) -> None:
    etree.SubElement(parent, name).text = text
