# SPDX-License-Identifier: AGPL-3.0-or-later
"""The document of Thunderbird's autoconfig (config-v1.1), also read by Evolution, KMail, K-9, FairEmail."""

from __future__ import annotations

from lxml import etree

from webmail.pages.setup.servers import Servers


def document(servers: Servers, domain: str) -> bytes:
    """The configuration of ``domain``; the program fills in the address itself."""
    root = etree.Element("clientConfig", version="1.1")
    provider = etree.SubElement(root, "emailProvider", id=domain)
    _text(provider, "domain", domain)
    _text(provider, "displayName", servers.province)
    _text(provider, "displayShortName", "congvan")
    _server(provider, "incomingServer", "imap", servers.host, servers.imaps)
    _server(provider, "outgoingServer", "smtp", servers.host, servers.submissions)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)


def _server(parent: etree._Element, name: str, kind: str, host: str, port: int) -> None:
    server = etree.SubElement(parent, name, type=kind)
    _text(server, "hostname", host)
    _text(server, "port", str(port))
    _text(server, "socketType", "SSL")
    _text(server, "authentication", "password-cleartext")
    _text(server, "username", "%EMAILADDRESS%")


def _text(parent: etree._Element, name: str, text: str) -> None:
    etree.SubElement(parent, name).text = text
