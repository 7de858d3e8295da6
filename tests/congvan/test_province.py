# SPDX-License-Identifier: AGPL-3.0-or-later
"""A province as a stranger finds it: started by one command, judged by programs of others only."""

from __future__ import annotations

import base64
import email
import email.policy
import imaplib
import json
import re
import shutil
import smtplib
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.running import Demo, eventually


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    made = Demo()
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def issued(demo: Demo) -> dict[str, Any]:
    """A document that the demo's clerk of H12.02 issues to two agencies."""
    return demo.congvan(
        "document",
        "issue",
        str(demo.folder / "draft.pdf"),
        "--agency",
        "H12.02",
        "--to",
        "H12.03,H12.16.01",
        "--kind",
        "Thông báo",
        "--subject",
        "Lịch tập huấn văn thư, lưu trữ",
        "--signer",
        "lanhdao@sonoivu.camau.example",
        "--clerk",
        "canbo.vanthu@sonoivu.camau.example",
    )


def tls(demo: Demo) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=demo.ready["ca"])


def openssl(*words: str) -> str:
    done = run("openssl", *words)
    assert done.returncode == 0, done.stderr
    return (done.stdout + done.stderr).decode()


def port(address: str) -> int:
    return int(address.rpartition(":")[2])


def run(*words: str | Path, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [str(one) for one in words], capture_output=True, input=stdin, check=False, timeout=60
    )


def test_ready_json_says_what_design_promises(demo: Demo) -> None:
    ready = json.loads((demo.folder / "ready.json").read_bytes())
    assert {
        "smtp",
        "submission",
        "submissions",
        "imap",
        "imaps",
        "web",
        "public",
        "ca",
        "tls_name",
    } <= ready.keys()
    assert len(ready["agencies"]) >= 12
    assert {one["role"] for one in ready["accounts"]} == {
        "civil-servant",
        "clerk",
        "leader",
        "agency-officer",
        "auditor",
        "system-officer",
    }
    for path in (ready["ca"], ready["data_dir"], ready["config"], ready["ledger"]):
        assert Path(path).exists(), path
    (document, *_) = ready["documents"]
    assert Path(document["pdf"]).read_bytes().startswith(b"%PDF-")
    assert all(Path(key).exists() for key in document["agency_keys"].values())
    assert set(ready["pids"]) == {"supervisor", "mail", "web", "worker", "signer", "public"}


def test_every_account_reads_its_mail(demo: Demo) -> None:
    for one in demo.ready["accounts"]:
        with imaplib.IMAP4_SSL("localhost", port(demo.ready["imaps"]), ssl_context=tls(demo)) as client:
            client.login(one["address"], one["password"])
            status, _ = client.select("INBOX")
            assert status == "OK"


def test_a_letter_goes_from_one_office_to_another(demo: Demo) -> None:
    sender, reader = demo.account("civil-servant", "H12.02"), demo.account("leader", "H12.03")
    text = (
        f"From: {sender['address']}\r\nTo: {reader['address']}\r\nSubject: =?utf-8?B?VGjhu60=?= mot hai ba\r\n"
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nNội dung thư\r\n"
    ).encode()
    with smtplib.SMTP("localhost", port(demo.ready["submission"])) as client:
        client.starttls(context=tls(demo))
        client.login(sender["address"], sender["password"])
        client.sendmail(sender["address"], [reader["address"]], text, ["BODY=8BITMIME"])
    with imaplib.IMAP4_SSL("localhost", port(demo.ready["imaps"]), ssl_context=tls(demo)) as client:
        client.login(reader["address"], reader["password"])
        client.select("INBOX")
        _, found = client.search(None, "SUBJECT", '"mot hai ba"')
        (number,) = found[0].split()
        _, answer = client.fetch(number, "(BODY[])")
        whole = answer[0][1]
    letter = email.message_from_bytes(whole, policy=email.policy.default)
    assert letter["Subject"] == "Thử mot hai ba"
    assert "Nội dung thư" in letter.get_content()


