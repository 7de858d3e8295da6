# SPDX-License-Identifier: AGPL-3.0-or-later
"""The validation report: what was found on a document at one moment, signed by who judged (EN 319 102-1 §5.1.3).

One JSON file: ``body`` (moment, digest of the packet, each layer's verdict, certificates by digest, what each
validator said), the signature of the agency's seal over it (``signing.statement``, label ``validation-report``),
the seal's certificates, and the signers' certificates that the body names. It stands alone: years later it is
read with the roots only, judged as of its own moment.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from exchange.sealing.judging import Judging
from exchange.signing.statement import verify_statement
from exchange.trust.chain import validate_chain
from exchange.trust.subject import subject_of
from exchange.trust.verdict import FAILED, PASSED, UNREADABLE, SignatureVerdict, Verdict
from exchange.verifying.layers import Layer, decisive

LABEL = "validation-report"
FORMAT = 2
SUFFIX = ".report.json"
LARGEST = 4_000_000
_LONGEST_BODY = 100_000
_MOST_CERTIFICATES = 200


@dataclass(frozen=True, slots=True)
class Report:
    """Who judged (an agency's code), what (digest of the packet), when, and the verdict on each layer, outside in.

    ``whole``: False when lines of hundreds of signatures were left out.
    """

    by: str
    packet: str
    at: datetime
    layers: tuple[Layer, ...]
    whole: bool

    @property
    def verdict(self) -> Verdict:
        """The layers made into one verdict, of kind ``report``."""
        outcome, reason, sub = decisive(self.layers)
        files = [verdict for _, verdict in self.layers if verdict.kind == "pdf"]
        return Verdict(
            "report",
            outcome,
            reason,
            official=outcome == PASSED
            and any(one.official for one in files)
            and all(one.official or one.attachment for one in files),
            signatures=tuple(line for _, verdict in self.layers for line in verdict.signatures),
            fields={"by": self.by, "at": self.at.isoformat(), "packet": self.packet},
            sub_indication=sub,
        )


def write_report(
    by: str,
    packet: str,
    at: datetime,
    layers: Sequence[Layer],
    chain: Sequence[x509.Certificate],
    sign: Callable[[str, bytes], bytes],
) -> bytes:
    """The file. ``sign`` gives the seal's signature over a statement; ``chain``: its certificate, then its issuer's."""
    body = _body(by, packet, at, layers)
    named = {
        _digest(line.certificate): line.certificate
        for _, verdict in layers
        for line in verdict.signatures
        if line.certificate
    }
    told = {
        "congvan_report": FORMAT,
        "body": body.decode(),
        "signature": _text(sign(LABEL, body)),
        "chain": [_text(one.public_bytes(Encoding.DER)) for one in chain],
        "certificates": [_text(one) for one in list(named.values())[:_MOST_CERTIFICATES]],
    }
    return json.dumps(told, ensure_ascii=False).encode()


def read_report(data: bytes, judging: Judging) -> Report | None:
    """What a report says, when the seal of the agency it names signed it and that certificate stood then; else None."""
    try:
        told = json.loads(data[: LARGEST + 1])
        body, signature = told["body"].encode(), base64.b64decode(told["signature"], validate=True)
        chain = _certificates(told["chain"])
        if told["congvan_report"] != FORMAT or not verify_statement(chain[0], LABEL, body, signature):
            return None
        said = json.loads(body)
        at = datetime.fromisoformat(said["at"])
        subject = subject_of(chain[0])
        if subject.role != "organisation" or subject.code != said["by"] or at.tzinfo is None:
            return None
        if validate_chain(chain[0], chain[1:], judging.anchors, at).status != PASSED:
            return None
        certificates = {_digest(one): one for one in map(_bytes, told["certificates"][:_MOST_CERTIFICATES])}
        layers = tuple((str(one["name"]), _verdict(one, certificates)) for one in said["layers"])
        return Report(said["by"], said["packet"], at, layers, bool(said["whole"]))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return None


def verify_report(data: bytes, judging: Judging) -> Verdict:
    """The verdict that the report holds; TOTAL-FAILED when nobody we trust signed it so."""
    found = read_report(data, judging)
    if found is not None:
        return found.verdict
    try:
        if json.loads(data[: LARGEST + 1])["congvan_report"] != FORMAT:
            return Verdict("report", UNREADABLE, "a report of another form")
    except (ValueError, KeyError, TypeError, RecursionError):
        return Verdict("report", UNREADABLE, "not a validation report")
    why = "the signature of the agency on the report does not stand"
    return Verdict("report", FAILED, why, sub_indication="SIG_CRYPTO_FAILURE")


def _body(by: str, packet: str, at: datetime, layers: Sequence[Layer]) -> bytes:
    every = [_layer(name, verdict) for name, verdict in layers]
    told = {
        "by": by,
        "packet": packet,
        "at": at.isoformat(timespec="seconds"),
        "layers": every,
        "whole": True,
    }
    body = _json(told)
    for layer in reversed(every):  # hundreds of signatures: the verdicts stay, their lines go
        if len(body) <= _LONGEST_BODY:
            break
        layer["signatures"], told["whole"] = [], False
        body = _json(told)
    return body


def _json(told: dict[str, Any]) -> bytes:
    return json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


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
        "stamped": one.stamped,
        "initials": one.initials,
        "authority": one.authority,
        "certificate_sha256": _digest(one.certificate) if one.certificate else "",
        "validators": dict(one.opinions),
    }


def _verdict(told: dict[str, Any], certificates: dict[str, bytes]) -> Verdict:
    lines = []
    for one in told["signatures"]:
        opinions = tuple(one.pop("validators").items())
        certificate = certificates.get(one.pop("certificate_sha256"), b"")
        lines.append(SignatureVerdict(**one, certificate=certificate, opinions=opinions))
    return Verdict(
        told["kind"],
        told["verdict"],
        told["reason"],
        official=told["official"],
        signatures=tuple(lines),
        sub_indication=told["sub_indication"],
    )


def _certificates(told: Iterable[str]) -> list[x509.Certificate]:
    return [x509.load_der_x509_certificate(_bytes(one)) for one in list(told)[:5]]


def _digest(certificate: bytes) -> str:
    return hashlib.sha256(certificate).hexdigest()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
