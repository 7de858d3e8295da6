# SPDX-License-Identifier: AGPL-3.0-or-later
"""Makes the frozen corpus: ``python -m tests.corpus.make``, once. A throw-away PKI signs files of every format and outcome.

The files, the certificates, the moment of judging and what was found are committed; the keys that decrypt too, the
signing keys are thrown away. A new kind of file is a new file: what is there is never made again, because the suite judges
it anew with every change of a validator (``test_corpus``) and must find what was found.
"""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from exchange.edxml.write import write
from exchange.sealing import der
from exchange.sealing.ber import Node
from exchange.sealing.openpgp import OpenPgp
from exchange.sealing.recipients import opener_of
from exchange.sealing.sealed_file import seal_file
from exchange.sealing.secure_mail import encrypt_mail, pgp_encrypt_mail, pgp_sign_mail, sign_mail
from exchange.sealing.signed import sign_detached
from exchange.sealing.xml_signature import sign
from exchange.trust import authority as ca
from exchange.trust.anchors import Anchors, read_certificates, read_crls
from exchange.trust.verdict import Verdict
from exchange.verifying.file import verify_file
from tests.exchange.edxml.samples import document, sample
from tests.exchange.sealing.pgp import gpg_home, make_pair
from tests.exchange.sealing.province import Province, pem_of, run
from tests.exchange.verifying.issued import Issued, _now

HERE = Path(__file__).resolve().parent
FILES = HERE / "files"
EXPECTED = HERE / "expected.json"
MAIL = (
    b"From: vt@a.example\r\nTo: vt@b.example\r\nSubject: Thong bao\r\nDate: Sat, 28 Nov 2026 08:00:00 +0700\r\n"
    b"Message-ID: <corpus@a.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
    b"Kinh gui dong chi.\r\n"
)


@dataclass(frozen=True)
class Case:
    """One file and how it is judged. ``crl``: with the lists at hand; ``require``: as the server does."""

    name: str
    data: bytes
    crl: bool = False
    require: bool = False
    options: dict[str, bool] = field(default_factory=dict)


def judged(name: str, data: bytes, now: datetime, *, crl: bool, require: bool) -> Verdict:
    """The verdict on a file of the corpus, with what lies beside it."""
    read = (FILES / "trust").joinpath
    crls = tuple(read_crls(read("issuing.crl").read_bytes()) + read_crls(read("root.crl").read_bytes()))
    anchors = Anchors(tuple(read_certificates(read("ca.pem").read_bytes())), (), crls if crl else ())
    return verify_file(
        data,
        name,
        anchors=anchors,
        openers=[opener_of(read("b.pem").read_bytes())],
        pgp_keys=[read("pgp-a.asc").read_bytes(), read("pgp-b-secret.asc").read_bytes()]
        if "pgp" in name
        else (),
        require_revocation=require,
        now=now,
    )


def told(verdict: Verdict) -> dict[str, Any]:
    """What must stay the same: everything but words and names."""
    lines = [
        {key: value for key, value in one.as_json().items() if key not in ("signer", "organisation", "time")}
        for one in verdict.signatures
    ]
    return {
        "kind": verdict.kind,
        "verdict": verdict.verdict,
        "sub_indication": verdict.sub_indication,
        "encryption": verdict.encryption,
        "official": verdict.official,
        "signatures": lines,
    }


def main() -> None:
    """Writes the files that are not there yet, judges all, writes what was found."""
    if EXPECTED.exists():
        raise SystemExit("the corpus is frozen: add cases with a new script, never make it again")
    (FILES / "trust").mkdir(parents=True, exist_ok=True)
    province = Province()
    revoked = province.agency("H12.05", "vt@revoked.example")
    moment = datetime.now(UTC).replace(microsecond=0)
    _trust(province, revoked.chain[0], moment)
    cases = [*_documents(province), *_mails(province, revoked), *_cms(province), *_pgp()]
    now = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=1)
    found = []
    for case in cases:
        (FILES / case.name).write_bytes(case.data)
        verdict = judged(case.name, case.data, now, crl=case.crl, require=case.require)
        found.append({"file": case.name, "crl": case.crl, "require": case.require, "found": told(verdict)})
    EXPECTED.write_text(
        json.dumps({"now": now.isoformat(), "cases": found}, ensure_ascii=False, indent=1) + "\n"
    )


