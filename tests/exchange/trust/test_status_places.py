# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where our certificates say that their status is served: each kind, with and without a base, after a new authority key."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID as Ways

from config.refusal import Refused
from exchange.receipts.log_key import log_certificate
from exchange.trust import authority as ca
from exchange.trust.directory import TrustDirectory
from exchange.trust.status_places import checked_base, key_id
from policy.ledger.checkpoint import Key

BASE = "http://pki.tinh.example"


def addresses(certificate: x509.Certificate) -> dict[str, str]:
    told = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    names = {Ways.OCSP: "ocsp", Ways.CA_ISSUERS: "issuer"}
    found = {names[one.access_method]: one.access_location.value for one in told}
    ((name,),) = [point.full_name for point in points]
    return found | {"list": name.value}


def issued(issuing: ca.Authority) -> dict[str, x509.Certificate]:
    """One of each kind."""
    key = ca.new_key().public_key()
    body = {"agency": "Sở Nội vụ", "address": "vanthu@a.example"}
    person = {**body, "title": "Giám đốc", "name": "Nguyễn A"}
    ledger = Key("a/ledger", b"x" * 32)
    return {
        "person": ca.person_certificate(issuing, key, **person),
        "seal": ca.agency_signing_certificate(issuing, key, code="H12.02", **body),
        "decrypt": ca.agency_encryption_certificate(issuing, key, code="H12.02", **body),
        "tsa": ca.timestamp_certificate(issuing, key, name="TSA", organisation="Tỉnh"),
        "passkey": ca.passkey_certificate(issuing, key, host="a.example", **person),
        "tls": ca.tls_certificate(issuing, key, dns_names=["a.example"]),
        "ledger": log_certificate(issuing, ledger, "Tỉnh"),
    }


def test_every_certificate_names_ocsp_issuer_and_list() -> None:
    root = ca.make_root("Root", "Tỉnh", status_url=BASE)
    issuing = ca.make_issuing(root, "Issuing", "Tỉnh")
    name = key_id(issuing.certificate)
    expected = {
        "ocsp": f"{BASE}/ocsp",
        "issuer": f"{BASE}/ca/{name}.crt",
        "list": f"{BASE}/crl/{name}.crl",
    }
    for kind, certificate in issued(issuing).items():
        assert addresses(certificate) == expected, kind
    above = key_id(root.certificate)
    assert addresses(issuing.certificate) == {
        "issuer": f"{BASE}/ca/{above}.crt",
        "list": f"{BASE}/crl/{above}.crl",
    }
    with pytest.raises(x509.ExtensionNotFound):
        addresses(root.certificate)


def test_without_a_base_nothing_is_named() -> None:
    issuing = ca.make_issuing(ca.make_root("Root", "Tỉnh"), "Issuing", "Tỉnh")
    about = (x509.AuthorityInformationAccess, x509.CRLDistributionPoints)
    for kind, certificate in {**issued(issuing), "issuing": issuing.certificate}.items():
        assert not any(isinstance(one.value, about) for one in certificate.extensions), kind


@pytest.mark.parametrize(
    "base", ["https://a.example", "a.example", "ftp://a.example", "http://", "http://a.example/?x=1"]
)
def test_what_can_not_be_followed_is_refused_before_it_is_written_anywhere(base: str) -> None:
    with pytest.raises(Refused, match="bad-status-url"):
        checked_base(base)


def test_a_base_loses_its_last_slash() -> None:
    assert checked_base(f"{BASE}/tinh/") == f"{BASE}/tinh"
    assert checked_base("") == ""


def test_an_authority_with_a_new_key_keeps_the_addresses_of_the_old(tmp_path: Path) -> None:
    root = ca.make_root("Root", "Tỉnh", status_url=BASE)
    old, new = (ca.make_issuing(root, "Issuing", "Tỉnh") for _ in range(2))
    directory = TrustDirectory(tmp_path)
    directory.create()
    directory.put("ca", [root.certificate])
    directory.put("intermediate", [new.certificate])
    directory.put("intermediates/old", [old.certificate])
    lists = {name: ca.make_crl(one, 1) for name, one in (("root", root), ("issuing", new), ("old", old))}
    for name, made in lists.items():
        directory.put_crl(name, made)
    for name, one in (("root", root), ("issuing", new), ("old", old)):
        key = key_id(one.certificate)
        assert directory.authority_named(key) == one.certificate
        assert directory.list_named(key) == lists[name]
    assert directory.list_named("issuing") == lists["issuing"]
    assert directory.list_named("root") == lists["root"]
    for wrong in ("", "old", "../ca", "00"):
        assert directory.list_named(wrong) is None
        assert directory.authority_named(wrong) is None
