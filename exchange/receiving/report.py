# SPDX-License-Identifier: AGPL-3.0-or-later
"""The validation report: what was found on receipt, kept and signed by the receiving agency (EN 319 102-1 §5.1.3).

Judged once: later pages show this report and do not judge anew, so an authority that ends or a validator that
changes does not rewrite what was known. It names the moment, the bytes by digest, each layer's verdict with
certificates by digest, and what each validator said. Its signature is a statement of the agency's seal
(``signing.statement``, label ``validation-report``).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from cryptography import x509

from exchange.exchange import Exchange
from exchange.signing.statement import verify_statement
from exchange.trust.verdict import SignatureVerdict, Verdict
from mailserver.accounts import Agency

LABEL = "validation-report"
FORMAT = 1
_LONGEST = 100_000


def signed_report(
    exchange: Exchange, agency: Agency, packet: str, layers: Sequence[tuple[str, Verdict]]
) -> bytes:
    """The report file (JSON) on the packet with this digest. Raises `Refused`, `Unavailable`."""
    body = _body(agency.code, packet, layers, datetime.now(UTC))
    signature = exchange.signer.sign_statement(agency.code, LABEL, body).signature
    told = {
        "congvan_report": FORMAT,
        "body": body.decode(),
        "signature": base64.b64encode(signature).decode(),
    }
    return json.dumps(told, ensure_ascii=False).encode()


def read_report(data: bytes, certificate: x509.Certificate) -> dict[str, Any] | None:
    """What a report says, when the holder of ``certificate`` signed it; else ``None``."""
    try:
        told = json.loads(data)
        body, signature = told["body"].encode(), base64.b64decode(told["signature"], validate=True)
        if told["congvan_report"] != FORMAT or not verify_statement(certificate, LABEL, body, signature):
            return None
        found: dict[str, Any] = json.loads(body)
        return found
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _body(code: str, packet: str, layers: Sequence[tuple[str, Verdict]], at: datetime) -> bytes:
    every = [_layer(name, verdict) for name, verdict in layers]
    told = {"by": code, "packet": packet, "at": at.isoformat(timespec="seconds"), "layers": every}
    body = json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    for layer in reversed(every):  # hundreds of signatures: the verdicts stay, their lines go
        if len(body) <= _LONGEST:
            break
        layer["signatures"] = []
        body = json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    return body


def _layer(name: str, verdict: Verdict) -> dict[str, Any]:
    return {
        "name": name[:200],
        "kind": verdict.kind,
        "verdict": verdict.verdict,
        "sub_indication": verdict.sub_indication,
        "reason": verdict.reason[:500],
        "official": verdict.official,
        "signatures": [_line(one) for one in verdict.signatures],
    }


def _line(one: SignatureVerdict) -> dict[str, Any]:
    return {
        **one.as_json(),
        "certificate_sha256": hashlib.sha256(one.certificate).hexdigest() if one.certificate else "",
        "validators": dict(one.opinions),
    }