def _trust(province: Province, revoked: x509.Certificate, at: datetime) -> None:
    trust = FILES / "trust"
    (trust / "ca.pem").write_bytes(province.root.certificate.public_bytes(Encoding.PEM))
    (trust / "b.pem").write_bytes(province.b.key_file)
    entry = ca.Revoked(revoked.serial_number, at - timedelta(hours=2))
    (trust / "issuing.crl").write_bytes(
        ca.make_crl(province.issuing, 1, [entry], at).public_bytes(Encoding.DER)
    )
    (trust / "root.crl").write_bytes(ca.make_crl(province.root, 1, (), at).public_bytes(Encoding.DER))


def _documents(province: Province) -> Iterator[Case]:
    issued = Issued(province)
    pdf, edxml, packet = issued.pdf, issued.edxml, issued.built.mail
    yield Case("official.pdf", pdf)
    yield Case("official-revocation-required.pdf", pdf, crl=True, require=True)
    yield Case("no-revocation-data.pdf", pdf, require=True)
    yield Case("appended.pdf", pdf + b"\n% more\n")
    yield Case("altered.pdf", _flipped(pdf, pdf.index(b"stream\n") + 40))
    yield Case("cut.pdf", pdf[: len(pdf) * 2 // 3])
    yield Case("seal-of-another-agency.pdf", Issued(province, replace(province.b, code="H12.01")).pdf)
    yield Case("unsigned.pdf", pdf[: pdf.index(b"%%EOF") + 6])
    shadow = pdf + (
        b"\n900 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] >>\nendobj\n"
        b"xref\n900 1\n%010d 00000 n \ntrailer\n<< /Root 1 0 R /Size 901 /Prev %s >>\nstartxref\n%d\n%%%%EOF\n"
        % (len(pdf) + 1, pdf.rsplit(b"startxref", 1)[1].split()[0], len(pdf) + 90)
    )
    yield Case("shadow.pdf", shadow)
    yield Case("signed.edxml", edxml)
    yield Case("altered.edxml", _flipped(edxml, edxml.index(b"Subject>") + 9))
    forged = sign(write(_now(document(pdf))), province.b.chain, province.b.sign)
    yield Case("seal-of-another-agency.edxml", forged)
    yield Case("wrapped.edxml", _wrapped(edxml))
    yield Case("form-of-the-samples.edxml", sample("edoc_new.edxml"))
    yield Case("sha1.edxml", _sha1(province, edxml))
    yield Case("packet.eml", packet)
    yield Case("packet-altered.eml", _flipped(packet, len(packet) // 2, b"A", b"B"))
    yield Case("packet-cut.eml", packet[: len(packet) // 2])
    name, receipt = issued.receipts[1]
    yield Case(f"registered-{name}" if not name[0].isdigit() else name, receipt)
    yield Case("altered.receipt.json", receipt.replace(b"H12.11", b"H12.12", 1))
    evidence = issued.evidence()
    yield Case("document.evidence", evidence)
    yield Case("altered.evidence", _flipped(evidence, len(evidence) // 3))


def _mails(province: Province, revoked: Any) -> Iterator[Case]:
    signed = sign_mail(MAIL, province.a.chain, province.a.sign)
    yield Case("signed.eml", signed)
    yield Case("altered.eml", signed.replace(b"Kinh gui", b"Kinh giu"))
    yield Case("other-sender.eml", signed.replace(b"From: vt@a.example", b"From: gd@a.example", 1))
    yield Case("other-subject.eml", signed.replace(b"Subject: Thong bao", b"Subject: Khac", 1))
    encrypted = encrypt_mail(MAIL, [province.b.encryption], province.a.chain, province.a.sign)
    yield Case("encrypted.eml", encrypted)
    yield Case("encrypted-altered.eml", _flipped(encrypted, len(encrypted) - 300, b"A", b"B"))
    yield Case(
        "for-others.eml", encrypt_mail(MAIL, [province.a.encryption], province.a.chain, province.a.sign)
    )
    mail = MAIL.replace(b"vt@a.example", b"vt@revoked.example", 1)
    yield Case("revoked.eml", sign_mail(mail, revoked.chain, revoked.sign), crl=True, require=True)
    yield Case("unsigned.eml", MAIL)
    stranger = Province()
    yield Case("self-made.eml", sign_mail(MAIL, stranger.a.chain, stranger.a.sign))
    wrong = (province.a.encryption, province.issuing.certificate)
    yield Case("encryption-certificate-signs.eml", sign_mail(MAIL, wrong, _with(province.a.opening)))
    for name, years in (("expired", -5), ("not-yet", 5)):
        key = ca.new_key()
        when = datetime.now(UTC) + timedelta(days=365 * years)
        certificate = ca.agency_signing_certificate(
            province.issuing,
            key.public_key(),
            agency="Cơ quan",
            code="H12.07",
            address="vt@a.example",
            now=when,
        )
        yield Case(f"{name}.eml", sign_mail(MAIL, (certificate, province.issuing.certificate), _with(key)))
    weak = rsa.generate_private_key(65537, 1024)
    yield Case(
        "weak-key.eml", sign_mail(MAIL, (_rsa(province, weak), province.issuing.certificate), _rsa_with(weak))
    )
    sound = rsa.generate_private_key(65537, 3072)
    yield Case(
        "rsa.eml", sign_mail(MAIL, (_rsa(province, sound), province.issuing.certificate), _rsa_with(sound))
    )
    lying = _two_signers(province)
    yield Case("two-signers-one-lies.p7s.eml", lying)


def _cms(province: Province) -> Iterator[Case]:
    source, target = FILES / "plain", FILES / "sealed.p7m"
    source.write_bytes(b"Noi dung\n" * 20)
    seal_file(source, target, province.a.chain, province.a.sign, [province.b.encryption])
    source.unlink()
    sealed = target.read_bytes()
    yield Case("sealed.p7m", sealed)
    yield Case("sealed-altered.p7m", _flipped(sealed, len(sealed) - 3))
    yield Case("sealed-cut.p7m", sealed[:-40])
    yield Case("detached-without-content.p7s", sign_detached(b"x", province.a.chain, province.a.sign))


def _pgp() -> Iterator[Case]:
    with gpg_home() as home:
        own, partner = make_pair(home, "A <vt@a.example>"), make_pair(home, "B <vt@b.example>")
        stranger = make_pair(home, "A <vt@a.example>")
    (FILES / "trust" / "pgp-a.asc").write_bytes(own.public)
    (FILES / "trust" / "pgp-b-secret.asc").write_bytes(partner.secret)
    with OpenPgp.temporary([own.secret, partner.public, stranger.secret]) as gpg:
        signed = pgp_sign_mail(MAIL, gpg, own.fingerprint)
        yield Case("pgp-signed.eml", signed)
        yield Case("pgp-altered.eml", signed.replace(b"Kinh gui", b"Kinh giu"))
        yield Case("pgp-unknown-key.eml", pgp_sign_mail(MAIL, gpg, stranger.fingerprint))
        sealed = pgp_encrypt_mail(MAIL, gpg, [partner.fingerprint], own.fingerprint)
        yield Case("pgp-encrypted.eml", sealed)
        yield Case(
            "pgp-encrypted-altered.eml",
            _flipped(sealed, sealed.index(b"\r\n\r\n", sealed.index(b"BEGIN PGP")) + 300, b"A", b"B"),
        )


def _flipped(data: bytes, place: int, one: bytes = b"", other: bytes = b"") -> bytes:
    new = bytes((data[place] ^ 1,)) if not one else (other if data[place : place + 1] == one else one)
    return data[:place] + new + data[place + 1 :]


def _wrapped(edxml: bytes) -> bytes:
    """The signed tree hidden inside a forged one (signature wrapping)."""
    body = edxml.partition(b"?>\n")[2]
    head, signature = body.partition(b"<ds:Signature")[::2]
    forged = head + b"<ds:Signature" + signature.partition(b"</ds:Signature>")[0] + b"</ds:Signature>"
    inner = body.strip()
    rest = signature.partition(b"</ds:Signature>")[2]
    return (
        edxml.partition(b"?>\n")[0]
        + b"?>\n"
        + forged.replace("Cơ quan".encode(), b"Ke gian", 1)
        + inner
        + rest
    )


def _sha1(province: Province, edxml: bytes) -> bytes:
    """RSA-SHA1 by xmlsec1, as the axis' packets have it."""
    key = rsa.generate_private_key(65537, 2048)
    text = edxml.replace(
        b"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", b"http://www.w3.org/2000/09/xmldsig#rsa-sha1"
    )
    text = text.replace(b"http://www.w3.org/2001/04/xmlenc#sha256", b"http://www.w3.org/2000/09/xmldsig#sha1")
    text = text.replace(b' Id="congvan-1"', b"")
    for name in (b"DigestValue", b"SignatureValue"):
        before, _, after = text.partition(b"<ds:" + name + b">")
        text = before + b"<ds:" + name + b"/>" + after.partition(b"</ds:" + name + b">")[2]
    before, _, after = text.partition(b"<ds:X509Data>")
    text = before + b"<ds:X509Data/>" + after.partition(b"</ds:X509Data>")[2]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "t.xml").write_bytes(text)
        (Path(folder) / "k.pem").write_bytes(pem_of(key))
        (Path(folder) / "c.pem").write_bytes(_rsa(province, key).public_bytes(Encoding.PEM))
        words = ["xmlsec1", "--sign", "--privkey-pem", "k.pem,c.pem", "--output", "s.xml", "t.xml"]
        done = run(Path(folder), *words)
        assert done.returncode == 0, done.stderr
        return (Path(folder) / "s.xml").read_bytes()


def _two_signers(province: Province) -> bytes:
    """Two signers, the second of whom signed something else."""

    def parts(data: bytes) -> list[Node]:
        return Node.only(data).children()[1].children()[0].children()

    signed = sign_mail(MAIL, province.a.chain, province.a.sign)
    boundary = signed.partition(b'boundary="')[2].partition(b'"')[0]
    payload = signed.split(b"--" + boundary)[1].removeprefix(b"\r\n").removesuffix(b"\r\n")
    true = parts(sign_detached(payload, province.a.chain, province.a.sign))
    false = parts(sign_detached(b"something else", province.b.chain, province.b.sign))
    every = {one.raw for one in (*true[3].children(), *false[3].children())}
    infos = [true[4].children()[0].raw, false[4].children()[0].raw]
    body = der.sequence(
        true[0].raw, true[1].raw, true[2].raw, der.explicit(0, *sorted(every)), der.set_of(*infos)
    )
    whole = der.sequence(der.oid("1.2.840.113549.1.7.2"), der.explicit(0, body))
    head = signed[: signed.index(b"\r\n\r\n", signed.index(b"smime.p7s"))]
    ending = b"\r\n--" + boundary + b"--\r\n"
    return head + b"\r\n\r\n" + base64.encodebytes(whole).replace(b"\n", b"\r\n").rstrip() + ending


def _with(key: Any) -> Any:
    return lambda data: key.sign(data, ec.ECDSA(hashes.SHA256()))


def _rsa_with(key: rsa.RSAPrivateKey) -> Any:
    return lambda data: key.sign(data, padding.PKCS1v15(), hashes.SHA256())


def _rsa(province: Province, key: rsa.RSAPrivateKey) -> x509.Certificate:
    name = "Cơ quan RSA"
    made = ca._issued_builder(
        province.issuing,
        ca._name(organisation=name, common_name=name, code="H12.08"),
        key.public_key(),
        None,
        timedelta(days=700),
    )
    made = ca._with_addresses(ca._with_key_usage(made, "digital_signature"), ["vt@a.example"])
    return made.sign(province.issuing.key, hashes.SHA256())


if __name__ == "__main__":
    main()
