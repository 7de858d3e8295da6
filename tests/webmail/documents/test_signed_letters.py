# SPDX-License-Identifier: AGPL-3.0-or-later
"""Signed and encrypted letters on the pages: signed by the agency on sending, judged and opened on reading."""

from __future__ import annotations

import json
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from config.clock import now_us
from config.refusal import Refused
from congvan.main import main
from exchange.documents.packing import signing_chain
from exchange.sealing.secure_mail import encrypt_mail
from exchange.sealing.signed import signed_attributes
from exchange.signing.key_client import Keys
from exchange.signing.letters import PURPOSE
from exchange.signing.protocol import PersonApproval
from exchange.worker import acts
from mailserver.store import Ref
from tests.exchange.sealing.pgp import gpg, gpg_home, make_pair
from tests.webmail.conftest import Site
from tests.webmail.documents.conftest import CLERK, DRAFTER, LEADER, DocumentSite

OTHER_CLERK = "vt1@sonoivu.camau.example"


def _registry(site: Site, address: str) -> tuple[str, Ref]:
    agency = site.parts.accounts.agency(site.person(address).agency_code)
    registry = site.parts.accounts.by_address(agency.registry_address)
    box = site.province.store.find(registry.ref, "INBOX")
    assert box is not None
    return agency.registry_address, box


def _newest(site: Site, box: Ref) -> int:
    return max(row.uid for row in site.province.store.rows(box, 1, 1 << 31))


def test_the_registry_signs_and_the_reader_sees_it(documents: DocumentSite) -> None:
    sender, _ = _registry(documents, CLERK)
    receiver, box = _registry(documents, OTHER_CLERK)
    browser = documents.signed_in(CLERK)
    fields = {"from": sender, "to": receiver, "subject": "Họp giao ban", "body": "Kính gửi.", "sign": "1"}
    answer = browser.post("/compose", fields, page="/compose")
    assert answer.status_code == 302, answer.text
    reader = documents.signed_in(OTHER_CLERK)
    page = reader.get(f"/mail/registry/{_newest(documents, box)}").text
    assert "Chữ ký số: Hợp lệ" in page
    assert "smime.p7s" not in page
    assert "Kính gửi." in page


def test_an_encrypted_letter_is_opened_for_the_clerk(documents: DocumentSite) -> None:
    sender, _ = _registry(documents, CLERK)
    receiver, box = _registry(documents, OTHER_CLERK)
    exchange = documents.parts.exchange
    code = documents.person(CLERK).agency_code
    to = exchange.trust.encryption_certificate_of_agency(documents.person(OTHER_CLERK).agency_code)
    mail = (
        f"From: {sender}\r\nTo: {receiver}\r\nSubject: Tối mật\r\n".encode()
        .replace("ố".encode(), b"o")
        .replace("ậ".encode(), b"a")
        + b"Date: Sat, 28 Nov 2026 08:00:00 +0700\r\nMessage-ID: <9@a.example>\r\nMIME-Version: 1.0\r\n"
        + b"Content-Type: text/html; charset=us-ascii\r\n\r\n<p>Within the letter</p>\r\n"
    )
    sealed = encrypt_mail(
        mail,
        [to],
        signing_chain(exchange, code),
        lambda attributes: exchange.signer.sign_packet(code, attributes).signature,
    )
    uid = documents.bridge.wait(documents.province.store.append(box, sealed, 0, 1_700_000_000_000_000))
    reader = documents.signed_in(OTHER_CLERK)
    page = reader.get(f"/mail/registry/{uid}").text
    assert "Chữ ký số: Hợp lệ" in page
    assert "mở bằng khóa của cơ quan" in page
    assert re.search(r"<h1[^>]*>Toi mat", page)
    assert "Within the letter" in reader.get(f"/mail/registry/{uid}/body").text
    damaged = sealed[:-200] + b"AAAA" + sealed[-196:]
    uid = documents.bridge.wait(documents.province.store.append(box, damaged, 0, 1_700_000_000_000_000))
    page = reader.get(f"/mail/registry/{uid}").text
    assert "Within the letter" not in page + reader.get(f"/mail/registry/{uid}/body").text
    assert "Hợp lệ" not in page


