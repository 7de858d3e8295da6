# SPDX-License-Identifier: AGPL-3.0-or-later
"""The clerk's yes to the seal by passkey: it names the person-signed file, the register row and the template."""

from __future__ import annotations

import secrets

from config.clock import now_us
from config.refusal import Refused
from exchange.documents import annexes, files, joint_seal, sealed
from exchange.documents.model import DocumentRef
from exchange.documents.states import WrongState
from exchange.documents.work import load
from exchange.exchange import Exchange
from exchange.signing.phone.approval import NOTHING_SHOWN, Statement
from mailserver.accounts import Account
from policy.rights import relation, require


def statements(exchange: Exchange, ref: DocumentRef, clerk: Account) -> list[Statement]:
    """What ``clerk`` is asked to say yes to: the document, each attachment. Raises `Refused`.

    The issuing agency's clerk for a numbered document, that of a jointly issuing agency at its turn.
    """
    document = load(exchange, ref)
    row = sealed.row_of(document).name
    if document.state == "sealing":
        joint_seal.waiting_turn(exchange, document, clerk)
        with exchange.database.reading() as conn:
            before = files.newest(conn, exchange.seal, ref, "sealing")
        return [_statement(clerk, before.sha256, row, sealed.TEMPLATE)]
    require(clerk.role, "document.issue", relation(clerk.agency_code, document.partner))
    if document.state != "numbered":
        raise WrongState(document.state)
    with exchange.database.reading() as conn:
        signed = files.newest(conn, exchange.seal, ref, "signed")
    attached = enumerate(annexes.listing(exchange, ref), 1)
    return [
        _statement(clerk, signed.sha256, row, sealed.TEMPLATE),
        *(
            _statement(clerk, one.sha256, annexes.row_name(row, number), annexes.TEMPLATE)
            for number, one in attached
        ),
    ]


def _statement(clerk: Account, digest: str, row: str, template: str) -> Statement:
    return Statement.read(
        {
            "purpose": "seal",
            "signer": clerk.address,
            "document": digest,
            "shown": NOTHING_SHOWN,
            "at": now_us(),
            "id": secrets.token_hex(16),
            "row": row,
            "template": template,
        }
    )


def approval_needed() -> Refused:
    """The refusal when the seal waits for the clerk's passkey."""
    return Refused(
        "seal-approval-needed",
        "Đã cấp số. Con dấu cần xác nhận bằng khóa truy cập: mở văn bản và bấm “Đóng dấu bằng khóa truy cập”.",
        "The number is given. The seal needs your passkey: open the document and press “Seal with a passkey”.",
    )
