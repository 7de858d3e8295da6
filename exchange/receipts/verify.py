# SPDX-License-Identifier: AGPL-3.0-or-later
"""Judging a receipt with nothing but the file and trust anchors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cryptography import x509

from config.clock import to_utc
from exchange.edxml.codes import to_new_code
from exchange.receipts.log_key import log_key_of
from exchange.receipts.receipt import ACT_LABEL, NotReceipt, Receipt, act_body, read_receipt
from exchange.sealing.judging import Judging, signature_verdict
from exchange.signing.statement import verify_statement
from exchange.trust.chain import ChainResult, Usage
from exchange.trust.subject import subject_of
from exchange.trust.verdict import (
    FAILED,
    INDETERMINATE,
    PASSED,
    UNREADABLE,
    Outcome,
    SignatureVerdict,
    Verdict,
    worst,
)
from policy.ledger.checkpoint import Key
from policy.ledger.receipt import ReceiptWrong, verify, verify_disclosure

_Line = tuple[SignatureVerdict, str]


def verify_receipt(data: bytes, judging: Judging, known_logs: Iterable[Key] = ()) -> Verdict:
    """The verdict on a receipt file; never raises for what the bytes are.

    TOTAL-PASSED: the entry is in the log, document and event are what it committed to, the log's key is
    certified (or, when the receipt carries no certificate for it, among ``known_logs``), and a person's
    act is signed by the agency it names.
    """
    try:
        receipt = read_receipt(data)
    except NotReceipt as problem:
        return Verdict("receipt", UNREADABLE, problem.en, sub_indication="FORMAT_FAILURE")
    return judge_receipt(receipt, judging, known_logs)


def judge_receipt(receipt: Receipt, judging: Judging, known_logs: Iterable[Key] = ()) -> Verdict:
    """As ``verify_receipt``, for a receipt already read."""
    try:
        key = Key.parse(receipt.log_vkey)
        if key.vkey != receipt.log_vkey:
            return _failed("log: vkey", "FORMAT_FAILURE")
        proved = verify(receipt.proof, key)
        verify_disclosure(proved.leaf, receipt.nonce, receipt.document, receipt.event.detail())
    except (ReceiptWrong, ValueError) as problem:
        return _failed(f"entry: {problem}", "HASH_FAILURE")
    if proved.leaf.kind != receipt.event.kind:
        return _failed("entry: kind", "HASH_FAILURE")
    lines = [_judge_log(receipt, key, judging, known_logs)]
    if receipt.act is not None:
        lines.append(_judge_act(receipt, judging))
    elif receipt.event.personal:
        lines.append(
            (signature_verdict(None, INDETERMINATE, "NO_SIGNING_CERTIFICATE_FOUND"), "act: no signature")
        )
    signatures = tuple(line for line, _ in lines)
    outcome = worst(one.verdict for one in signatures)
    reason = next((why for line, why in lines if line.verdict == outcome), "")
    sub = next((line.sub_indication for line, _ in lines if line.verdict == outcome), "")
    return Verdict(
        "receipt",
        outcome,
        reason if outcome != PASSED else "",
        official=outcome == PASSED,
        signatures=signatures,
        fields=_fields(receipt),
        sub_indication=sub,
    )


def _judge_log(receipt: Receipt, key: Key, judging: Judging, known: Iterable[Key]) -> _Line:
    at = to_utc(receipt.leaf.at_us)
    certificates = receipt.log_certificates
    if not certificates:
        outcome: Outcome = PASSED if key in set(known) else INDETERMINATE
        sub = "" if outcome == PASSED else "NO_SIGNING_CERTIFICATE_FOUND"
        time = at.isoformat(timespec="seconds")
        return SignatureVerdict(key.name, "", "organisation", time, outcome, sub), "log: key not known"
    if log_key_of(certificates[0]) != key:
        return signature_verdict(certificates[0], FAILED, "CHAIN_CONSTRAINTS_FAILURE"), "log: certificate"
    chain = _chain(certificates, judging, receipt, "any")
    line = signature_verdict(certificates[0], chain.status, chain.sub_indication, claimed=at, chain=chain)
    return line, f"log: {chain.sub_indication}"


def _judge_act(receipt: Receipt, judging: Judging) -> _Line:
    act = receipt.act
    if act is None or not act.certificates:
        return signature_verdict(None, INDETERMINATE, "NO_SIGNING_CERTIFICATE_FOUND"), "act: no certificate"
    own = act.certificates[0]
    at = to_utc(receipt.leaf.at_us)
    body = act_body(receipt.document, receipt.event)
    if not verify_statement(own, ACT_LABEL, body, act.signature):
        return signature_verdict(own, FAILED, "SIG_CRYPTO_FAILURE", claimed=at), "act: signature"
    chain = _chain(act.certificates, judging, receipt, "sign")
    outcome, sub = chain.status, chain.sub_indication
    subject = subject_of(own)
    if outcome == PASSED and (
        subject.role != "organisation" or to_new_code(subject.code) != to_new_code(receipt.event.issuer)
    ):
        outcome, sub = FAILED, "SEAL_OF_OTHER_AGENCY"
    return signature_verdict(own, outcome, sub, claimed=at, chain=chain), f"act: {sub}"


def _chain(
    certificates: Sequence[x509.Certificate], judging: Judging, receipt: Receipt, usage: Usage
) -> ChainResult:
    """The chain; every certificate carried must stand in it, or a byte of the receipt would be uncovered.

    Judged as of the entry, or of the beginning of the certificates when they are younger: a key that came later
    signed later, over entries of before it.
    """
    moments = [to_utc(receipt.leaf.at_us)]
    if usage == "any":
        moments += [one.not_valid_before_utc for one in certificates]
    chain = judging.chain(certificates[0], certificates[1:], max(moments), usage)
    if chain.status == PASSED and any(one not in chain.path for one in certificates):
        return ChainResult(FAILED, "FORMAT_FAILURE", chain.revocation, chain.path)
    return chain


def _fields(receipt: Receipt) -> dict[str, object]:
    leaf = receipt.leaf
    return {
        "document": receipt.document,
        **receipt.event.detail(),
        "time": to_utc(leaf.at_us).isoformat(timespec="seconds"),
        "index": leaf.index,
    }


def _failed(reason: str, sub: str) -> Verdict:
    return Verdict("receipt", FAILED, reason, sub_indication=sub)
