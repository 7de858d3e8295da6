# SPDX-License-Identifier: AGPL-3.0-or-later
"""``authority renew``: after each of the three keys was renewed, what the earlier ones signed stays verifiable, and work goes on."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from config.refusal import Refused
from exchange.documents.work import judging
from exchange.signing.keys import KeyMissing, KeyStore
from exchange.signing.provision import succeed_issuing
from exchange.trust.chain import validate_chain
from exchange.trust.verdict import PASSED
from exchange.verifying.evidence import verify_evidence
from exchange.verifying.file import verify_file
from exchange.worker import acts
from policy.ledger.checkpoint import Checkpoint
from policy.ledger.verify import verify
from tests.exchange.documents.office import Office
from tests.exchange.receiving.carrying import (
    CLERK,
    RECEIVER,
    arrivals,
    issue,
    issued_pdf,
    outcome,
    round_trip,
)


def renew(office: Office, which: str) -> dict[str, Any]:
    told: dict[str, Any] = acts(office.exchange)["authority.renew"](which=which, by="t")
    office.sequencer.sequence_once()
    return told


def accepted(office: Office, subject: str) -> tuple[dict[str, Any], bytes, bytes]:
    """A document issued and accepted now: (what was told, its PDF, its evidence)."""
    table = acts(office.exchange)
    told = issue(office, subject=subject)
    round_trip(office)
    table["document.accept"](document=told["id"], agency="H12.02", clerk=RECEIVER)
    round_trip(office)
    evidence = table["document.evidence"](document=told["id"], who=CLERK)["data"]
    return told, issued_pdf(office, told)[1], evidence


def holds(office: Office, pdf: bytes, evidence: bytes) -> None:
    """Both verify with our trust folder, and with nothing but the root's certificate."""
    exchange = office.exchange
    assert verify_file(pdf, anchors=exchange.trust.anchors(), require_revocation=True).official
    assert verify_evidence(evidence, judging(exchange), exchange.ledger_keys.all).passed
    (root,) = exchange.trust.own_roots()
    alone = type(exchange.trust.anchors())((root,))
    assert verify_file(pdf, anchors=alone).passed
    assert verify_file(evidence, "x.evidence", anchors=alone).passed


def test_what_was_signed_before_stays_and_work_goes_on(small_office: Office) -> None:
    office, exchange = small_office, small_office.exchange
    seen, kept = [], [accepted(office, "Trước")]
    for which in ("timestamps", "ledger", "issuing"):
        seen.append((exchange.settings.ledger_dir / "checkpoint").read_bytes())
        renew(office, which)
    acts(exchange)["key.issue"](agency="H12.02", person="", approval="", renew="both", by="t")
    kept.append(accepted(office, "Sau"))
    for told, pdf, evidence in kept:
        holds(office, pdf, evidence)
        assert outcome(office, told)[0] == "accepted"
        again = acts(exchange)["document.evidence"](document=told["id"], who=CLERK)["data"]
        holds(office, pdf, again)
    assert [one.state for one in arrivals(office)] == ["registered"] * 2
    first = exchange.ledger_keys.earlier[0]
    for key in (None, first, exchange.ledger_keys.present):
        report = verify(exchange.settings.ledger_dir, key, seen)
        assert report.ok, report.problems
    told = {one["use"]: one for one in acts(exchange)["authority.list"]()["items"]}
    assert set(told) == {"root", "issuing", "issuing (earlier)", "timestamps", "ledger"}
    assert told["issuing"]["name"] != told["issuing (earlier)"]["name"]


def test_both_issuing_authorities_answer_and_revoke(small_office: Office) -> None:
    exchange = small_office.exchange
    trust, signer = exchange.trust, exchange.signer
    old = trust.signing_certificate_of_agency("H12.01")
    gone = trust.signing_certificate_of_agency("H12.02")
    assert old is not None
    assert gone is not None
    signer.revoke(gone.serial_number, "superseded", "t")
    renew(small_office, "issuing")
    acts(exchange)["key.issue"](agency="H12.02", person="", approval="", renew="both", by="t")
    new = trust.signing_certificate_of_agency("H12.02")
    assert new is not None
    assert new.issuer != old.issuer

    def word(one: x509.Certificate) -> ocsp.OCSPCertStatus:
        (issuer,) = trust.issuers_of(one)
        asked = ocsp.OCSPRequestBuilder().add_certificate(one, issuer, hashes.SHA256()).build()
        return ocsp.load_der_ocsp_response(signer.ocsp(asked.public_bytes(Encoding.DER))).certificate_status

    def state(one: x509.Certificate) -> str:
        at = max(one.last_update_utc for one in trust.crls())
        return validate_chain(one, (), trust.anchors(), at, require_revocation=True).status

    good, revoked = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED
    assert [word(one) for one in (old, gone, new)] == [good, revoked, good]
    assert [state(one) == PASSED for one in (old, gone, new)] == [True, False, True]
    for one in (old, new):
        signer.revoke(one.serial_number, "keyCompromise", "t")
        assert word(one) == revoked
        assert state(one) != PASSED
    assert word(gone) == revoked


def test_an_interrupted_renewal_is_called_again(small_office: Office) -> None:
    """The new key is there, its certificate is not: nothing is issued meanwhile, the second call ends it."""
    exchange = small_office.exchange
    store = KeyStore(small_office.folder / "keys", small_office.folder / "signer.key")
    before = exchange.trust.issuing_certificate()
    succeed_issuing(store, exchange.trust)
    assert before is not None
    exchange.trust.put("intermediate", [before])
    made = succeed_issuing(
        KeyStore(small_office.folder / "keys", small_office.folder / "signer.key"), exchange.trust
    )
    assert made.certificate.public_key() == made.key.public_key()
    assert [one for one in store.names() if one.startswith("ca-issuing")] == ["ca-issuing", store_name(store)]


def store_name(store: KeyStore) -> str:
    return next(one for one in store.names() if one.startswith("ca-issuing~"))


def test_an_earlier_key_of_the_ledger_only_hands_over(small_office: Office) -> None:
    exchange = small_office.exchange
    first = exchange.ledger_keys.present
    renew(small_office, "ledger")
    state = Checkpoint(first.name, 9, hashlib.sha256(b"x").digest())
    assert exchange.ledger_keys.present.verify(state.body(), exchange.signer.checkpoint(state.body()))
    with pytest.raises(Refused) as refused:
        exchange.signer.checkpoint(state.body(), first.hash.hex())
    assert refused.value.code == "key-gave-way"


def test_without_the_roots_key_it_is_refused(small_office: Office) -> None:
    """The root's key may lie elsewhere: then another issuing authority can't be made here, and nothing changed."""
    folder, trust = small_office.folder, small_office.exchange.trust
    (folder / "keys" / "ca-root.key").unlink()
    before = trust.issuing_certificate()
    with pytest.raises(KeyMissing):
        succeed_issuing(KeyStore(folder / "keys", folder / "signer.key"), trust)
    assert trust.issuing_certificate() == before
    assert issue(small_office)["state"] == "sent"
