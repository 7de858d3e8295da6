# SPDX-License-Identifier: AGPL-3.0-or-later
"""The QR code that Thunderbird for Android reads to make an account ("Export for Mobile", version 1)."""

from __future__ import annotations

import json

import segno
from markupsafe import Markup

from mailserver.accounts import Account
from webmail.pages.setup.servers import Servers

_IMAP, _SMTP, _TLS, _PASSWORD = 0, 0, 3, 1


def payload(servers: Servers, who: Account, password: str) -> str:
    """The account as compact JSON: format version, part of parts, incoming, outgoing with identity."""
    incoming = [
        *(_IMAP, servers.host, servers.imaps, _TLS, _PASSWORD),
        *(who.address, servers.province, password),
    ]
    outgoing = [_SMTP, servers.host, servers.submissions, _TLS, _PASSWORD, who.address, password]
    whole = [1, [1, 1], incoming, [[outgoing, [who.address, who.name]]]]
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":"))


def drawing(text: str) -> Markup:
    """The QR code of ``text`` as SVG to stand in a page."""
    code = segno.make_qr(text, error="m")
    return Markup(code.svg_inline(scale=1, omitsize=True, svgclass="qr", lineclass=None, border=4))  # noqa: S704