def test_s42_nothing_anybody_wrote_lies_in_clear(demo: Demo) -> None:
    """S42: a letter is sent, read, searched for and moved; its words stand in no file: database and its log, segments,
    spool, ledger, what the processes said."""
    words = ["ngontukin", "tukhoabimat", "tentepkin"]
    sender, reader = demo.account("civil-servant", "H12.02"), demo.account("leader", "H12.03")
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = sender["address"], reader["address"], words[0]
    letter.set_content(f"{words[1]} " * 50)
    letter.add_attachment(b"x" * 2_000_000, maintype="text", subtype="plain", filename=f"{words[2]}.txt")
    with smtplib.SMTP("localhost", port(demo.ready["submission"])) as client:
        client.starttls(context=tls(demo))
        client.login(sender["address"], sender["password"])
        client.send_message(letter)
        refused = client.docmd("RCPT", f"TO:<{words[0]}@sonoivu.camau.example>")
        assert refused[0] == 503
    with imaplib.IMAP4_SSL("localhost", port(demo.ready["imaps"]), ssl_context=tls(demo)) as client:
        client.login(reader["address"], reader["password"])
        client.select("INBOX")
        _, found = client.search(None, "TEXT", words[1])
        (number,) = found[0].split()
        client.fetch(number, "(ENVELOPE BODYSTRUCTURE BODY[])")
        assert client.copy(number, "INBOX")[0] == "OK"
    eventually(lambda: demo.congvan("search", "status")["waiting"] == 0)
    planted = [
        form for word in words for form in (word.encode(), word.upper().encode(), word.encode("utf-16-le"))
    ]
    looked_at = 0
    for path in demo.folder.rglob("*"):
        if path.is_file() and path.name != "ready.json":
            held = path.read_bytes()
            looked_at += 1
            assert [one for one in planted if one in held] == [], path
    assert looked_at > 20


def test_the_clerk_sees_the_registry_mailbox(demo: Demo) -> None:
    clerk = demo.account("clerk", "H12.03")
    with imaplib.IMAP4("127.0.0.1", port(demo.ready["imap"])) as client:
        client.login(clerk["address"], clerk["password"])
        _, listed = client.list()
        assert any(b"Shared/vanthu@sotuphap.camau.example" in one for one in listed)
        status, _ = client.select('"Shared/vanthu@sotuphap.camau.example"')
        assert status == "OK"


def test_pdfsig_finds_two_valid_signatures(demo: Demo) -> None:
    pdf = demo.ready["documents"][0]["pdf"]
    told = run("pdfsig", pdf).stdout.decode()
    assert told.count("Signature Validation: Signature is Valid.") == 2, told
    assert "Total document signed" in told.split("Signature #2")[1], told


def test_openssl_opens_the_packet_and_verifies_the_agency(demo: Demo, issued: dict[str, Any]) -> None:
    packet = packet_of(demo, "H12.03", issued["document_id"])
    key = demo.folder / "keys" / "H12.03.pem"
    opened = run("openssl", "cms", "-decrypt", "-in", packet, "-recip", key)
    assert opened.returncode == 0, opened.stderr
    ca, crl = demo.ready["ca"], demo.folder
    verified = run("openssl", "cms", "-verify", "-CAfile", ca, "-purpose", "any", stdin=opened.stdout)
    assert verified.returncode == 0, verified.stderr
    assert b"successful" in verified.stderr.lower()
    wrong = run("openssl", "cms", "-decrypt", "-in", packet, "-recip", demo.folder / "keys" / "H12.05.pem")
    assert wrong.returncode != 0
    edxml = edxml_of(verified.stdout)
    file = crl / "from-packet.edxml"
    file.write_bytes(edxml)
    untrusted = demo.folder / "data" / "trust" / "intermediate.pem"
    told = run("xmlsec1", "--verify", "--trusted-pem", ca, "--untrusted-pem", untrusted, file)
    assert told.returncode == 0, told.stderr
    answer = demo.congvan("verify", str(file))
    assert (answer["kind"], answer["verdict"]) == ("edxml", "TOTAL-PASSED")
    answer = demo.congvan("verify", str(packet), "--key", str(key))
    assert (answer["kind"], answer["verdict"], answer["encryption"]) == (
        "packet",
        "TOTAL-PASSED",
        "decrypted",
    )


