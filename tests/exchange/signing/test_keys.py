# SPDX-License-Identifier: AGPL-3.0-or-later
"""The sealed key files and what provisioning leaves on the disk."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from config.refusal import Refused
from exchange.signing.keys import KeyMissing, KeyStore, KeyUnreadable, make_secret
from exchange.signing.provision import export_agency_key
from tests.exchange.signing.house import LEADER, OFFICE, House


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    make_secret(tmp_path / "secret")
    return KeyStore(tmp_path / "keys", tmp_path / "secret")


def test_keys_come_back(store: KeyStore, tmp_path: Path) -> None:
    keys = {
        "person:a@b.example": ec.generate_private_key(ec.SECP256R1()),
        "agency-sign:H12.01": rsa.generate_private_key(65537, 2048),
        "ledger": ed25519.Ed25519PrivateKey.generate(),
    }
    for name, key in keys.items():
        store.add(name, key, "file")
    again = KeyStore(tmp_path / "keys", tmp_path / "secret")
    assert sorted(again.names()) == sorted(keys)
    for name, key in keys.items():
        found, approval = again.get(name)
        assert found.public_key() == key.public_key()
        assert approval == "file"
    with pytest.raises(KeyUnreadable):
        again.elliptic("ledger")
    with pytest.raises(KeyMissing):
        again.get("tsa")
    with pytest.raises(Refused) as refused:
        again.add("ledger", keys["ledger"], "service")
    assert refused.value.code == "key-exists"


def test_a_file_can_be_neither_renamed_nor_given_an_easier_approval(store: KeyStore, tmp_path: Path) -> None:
    store.add("person:a@b.example", ec.generate_private_key(ec.SECP256R1()), "passkey")
    file = next((tmp_path / "keys").iterdir())
    sealed = file.read_bytes()
    file.with_name(file.name.replace("a@", "c@")).write_bytes(sealed)
    again = KeyStore(tmp_path / "keys", tmp_path / "secret")
    with pytest.raises(KeyUnreadable):
        again.get("person:c@b.example")
    file.write_bytes(sealed.replace(b'"passkey"', b'"file"'))
    with pytest.raises(KeyUnreadable):
        again.get("person:a@b.example")


def test_the_secret_is_needed(store: KeyStore, tmp_path: Path) -> None:
    store.add("tsa", ec.generate_private_key(ec.SECP256R1()), "service")
    make_secret(tmp_path / "other")
    with pytest.raises(KeyUnreadable):
        KeyStore(tmp_path / "keys", tmp_path / "other").get("tsa")
    (tmp_path / "short").write_bytes(b"short")
    for name in ("short", "missing"):
        with pytest.raises(KeyUnreadable):
            KeyStore(tmp_path / "keys", tmp_path / name)
    with pytest.raises(FileExistsError):
        make_secret(tmp_path / "secret")


def test_no_private_key_lies_in_clear(house: House) -> None:
    for file in house.places.keys.rglob("*"):
        if not file.is_file():
            continue
        data = file.read_bytes()
        assert b"PRIVATE KEY" not in data
        assert b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07" not in data  # the OID of P-256 in a PKCS #8
    for file in house.places.trust.rglob("*"):
        assert not file.is_file() or b"PRIVATE" not in file.read_bytes()


def test_openssl_verifies_every_certificate(house: House, tmp_path: Path) -> None:
    trust = house.places.trust
    lists = []
    for name in ("root", "issuing"):
        file = tmp_path / f"{name}.pem"
        subprocess.run(
            [
                "openssl",
                "crl",
                "-inform",
                "DER",
                "-in",
                str(trust / "crls" / f"{name}.crl"),
                "-out",
                str(file),
            ],
            check=True,
        )
        lists += ["-CRLfile", str(file)]
    leaves = [
        trust / "people" / f"{LEADER.address}.pem",
        trust / "agencies" / f"{OFFICE.code}.sign.pem",
        trust / "agencies" / f"{OFFICE.code}.encrypt.pem",
        trust / "tsa.pem",
        house.places.tls_certificate,
    ]
    said = subprocess.run(
        [
            "openssl",
            "verify",
            "-x509_strict",
            "-crl_check_all",
            *lists,
            "-CAfile",
            str(trust / "ca.pem"),
            "-untrusted",
            str(trust / "intermediate.pem"),
            *map(str, leaves),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stdout + said.stderr
    assert said.stdout.count(": OK") == len(leaves)
    server = subprocess.run(
        [
            "openssl",
            "verify",
            "-purpose",
            "sslserver",
            "-verify_hostname",
            "mail.camau.example",
            "-CAfile",
            str(trust / "ca.pem"),
            "-untrusted",
            str(trust / "intermediate.pem"),
            str(house.places.tls_certificate),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert server.returncode == 0, server.stderr


def test_an_exported_key_opens_with_openssl(house: House, tmp_path: Path) -> None:
    export_agency_key(house.store, house.directory, OFFICE.code, tmp_path / "keys" / "H12.01.pem")
    (tmp_path / "plain").write_bytes("văn bản".encode())
    recipient = house.places.trust / "agencies" / f"{OFFICE.code}.encrypt.pem"
    subprocess.run(
        [
            "openssl",
            "cms",
            "-encrypt",
            "-aes256",
            "-binary",
            "-in",
            "plain",
            "-out",
            "sealed.p7m",
            "-recip",
            str(recipient),
            "-keyopt",
            "ecdh_kdf_md:sha256",
        ],
        cwd=tmp_path,
        check=True,
    )
    opened = subprocess.run(
        ["openssl", "cms", "-decrypt", "-in", "sealed.p7m", "-recip", "keys/H12.01.pem"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    assert opened.stdout.decode() == "văn bản"
    with pytest.raises(KeyMissing):
        export_agency_key(house.store, house.directory, "H99", tmp_path / "none.pem")
