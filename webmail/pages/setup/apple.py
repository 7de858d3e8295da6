# SPDX-License-Identifier: AGPL-3.0-or-later
"""The configuration profile of iPhone, iPad and Mac: a property list with one mail account."""

from __future__ import annotations

import plistlib
import uuid

from mailserver.accounts import Account
from webmail.pages.setup.servers import Servers

MIME = "application/x-apple-aspen-config"
_SPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "congvan.profile")


def profile(servers: Servers, who: Account, password: str) -> bytes:
    """The profile of ``who`` with the device's own password in it."""
    mail = {
        "PayloadType": "com.apple.mail.managed",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"{servers.host}.mail.{who.address}",
        "PayloadUUID": str(uuid.uuid5(_SPACE, f"mail {who.address}")).upper(),
        "PayloadDisplayName": who.address,
        "EmailAccountType": "EmailTypeIMAP",
        "EmailAccountDescription": servers.province,
        "EmailAccountName": who.name,
        "EmailAddress": who.address,
        "IncomingMailServerAuthentication": "EmailAuthPassword",
        "IncomingMailServerHostName": servers.host,
        "IncomingMailServerPortNumber": servers.imaps,
        "IncomingMailServerUseSSL": True,
        "IncomingMailServerUsername": who.address,
        "IncomingPassword": password,
        "OutgoingMailServerAuthentication": "EmailAuthPassword",
        "OutgoingMailServerHostName": servers.host,
        "OutgoingMailServerPortNumber": servers.submissions,
        "OutgoingMailServerUseSSL": True,
        "OutgoingMailServerUsername": who.address,
        "OutgoingPasswordSameAsIncomingPassword": True,
        "SMIMEEnablePerMessageSwitch": True,
    }
    whole = {
        "PayloadType": "Configuration",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"{servers.host}.{who.address}",
        "PayloadUUID": str(uuid.uuid5(_SPACE, who.address)).upper(),
        "PayloadDisplayName": servers.province,
        "PayloadOrganization": who.agency_name,
        "PayloadContent": [mail],
    }
    return plistlib.dumps(whole)