def packet_of(demo: Demo, agency: str, document_id: str) -> Path:
    """The newest packet in an agency's registry mailbox, read by its clerk with IMAP."""
    clerk = demo.account("clerk", agency)
    registry = next(one["registry"] for one in demo.ready["agencies"] if one["code"] == agency)

    def look() -> bytes | None:
        with imaplib.IMAP4("127.0.0.1", port(demo.ready["imap"])) as client:
            client.login(clerk["address"], clerk["password"])
            client.select(f'"Shared/{registry}"')
            _, found = client.search(None, "HEADER", "Content-Type", "authEnveloped-data")
            numbers = found[0].split()
            if not numbers:
                return None
            _, answer = client.fetch(numbers[-1], "(BODY[])")
            return bytes(answer[0][1])

    file = demo.folder / f"packet-{agency}.eml"
    file.write_bytes(eventually(look))
    return file


def edxml_of(mime: bytes) -> bytes:
    found = [
        part.get_payload(decode=True)
        for part in email.message_from_bytes(mime).walk()
        if (part.get_filename() or "").endswith(".edxml")
    ]
    assert len(found) == 1
    content = found[0]
    assert isinstance(content, bytes)
    return content


def test_the_document_comes_back_with_receipts(demo: Demo, issued: dict[str, Any]) -> None:
    assert issued["state"] == "sent"

    def outcome(code: str) -> str:
        told = demo.congvan("document", "status", issued["id"])
        (one,) = [one for one in told["recipients"] if one["agency"] == code]
        return str(one["outcome"])

    eventually(lambda: "01" in codes(demo, issued["id"], "H12.03"), 30)
    clerk = demo.account("clerk", "H12.03")["address"]
    demo.congvan("document", "accept", issued["number"], "--agency", "H12.03", "--clerk", clerk)
    eventually(lambda: "03" in codes(demo, issued["id"], "H12.03"), 30)
    other = demo.account("clerk", "H12.16.01")["address"]
    demo.congvan(
        "document",
        "refuse",
        issued["document_id"],
        "--agency",
        "H12.16.01",
        "--clerk",
        other,
        "--reason",
        "Gửi nhầm",
    )
    eventually(lambda: "02" in codes(demo, issued["id"], "H12.16.01"), 30)
    assert outcome("H12.03") != outcome("H12.16.01")
    sent = demo.congvan("register", "show", "--agency", "H12.02", "--register", "outgoing")["items"]
    assert any(row["number"] == issued["number"] and row["state"] == "issued" for row in sent)
    came = demo.congvan("register", "show", "--agency", "H12.03", "--register", "incoming")["items"]
    assert any(issued["number"] in json.dumps(row, ensure_ascii=False) for row in came)


def codes(demo: Demo, document: str, agency: str) -> set[str]:
    """The status codes proved for one recipient."""
    told = demo.congvan("document", "status", document)
    (one,) = [one for one in told["recipients"] if one["agency"] == agency]
    return {event.get("status", "") for event in one["evidence"] if event["proved"]}


def test_evidence_is_one_file_that_anybody_can_verify(demo: Demo, issued: dict[str, Any]) -> None:
    file = demo.folder / "evidence"
    demo.congvan("document", "evidence", issued["id"], "--output", str(file))
    answer = demo.congvan("verify", str(file))
    assert (answer["kind"], answer["verdict"]) == ("evidence", "TOTAL-PASSED")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert demo.run("verify", str(file)).returncode == 1


