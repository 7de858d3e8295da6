# SPDX-License-Identifier: AGPL-3.0-or-later
"""One file in, one verdict out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from io import BytesIO

from exchange.receipts.verify import verify_receipt
from exchange.sealing.judging import Judging
from exchange.sealing.openpgp import OpenPgp
from exchange.sealing.recipients import Opener
from exchange.trust.anchors import Anchors
from exchange.trust.verdict import UNREADABLE, Verdict
from exchange.verifying.cms import verify_cms
from exchange.verifying.detect import kind_of, unreadable_kind
from exchange.verifying.edxml import verify_edxml
from exchange.verifying.evidence import verify_evidence
from exchange.verifying.mail import verify_mail
from exchange.verifying.openpgp import verify_openpgp
from exchange.verifying.packet import verify_packet
from exchange.verifying.pdf import verify_pdf
from exchange.verifying.report import verify_report
from policy.ledger.checkpoint import Key

MAX_BYTES = 300_000_000


def verify_file(
    data: bytes,
    name: str = "",
    *,
    anchors: Anchors,
    openers: Sequence[Opener] = (),
    known_logs: Sequence[Key] = (),
    pgp_keys: Sequence[bytes] = (),
    require_revocation: bool = False,
    proved_at: datetime | None = None,
    now: datetime | None = None,
) -> Verdict:
    """Judge a PDF, mail, packet, edXML, receipt, report or evidence file; anything else is UNREADABLE.

    ``anchors`` holds roots, intermediates and revocation lists; ``openers`` decrypt; ``known_logs`` are log
    keys trusted without a certificate; ``pgp_keys`` are OpenPGP keys (armour) that count as their holders'; ``proved_at``
    is when the file is known to have existed; ``now`` is the moment to judge as of, when it is not this one.
    """
    judging = Judging(anchors, require_revocation, proved_at, now)
    kind = kind_of(data, name)
    if len(data) > MAX_BYTES:
        return Verdict(unreadable_kind(kind), UNREADABLE, "the file is too large")
    match kind:
        case "pdf":
            return verify_pdf(data, judging)
        case "edxml":
            return verify_edxml(data, judging)[0]
        case "packet":
            return verify_packet(data, judging, openers, known_logs, pgp_keys)[0]
        case "mail":
            if not pgp_keys:
                return verify_mail(data, judging, openers)
            with OpenPgp.temporary(pgp_keys) as gpg:
                return verify_mail(data, judging, openers, gpg)
        case "receipt":
            return verify_receipt(data, judging, known_logs)
        case "evidence":
            return verify_evidence(data, judging, known_logs, pgp_keys)
        case "cms":
            return verify_cms(BytesIO(data), judging, openers)
        case "report":
            return verify_report(data, judging)
        case "openpgp":
            return verify_openpgp(data, pgp_keys)[0]
        case _:
            return Verdict(unreadable_kind(kind), UNREADABLE, "the file is of no kind that is known here")
