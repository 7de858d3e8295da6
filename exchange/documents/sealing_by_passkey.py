# SPDX-License-Identifier: AGPL-3.0-or-later
"""The clerk's yes to the seal by passkey: it names the person-signed file, the register row and the template."""

from __future__ import annotations

import secrets

from config.clock import now_us
from config.refusal import Refused
from exchange.documents import files, issue
from exchange.documents.model import DocumentRef
from exchange.documents.states import wrong_state
from exchange.documents.work import load
from exchange.exchange import Exchange
from exchange.signing.phone.approval import NOTHING_SHOWN, Statement
from mailserver.accounts import Account
from policy.rights import relation, require


def statement(exchange: Exchange, ref: DocumentRef, clerk: Account) -> Statement:
    """What ``clerk`` is asked to say yes to for a numbered document. Raises `Refused`."""
    document = load(exchange, ref)
    require(clerk.role, "document.issue", relation(clerk.agency_code, document.partner))
    if document.state != "numbered":
        raise wrong_state(document.state)
    with exchange.database.reading() as conn:
        signed = files.newest(conn, exchange.seal, ref, "signed")
    return Statement.read(
        {
            "purpose": "seal",
            "signer": clerk.address,
            "document": signed.sha256,
            "shown": NOTHING_SHOWN,
            "at": now_us(),
            "id": secrets.token_hex(16),
            "row": issue.row_of(document).name,
            "template": issue.TEMPLATE,
        }
    )


def approval_needed() -> Refused:
    """The refusal when the seal waits for the clerk's passkey."""
    return Refused(
        "seal-approval-needed",
        "Đã cấp số. Con dấu cần xác nhận bằng khóa truy cập: mở văn bản và bấm “Đóng dấu bằng khóa truy cập”.",
        "The number is given. The seal needs your passkey: open the document and press “Seal with a passkey”.",
    )