def test_programs_get_the_verdict_of_the_command_over_https(demo: Demo, issued: dict[str, Any]) -> None:
    """A PDF, an evidence file and a damaged one: the public look-up answers what `congvan verify --json` says."""
    evidence = demo.folder / "evidence-of-api"
    demo.congvan("document", "evidence", issued["id"], "--output", str(evidence))
    damaged = demo.folder / "damaged-of-api.pdf"
    data = bytearray((demo.folder / "issued.pdf").read_bytes())
    data[len(data) // 3] ^= 1
    damaged.write_bytes(data)
    for file, verdict in (
        (demo.folder / "issued.pdf", "TOTAL-PASSED"),
        (evidence, "TOTAL-PASSED"),
        (damaged, "TOTAL-FAILED"),
    ):
        asked = urllib.request.Request(
            f"{demo.ready['public']}/api/verify?name={file.name}",
            file.read_bytes(),
            {"Content-Type": "application/octet-stream"},
        )
        with urllib.request.urlopen(asked, context=tls(demo), timeout=60) as answer:
            told = json.load(answer)
        said = json.loads(demo.run("verify", str(file), "--require-revocation", "--json").stdout)
        assert told["verdict"] == said["verdict"] == verdict
        assert told.keys() == said.keys()
        assert [one["verdict"] for one in told["signatures"]] == [
            one["verdict"] for one in said["signatures"]
        ]


def test_the_ledger_is_proved_and_one_byte_is_found(
    demo: Demo, issued: dict[str, Any], tmp_path: Path
) -> None:
    assert issued["id"]
    eventually(lambda: demo.congvan("status")["ledger_pending"] == 0)
    report = demo.congvan("audit", "verify")
    assert report["ok"]
    assert report["size"] > 50
    copy = tmp_path / "ledger"
    shutil.copytree(demo.ready["ledger"], copy)
    entries = sorted(path for path in (copy / "tile" / "entries").rglob("*") if path.is_file())
    data = bytearray(entries[0].read_bytes())
    data[200] ^= 1
    entries[0].write_bytes(data)
    done = demo.run("audit", "verify", str(copy), "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert not told["ok"]
    assert told["problems"][0]["index"] is not None


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["document", "issue", "/dev/null", "--to", "H12.03"], 1),
        (["document", "issue", "draft.pdf", "--to", "H99.99"], 1),
    ],
)
def test_what_cannot_be_issued_is_refused_and_nothing_is_half_done(
    demo: Demo, words: list[str], code: int
) -> None:
    before = demo.congvan("register", "show", "--agency", "H12.05", "--register", "outgoing")["items"]
    words = [str(demo.folder / one) if one == "draft.pdf" else one for one in words]
    rest = ["--agency", "H12.05", "--kind", "Thông báo", "--subject", "x"]
    rest += [
        "--signer",
        "lanhdao@sotaichinh.camau.example",
        "--clerk",
        "canbo.vanthu@sotaichinh.camau.example",
    ]
    done = demo.run(*words, *rest, "--json")
    assert done.returncode == code, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["vi"]
    assert told["en"]
    assert demo.congvan("register", "show", "--agency", "H12.05", "--register", "outgoing")["items"] == before


def test_the_pages_answer(demo: Demo) -> None:
    for path, there in (("/health", b""), ("/sign-in", b"password")):
        with urllib.request.urlopen(demo.ready["web"] + path, context=tls(demo)) as answer:
            assert answer.status == 200
            assert there in answer.read()


def test_mutt_sends_through_submission(demo: Demo, tmp_path: Path) -> None:
    sender, reader = demo.account("civil-servant", "H12.15"), demo.account("clerk", "H12.05")
    settings = tmp_path / "muttrc"
    settings.write_text(
        f'set smtp_url = "smtps://{sender["address"]}@localhost:{port(demo.ready["submissions"])}/"\n'
        f'set smtp_pass = "{sender["password"]}"\n'
        f'set ssl_ca_certificates_file = "{demo.ready["ca"]}"\n'
        f'set from = "{sender["address"]}"\n'
        'set use_from = yes\nset copy = no\nset record = ""\nset charset = utf-8\n'
        'set smtp_authenticators = "plain"\n',
        encoding="utf-8",
    )
    done = run(
        "mutt", "-n", "-F", settings, "-s", "Thư gửi từ mutt", reader["address"], stdin="Nội dung\n".encode()
    )
    assert done.returncode == 0, done.stderr.decode()

    def arrived() -> str | None:
        with imaplib.IMAP4_SSL("localhost", port(demo.ready["imaps"]), ssl_context=tls(demo)) as client:
            client.login(reader["address"], reader["password"])
            client.select("INBOX", readonly=True)
            _, found = client.search(None, "FROM", sender["address"])
            if not found[0]:
                return None
            _, answer = client.fetch(found[0].split()[-1], "(BODY[])")
            return str(email.message_from_bytes(answer[0][1], policy=email.policy.default)["Subject"])

    assert eventually(arrived) == "Thư gửi từ mutt"


