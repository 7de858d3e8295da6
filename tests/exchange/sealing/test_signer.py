# SPDX-License-Identifier: AGPL-3.0-or-later
"""Packets, XML signatures and opening with keys that never leave the signer's operations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exchange.edxml.write import write
from exchange.receipts.receipt import ACT_LABEL, Event, act_body
from exchange.sealing.judging import Judging
from exchange.sealing.packet import Sender, build_packet, open_packet
from exchange.sealing.recipients import signer_opener
from exchange.sealing.xml_signature import sign, verify
from exchange.signing.keys import KeyStore
from exchange.signing.operations import Operations
from exchange.signing.provision import AgencyKeys, Places, provision
from exchange.signing.statement import verify_statement
from exchange.trust.directory import TrustDirectory
from tests.exchange.edxml.samples import document


class _Answer:
    def __init__(self, values: dict[str, Any]) -> None:
        self.key: bytes = values["key"]


class _Client:
    """The signer's operations without the socket between."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    def unwrap(self, code: str, purpose: str, **values: Any) -> _Answer:
        given = {name: value for name, value in values.items() if value != ""}
        return _Answer(self._operations.op_unwrap({"code": code, "purpose": purpose, **given}))


def test_with_the_signer(tmp_path: Path) -> None:
    places = Places(tmp_path / "keys", tmp_path / "secret", tmp_path / "trust")
    agencies = [AgencyKeys("H12.01", "Văn phòng", "vt@a.example"), AgencyKeys("H12.11", "Sở", "vt@b.example")]
    provision(places, province="Thử", origin="thu/ledger", tls_name="t", agencies=agencies, people=[])
    directory = TrustDirectory(places.trust)
    operations = Operations(KeyStore(places.keys, places.secret), directory, tmp_path, "thu/ledger")
    own, issuer = directory.signing_certificate_of_agency("H12.01"), directory.issuing_certificate()
    theirs = directory.encryption_certificate_of_agency("H12.11")
    if own is None or issuer is None or theirs is None:
        pytest.fail("provisioning made no certificates")

    def packet_signature(attributes: bytes) -> bytes:
        values = operations.op_sign_packet({"code": "H12.01", "signed_attrs": attributes})
        return bytes(values["signature"])

    def xml_signature(info: bytes) -> bytes:
        return bytes(operations.op_sign_xml({"code": "H12.01", "signed_info": info})["signature"])

    judging = Judging(directory.anchors(), require_revocation=True)
    edxml = sign(write(document()), (own, issuer), xml_signature)
    assert verify(edxml, judging).outcome == "TOTAL-PASSED"
    sender = Sender("vt@a.example", (own, issuer), packet_signature)
    built = build_packet(edxml, sender, [("vt@b.example", theirs)])
    opener = signer_opener(_Client(operations), "H12.11", theirs, "receive")
    opened = open_packet(built.mail, [opener], judging)
    assert (opened.signature.outcome, opened.edxml) == ("TOTAL-PASSED", edxml)
    body = act_body("id", Event("registered", "03", "d", "H12.01", "H12.11", "H12.01"))
    said = operations.op_sign_statement({"code": "H12.01", "label": ACT_LABEL, "body": body})
    assert verify_statement(own, ACT_LABEL, body, said["signature"])
    operations.close()
