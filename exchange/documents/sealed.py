# SPDX-License-Identifier: AGPL-3.0-or-later
"""A seal, whichever agency gives it: the approval it rests on, the register row it is for, and its record."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from config.refusal import Refused
from exchange.documents import files, records, turns
from exchange.documents.model import Approval, Document
from exchange.documents.sign import approved
from exchange.documents.states import MOVES
from exchange.documents.turns import Turn
from exchange.exchange import Exchange
from exchange.registers.rows import RowKey
from exchange.signing.phone.approval import Approval as PasskeyApproval
from exchange.signing.protocol import SealApproval
from policy.ledger.leaf import JSON

NOT_STAMPED = "ns"
"""Status of the event of a seal without a time-stamp: `exchange.documents.late_stamps` looks for it."""
TEMPLATE = "congvan-seal-1"
"""What the seal puts on the page and locks; the approval names it."""


def approval_for(
    recorded: list[Approval], proofs: Sequence[PasskeyApproval], digest: str, row: str, template: str
) -> tuple[SealApproval, Approval]:
    """The yes to sealing the file with ``digest`` for ``row``, for the signer and as recorded. Raises `Refused`."""
    fitting = [one for one in proofs if one.statement.document == digest and one.statement.row == row]
    if fitting:
        said = fitting[0].statement
        yes = Approval(0, "seal", said.signer, said.document, "passkey", said.at, fitting[0].as_json())
        name = said.id
    else:
        yes, name = approved(recorded, "seal", digest), secrets.token_hex(16)
    return SealApproval(name, yes.by, digest, row, template, yes.at_us, yes.mode, yes.proof), yes


def row_of(document: Document) -> RowKey:
    """The row of the outgoing register that holds the document's number. Raises `Refused` before numbering."""
    if document.year is None or document.sequence is None or document.serial is None:
        raise Refused(
            "no-number", "Văn bản chưa được cấp số.", "The document has no number yet.", rule="R-REG-01"
        )
    return RowKey(document.ref.agency, "outgoing", document.year, document.sequence, document.serial)


def write(
    conn: sa.Connection,
    exchange: Exchange,
    document: Document,
    turn: Turn,
    move: str,
    written: Sequence[tuple[str, files.Written]],
    detail: Mapping[str, JSON],
    said: Sequence[Approval],
) -> None:
    """In the caller's transaction: the turn is done, the move made, the files kept (role, file), the entry written.

    ``said``: the passkey's approvals that allowed it, kept with it. ``detail`` says whether it is time-stamped.
    """
    ref, seal = document.ref, exchange.seal
    turns.finish(conn, ref, turn)
    records.advance(conn, seal, ref, move)
    for yes in said:
        records.add_approval(
            conn, seal, ref, "seal", yes.by, yes.digest, yes.at_us, mode=yes.mode, proof=yes.proof
        )
    for role, file in written:
        files.add(conn, seal, ref, role, file)
    records.add_event(
        conn,
        seal,
        ref,
        MOVES[move].entry,
        document.fields.document_id,
        dict(detail),
        partner=turn.code,
        status="" if detail["stamped"] == "yes" else NOT_STAMPED,
    )