def test_a_packet_is_opened_for_the_clerk_and_for_nobody_else(
    demo: Demo, issued: dict[str, Any], tmp_path: Path
) -> None:
    packet = packet_of(demo, "H12.03", issued["document_id"])
    opened = demo.congvan(
        "document", "open", str(packet), "--agency", "H12.03", "--output", str(tmp_path / "out")
    )
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert any(name.endswith(".pdf") for name in names), opened
    assert any(name.endswith(".edxml") for name in names)
    other = demo.run(
        "document", "open", str(packet), "--agency", "H12.05", "--output", str(tmp_path / "no"), "--json"
    )
    assert other.returncode == 1
    assert not (tmp_path / "no").exists() or list((tmp_path / "no").iterdir()) == []


def test_what_was_tampered_with_is_named(demo: Demo, issued: dict[str, Any], tmp_path: Path) -> None:
    packet = packet_of(demo, "H12.03", issued["document_id"])
    text = packet.read_bytes()
    middle = text.index(b"\r\n\r\n") + 3000
    changed = tmp_path / "changed.eml"
    changed.write_bytes(
        text[:middle] + (b"A" if text[middle : middle + 1] != b"A" else b"B") + text[middle + 1 :]
    )
    done = demo.run("verify", str(changed), "--key", str(demo.folder / "keys" / "H12.03.pem"), "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["verdict"] in ("TOTAL-FAILED", "UNREADABLE", "INDETERMINATE")
    assert told["reason"]
    pdf = Path(demo.ready["documents"][0]["pdf"]).read_bytes()
    for place in (len(pdf) // 3, len(pdf) // 2, len(pdf) - 40):
        broken = tmp_path / "broken.pdf"
        broken.write_bytes(pdf[:place] + bytes([pdf[place] ^ 1]) + pdf[place + 1 :])
        done = demo.run("verify", str(broken), "--json")
        assert done.returncode == 1, place
        assert json.loads(done.stdout)["verdict"] != "TOTAL-PASSED"


def test_rules_speak_at_the_door_with_their_basis(demo: Demo) -> None:
    sender, reader = demo.account("civil-servant", "H12.15"), demo.account("clerk", "H12.05")
    with smtplib.SMTP_SSL("localhost", port(demo.ready["submissions"]), context=tls(demo)) as client:
        client.login(sender["address"], sender["password"])
        secret = (
            f"From: {sender['address']}\r\nTo: {reader['address']}\r\nSubject: x\r\n"
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nTỐI MẬT\r\nabc\r\n"
        ).encode()
        with pytest.raises(smtplib.SMTPDataError) as refused:
            client.sendmail(sender["address"], [reader["address"]], secret)
        assert refused.value.smtp_code == 550
        assert b"R-CON-03" in refused.value.smtp_error
        client.mail(sender["address"])
        client.rcpt("nguoidan@gmail.com")
        code, words = client.data(
            f"From: {sender['address']}\r\nTo: nguoidan@gmail.com\r\nSubject: x\r\n\r\nabc\r\n".encode()
        )
        assert code == 250
        assert b"R-MAIL-01" in words


def test_openssl_follows_the_addresses_in_our_certificates(demo: Demo, tmp_path: Path) -> None:
    """Who has nothing but a certificate and the root asks where the certificate says: OCSP, issuer, lists."""
    trust = demo.folder / "data" / "trust"
    leaf = next((trust / "agencies").glob("*.sign.pem"))
    said = openssl("x509", "-in", str(leaf), "-noout", "-text")
    (ocsp,) = re.findall(r"OCSP - URI:(\S+)", said)
    (issuer,) = re.findall(r"CA Issuers - URI:(\S+)", said)
    assert ocsp == f"http://{demo.ready['status']}/ocsp"
    with urllib.request.urlopen(issuer) as answer:
        assert answer.headers["Content-Type"] == "application/pkix-cert"
        (tmp_path / "issuer.der").write_bytes(answer.read())
    between = tmp_path / "issuer.pem"
    openssl("x509", "-inform", "DER", "-in", str(tmp_path / "issuer.der"), "-out", str(between))
    root = str(demo.ready["ca"])
    asked = ("ocsp", "-issuer", str(between), "-cert", str(leaf), "-url", ocsp, "-CAfile", root)
    for more in ((), ("-sha256",), ("-no_nonce",)):
        answered = openssl(*asked[:1], *more, *asked[1:], "-verify_other", str(between))
        assert f"{leaf}: good" in answered
    checked = ("verify", "-crl_download", "-crl_check", "-CAfile", root)
    assert openssl(*checked, "-untrusted", str(between), str(leaf)).strip() == f"{leaf}: OK"
    assert openssl(*checked, str(between)).strip() == f"{between}: OK"
    request = tmp_path / "asked.der"
    openssl("ocsp", "-issuer", str(between), "-cert", str(leaf), "-no_nonce", "-reqout", str(request))
    text = quote(base64.b64encode(request.read_bytes()).decode(), safe="")
    with urllib.request.urlopen(f"{ocsp}/{text}") as answer:
        (tmp_path / "answer.der").write_bytes(answer.read())
    read = openssl("ocsp", "-respin", str(tmp_path / "answer.der"), "-text", "-noverify")
    assert "Cert Status: good" in read
    for path in ("/", "/sign-in", "/verify", "/crl/none.crl", "/ca/none.crt"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://{demo.ready['status']}{path}")


def test_check_fetches_the_list_where_certificates_say(demo: Demo) -> None:
    done = demo.run("check")
    assert f"served at http://{demo.ready['status']}" in done.stdout
    assert "none ends soon or is revoked" in done.stdout
    assert re.search(r"signer +\d+ khóa, trong tệp · \d+ keys, in files", done.stdout)


def test_an_agency_elsewhere_gets_no_mailbox_and_its_mail_leaves(demo: Demo) -> None:
    """No DNS and no route in the demo: what would leave waits in the queue, and is not kept here."""
    new = ("agency", "add", "H29.01", "--name", "Sở Nội vụ tỉnh khác", "--short", "SNV", "--elsewhere")
    made = demo.congvan(*new, "--domain", "noivu.tinhkhac.example")
    assert made == {"code": "H29.01", "registry": "vanthu@noivu.tinhkhac.example", "elsewhere": True}
    assert demo.congvan("agency", "show", "H29.01")["accounts"] == []
    sender = demo.account("civil-servant", "H12.02")
    text = f"From: {sender['address']}\r\nTo: {made['registry']}\r\nSubject: Hoi\r\n\r\nx\r\n"
    with smtplib.SMTP("localhost", port(demo.ready["submission"])) as client:
        client.starttls(context=tls(demo))
        client.login(sender["address"], sender["password"])
        assert client.sendmail(sender["address"], [made["registry"]], text) == {}
    waiting = eventually(
        lambda: [
            one for one in demo.congvan("queue", "list")["items"] if one["recipient"] == made["registry"]
        ]
    )
    assert len(waiting) == 1
    with smtplib.SMTP("localhost", port(demo.ready["smtp"])) as client:
        client.ehlo("ngoai.example")
        client.mail("a@ngoai.example")
        assert client.rcpt(made["registry"])[0] == 550
    done = demo.run("agency", "key", "issue", "--agency", "H29.01", "--json")
    assert (done.returncode, json.loads(done.stdout)["error"]) == (1, "agency-elsewhere")
    late = ("agency", "add", "H29.02", "--name", "Sở Y", "--short", "Y", "--domain", "y.tinhkhac.example")
    assert demo.congvan(*late)["elsewhere"] is False
    assert demo.congvan("agency", "elsewhere", "H29.02")["elsewhere"] is True
    assert [one["state"] for one in demo.congvan("agency", "show", "H29.02")["accounts"]] == ["left"]