def _send(site: DocumentSite, who: str, **fields: str) -> str:
    """Written on the page; what the page answers ("" when it was sent)."""
    answer = site.signed_in(who).post("/compose", {"body": "Kính gửi.", **fields}, page="/compose")
    return "" if answer.status_code == 302 else answer.text


def _inbox(site: Site, address: str) -> Ref:
    box = site.province.store.find(site.person(address).ref, "INBOX")
    assert box is not None
    return box


def _raw(site: Site, box: Ref) -> bytes:
    store = site.province.store
    return store.content(max(store.rows(box, 1, 1 << 31), key=lambda row: row.uid).blob)


def _by_command(
    site: DocumentSite, data: bytes, folder: Path, capsys: pytest.CaptureFixture[str], *more: str
) -> dict:  # type: ignore[type-arg]
    """What ``congvan verify --json`` says of a saved letter, with the root and the lists alone."""
    (folder / "letter.eml").write_bytes(data)
    trust = site.parts.exchange.trust.path
    words = ["verify", str(folder / "letter.eml"), "--trust", str(trust / "ca.pem"), "--json", *more]
    for one in sorted((trust / "crls").glob("*.crl")):
        words += ["--crl", str(one)]
    main([*words, "--require-revocation"])
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def test_a_person_signs_and_everybody_says_the_same(
    documents: DocumentSite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Page, command line and openssl on the one letter; altered, all three refuse it."""
    assert not _send(documents, LEADER, to=CLERK, subject="Họp giao ban", sign="1")
    box = _inbox(documents, CLERK)
    raw = _raw(documents, box)
    assert b"multipart/signed" in raw
    assert b'hp="clear"' in raw
    page = documents.signed_in(CLERK).get(f"/mail/inbox/{_newest(documents, box)}").text
    assert "Chữ ký số: Hợp lệ (leader VP)" in page
    told = _by_command(documents, raw, tmp_path, capsys)
    assert (told["verdict"], told["official"], told["signatures"][0]["signer"]) == (
        "TOTAL-PASSED",
        True,
        "leader VP",
    )
    ca = str(documents.parts.exchange.trust.path / "ca.pem")
    check = ["openssl", "cms", "-verify", "-in", str(tmp_path / "letter.eml"), "-CAfile", ca]
    assert subprocess.run(check, capture_output=True, check=False).returncode == 0

    at = raw.index(b"\r\n\r\n", raw.index(b'hp="clear"')) + 6
    altered = raw[:at] + bytes((raw[at] ^ 1,)) + raw[at + 1 :]
    uid = documents.bridge.wait(documents.province.store.append(box, altered, 0, 1_700_000_000_000_000))
    page = documents.signed_in(CLERK).get(f"/mail/inbox/{uid}").text
    assert "Chữ ký số: Không hợp lệ" in page
    told = _by_command(documents, altered, tmp_path, capsys)
    assert (told["verdict"], told["signatures"][0]["sub_indication"]) == ("TOTAL-FAILED", "HASH_FAILURE")
    assert subprocess.run(check, capture_output=True, check=False).returncode != 0


def test_who_has_no_key_of_its_own_sends_unsigned(documents: DocumentSite) -> None:
    assert 'name="sign"' not in documents.signed_in(DRAFTER).get("/compose").text
    assert "không ký số được" in _send(documents, DRAFTER, to=CLERK, subject="x", sign="1")
    page = documents.signed_in(LEADER).get("/compose").text
    assert 'name="sign"' in page
    assert 'name="encrypt"' not in page
    assert "Chỉ mã hóa được" in _send(documents, LEADER, to=CLERK, subject="x", encrypt="1")


def test_a_key_with_a_passkey_signs_no_letter(documents: DocumentSite) -> None:
    """The signer itself refuses, and an approval that is for another letter, person or purpose."""
    exchange = documents.parts.exchange
    certificate = exchange.trust.certificate_of_person(LEADER)
    assert certificate is not None
    attributes = signed_attributes(certificate, bytes(32), datetime.now(UTC))

    def ask(**changed: str) -> str:
        told = {"id": "1", "by": LEADER, "document": "00" * 32, "mode": "file", "purpose": PURPOSE} | changed
        with pytest.raises(Refused) as refused:
            exchange.signer.sign_letter(LEADER, PersonApproval(at=now_us(), **told), attributes)
        return refused.value.code

    assert ask(purpose="sign") == "approval-incomplete"
    assert ask(by=CLERK) == "approval-incomplete"
    assert ask(document="11" * 32) == "approval-incomplete"
    assert ask(mode="passkey") == "letters-not-signed"
    who = documents.person(LEADER)
    Keys(exchange.signer).person(
        who.address, who.name, who.title, who.agency_name, "t", approval="passkey", renew=True
    )
    assert ask() == "letters-not-signed"
    assert 'name="sign"' not in documents.signed_in(LEADER).get("/compose").text


def test_the_registry_encrypts_to_registries(
    documents: DocumentSite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing of it lies in clear, not even the subject; both registries' clerks open it, the sender's own copy too."""
    sender, _ = _registry(documents, CLERK)
    receiver, box = _registry(documents, OTHER_CLERK)
    fields = {"from": sender, "subject": "Nội dung kín", "encrypt": "1"}
    text = _send(documents, CLERK, to=f"{receiver}, {DRAFTER}", **fields)
    assert f"{DRAFTER} không có chứng thư" in text
    assert not _send(documents, CLERK, to=receiver, **fields)
    raw = _raw(documents, box)
    assert b"smime-type=enveloped-data" in raw
    assert b"Subject: [...]\r\n" in raw
    page = documents.signed_in(OTHER_CLERK).get(f"/mail/registry/{_newest(documents, box)}").text
    for words in ("Chữ ký số: Hợp lệ", "mở bằng khóa của cơ quan", "Nội dung kín", "Kính gửi."):
        assert words in page
    sent = documents.province.store.find_use(documents.parts.accounts.by_address(sender).ref, "\\Sent")
    assert sent is not None
    own = documents.signed_in(CLERK).get(f"/mail/registry-sent/{_newest(documents, sent)}")
    assert "Nội dung kín" in own.text, own.status_code
    told = _by_command(documents, raw, tmp_path, capsys)
    assert (told["verdict"], told["encryption"]) == ("INDETERMINATE", "failed")


def test_an_openpgp_letter_to_the_agency_is_opened_for_the_clerk(documents: DocumentSite) -> None:
    """Encrypted and signed by gpg to the agency's key, whose private half is with the signer alone."""
    receiver, box = _registry(documents, CLERK)
    table = acts(documents.parts.exchange)
    ours = table["openpgp.issue"](agency="H12.01", renew=False, by="t")
    with gpg_home() as home:
        pair = make_pair(home, "Nguoi gui <a@ngoai.example>")
        folder = documents.parts.exchange.trust.path / "openpgp"
        folder.mkdir()
        (folder / "a.asc").write_bytes(pair.public)
        assert gpg(home, "--import", data=ours["armour"].encode()).returncode == 0
        inner = b"Content-Type: text/plain\r\n\r\nWithin the letter\r\n"
        words = ("-a", "--encrypt", "--sign", "-u", pair.fingerprint, "-r", ours["fingerprint"])
        sealed = gpg(home, *words, data=inner).stdout.replace(b"\n", b"\r\n")
    mail = (
        f"From: a@ngoai.example\r\nTo: {receiver}\r\nSubject: x\r\nDate: Sat, 28 Nov 2026 08:00:00 +0700\r\n"
        "Message-ID: <8@a.example>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/encrypted; boundary=y;\r\n"
        ' protocol="application/pgp-encrypted"\r\n\r\n--y\r\nContent-Type: application/pgp-encrypted\r\n\r\n'
        "Version: 1\r\n--y\r\nContent-Type: application/octet-stream\r\n\r\n"
    ).encode()
    put = documents.province.store.append
    uid = documents.bridge.wait(put(box, mail + sealed + b"\r\n--y--\r\n", 0, 1_700_000_000_000_000))
    page = documents.signed_in(CLERK).get(f"/mail/registry/{uid}").text
    assert "Chữ ký số: Hợp lệ (Nguoi gui)" in page
    assert "Within the letter" in page
    lines = sealed.split(b"\r\n")
    lines[8] = lines[8][::-1]
    uid = documents.bridge.wait(
        put(box, mail + b"\r\n".join(lines) + b"\r\n--y--\r\n", 0, 1_700_000_000_000_001)
    )
    page = documents.signed_in(CLERK).get(f"/mail/registry/{uid}").text
    assert "Within the letter" not in page
    assert "Hợp lệ" not in page
