# SPDX-License-Identifier: AGPL-3.0-or-later
"""Partners that have only OpenPGP: gpg as the foreign side, both ways, and two of our agencies with each other."""

from __future__ import annotations

import email
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from email.message import Message
from pathlib import Path

import pytest

from config.clock import now_us
from config.refusal import Refused
from exchange.documents import finding, listing
from exchange.documents.packing import organ
from exchange.documents.work import load
from exchange.edxml.model import DocumentPacket, StatusPacket
from exchange.edxml.read import read
from exchange.edxml.statuses import answer
from exchange.edxml.write import write
from exchange.receiving import again, answers
from exchange.receiving.evidence import evidence_of
from exchange.receiving.follower import Follower
from exchange.sealing.packet import packet_digest
from exchange.trust.anchors import Anchors
from exchange.verifying.file import verify_file
from exchange.worker import acts
from mailserver.accounts import Agency
from mailserver.accounts.changes import NewAgency, add_agency
from tests.exchange.documents.office import Office
from tests.exchange.receiving.carrying import (
    CLERK,
    RECEIVER,
    arrivals,
    deliver,
    issue,
    outcome,
    round_trip,
    take_queue,
)
from tests.exchange.receiving.test_attacks import packet_of
from tests.exchange.sealing.pgp import PgpPair, gpg, gpg_home, make_pair


@dataclass(frozen=True)
class Partner:
    """The foreign side: an office that has gpg and nothing else."""

    office: Office
    home: Path
    pair: PgpPair
    ours: str
    armour: bytes

    @property
    def agency(self) -> Agency:
        return self.office.other

    def opened(self, mail: bytes) -> Message:
        """Decrypted by gpg, the signature beside the content verified by gpg; the signed part."""
        message = email.message_from_bytes(mail)
        assert message.get_content_type() == "multipart/encrypted"
        sealed = message.get_payload()[1].get_payload(decode=True)
        done = gpg(self.home, "--decrypt", data=sealed)
        assert done.returncode == 0, done.stderr
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        mark = re.search(rb'boundary="([^"]+)"', head)
        assert mark is not None
        pieces = (b"\r\n" + body).split(b"\r\n--" + mark[1])
        (self.home / "part").write_bytes(pieces[1].removeprefix(b"\r\n"))
        (self.home / "part.asc").write_bytes(pieces[2].partition(b"\r\n\r\n")[2])
        done = gpg(self.home, "--verify", str(self.home / "part.asc"), str(self.home / "part"))
        assert f"VALIDSIG {self.ours} ".encode() in done.stderr, done.stderr
        return email.message_from_bytes((self.home / "part").read_bytes())

    def mail(self, edxml: bytes, *words: str, key: str = "", false: bool = False) -> bytes:
        """A packet as its own software would write it: signed and encrypted by gpg in one step.

        ``false``: beside the content lies a signature over something else.
        """
        inner = (
            b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\nhello\r\n'
            b'--x\r\nContent-Type: application/xml; name="a.edxml"\r\nContent-Transfer-Encoding: 8bit\r\n'
            b'Content-Disposition: attachment; filename="a.edxml"\r\n\r\n' + edxml + b"\r\n--x--\r\n"
        )
        if false:
            other = gpg(self.home, "-a", "--detach-sign", "-u", self.pair.fingerprint, data=b"else").stdout
            inner = (
                b'Content-Type: multipart/signed; protocol="application/pgp-signature"; boundary="z"\r\n\r\n--z\r\n'
                + inner
                + b"\r\n--z\r\nContent-Type: application/pgp-signature\r\n\r\n"
                + other.replace(b"\n", b"\r\n")
                + b"\r\n--z--\r\n"
            )
        sign = words or ("--sign", "--local-user", self.pair.fingerprint)
        done = gpg(self.home, "--armor", "--encrypt", *sign, "-r", key or self.ours, data=inner)
        assert done.returncode == 0, done.stderr
        head = (
            f"From: So Noi vu <{self.agency.registry_address}>\r\n"
            f"To: {self.office.home.registry_address}\r\nSubject: packet\r\n"
            f"Date: Mon, 02 Mar 2026 08:00:00 +0700\r\nMessage-ID: <{now_us()}@partner.example>\r\n"
            "MIME-Version: 1.0\r\nCongvan-Packet: 1\r\n"
            'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary="y"\r\n\r\n'
            "--y\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n"
            "--y\r\nContent-Type: application/octet-stream\r\n\r\n"
        )
        return head.encode() + done.stdout.replace(b"\n", b"\r\n") + b"\r\n--y--\r\n"

    def send(self, mail: bytes) -> None:
        deliver(self.office, self.agency.registry_address, self.office.home.registry_address, mail)
        Follower(self.office.exchange).follow()

    def status(self, told: dict, code: str, reason: str = "") -> bytes:  # type: ignore[type-arg]
        packet = packet_of(self.office, told)
        return write(answer(packet, organ(self.agency), code, now_us(), reason))


@pytest.fixture
def partner(small_office: Office) -> Iterator[Partner]:
    table = acts(small_office.exchange)
    small_office.exchange.trust.path.joinpath("agencies", "H12.02.encrypt.pem").unlink()
    with gpg_home() as home:
        pair = make_pair(home, f"Sở Nội vụ <{small_office.other.registry_address}>")
        table["pin.add"](agency="H12.02", data=pair.public, since="", until="", by="t")
        ours = table["openpgp.issue"](agency="H12.01", renew=False, by="t")
        assert gpg(home, "--import", data=ours["armour"].encode()).returncode == 0
        yield Partner(small_office, home, pair, ours["fingerprint"], ours["armour"].encode())


def _incoming(office: Office) -> list:  # type: ignore[type-arg]
    return listing.listing(office.exchange, office.home.number, "incoming")[::-1]


def test_gpg_opens_what_we_send_and_answers_in_the_same_form(partner: Partner) -> None:
    office = partner.office
    told = issue(office)
    ((sender, recipient, mail),) = take_queue(office)
    assert (sender, recipient) == (office.home.registry_address, partner.agency.registry_address)
    part = partner.opened(mail)
    files = {one.get_filename(): one.get_payload(decode=True) for one in part.walk() if one.get_filename()}
    packet = read(files["document.edxml"]).packet
    assert isinstance(packet, DocumentPacket)
    assert packet.document_id == told["document_id"]
    assert told["packet_digest"] == packet_digest(mail)
    assert b"edXML" not in mail
    assert packet.subject.encode() not in mail

    partner.send(partner.mail(partner.status(told, "01")))
    office.sequencer.sequence_once()
    assert outcome(office, told) == ("delivered", [("sent", True), ("arrived", False)])
    partner.send(partner.mail(partner.status(told, "03")))
    assert outcome(office, told)[0] == "accepted"


def test_one_document_to_partners_of_both_kinds(partner: Partner) -> None:
    """A packet of its own for each kind, each with its digest; the answer on one is no incident of the other."""
    office, table = partner.office, acts(partner.office.exchange)
    new = NewAgency("H12.03", "Sở Tư pháp", "STP", "sotuphap.camau.example")
    office.province.database.write(lambda conn: add_agency(conn, office.province.seal, new))
    office.province.accounts.forget()
    table["key.issue"](agency="H12.03", person="", approval="file", renew="", by="t")
    told = issue(office, to=["H12.02", "H12.03"])
    mails = {recipient: mail for _, recipient, mail in take_queue(office)}
    theirs = mails[partner.agency.registry_address]
    (other,) = [mail for recipient, mail in mails.items() if recipient != partner.agency.registry_address]
    assert b"authEnveloped-data" in other
    assert packet_digest(other) == told["packet_digest"] != packet_digest(theirs)
    partner.opened(theirs)
    document = finding.find(office.exchange, told["id"])
    assert document.fields.packet_for("H12.02") == packet_digest(theirs)
    assert document.fields.packet_for("H12.03") == packet_digest(other)
    opened = table["document.open"](mail=theirs, agency="H12.01", who=CLERK)
    assert opened["verdict"]["verdict"] == "TOTAL-PASSED"
    partner.send(partner.mail(partner.status(told, "01")))
    status = listing.status(office.exchange, document.ref)
    assert {one["agency"]: one["outcome"] for one in status["recipients"]} == {
        "H12.02": "delivered",
        "H12.03": "pending",
    }
    office.sequencer.sequence_once()
    evidence = evidence_of(office.exchange, document.ref, CLERK)
    verdict = verify_file(evidence, anchors=Anchors(office.exchange.trust.own_roots()))
    assert verdict.verdict == "TOTAL-PASSED"


def test_a_document_from_gpg_is_opened_judged_and_answered(partner: Partner) -> None:
    """An unsigned PDF is no official document: refused by the same rule as ever, and the 02 goes back in OpenPGP."""
    office = partner.office
    packet = replace(
        packet_of(office, issue(office)),
        sender=organ(partner.agency),
        to=(organ(office.home),),
        document_id="H12.02-2026-0001",
    )
    take_queue(office)
    partner.send(partner.mail(write(packet)))
    (arrived,) = _incoming(office)
    assert (arrived.state, arrived.partner) == ("refused", "H12.02")
    report = acts(office.exchange)["document.report"](
        document=arrived.id, agency="H12.01", who=CLERK, anew=False
    )
    layers = str(report)
    assert "OpenPGP" in layers
    assert "TOTAL-PASSED" in layers
    office.sequencer.sequence_once()
    assert answers.send_due(office.exchange) == 1
    ((_, recipient, mail),) = take_queue(office)
    assert recipient == partner.agency.registry_address
    part = partner.opened(mail)
    status = next(one.get_payload(decode=True) for one in part.walk() if one.get_filename() == "status.edxml")
    told = read(status).packet
    assert isinstance(told, StatusPacket)
    assert told.status_code == "02"
    assert any((one.get_filename() or "").endswith(".receipt.json") for one in part.walk())


def test_nothing_of_a_failed_message_counts(partner: Partner) -> None:
    """Altered, unsigned, by a stranger, by a stranger under the partner's name: held or refused, nothing read."""
    office = partner.office
    told = issue(office)
    take_queue(office)
    edxml = partner.status(told, "03")
    good = partner.mail(edxml)
    lines = good.split(b"\r\n")
    at = next(number for number, line in enumerate(lines) if line.startswith(b"-----BEGIN PGP")) + 20
    lines[at] = lines[at][::-1]
    stranger = make_pair(partner.home, f"Sở Nội vụ <{partner.agency.registry_address}>")
    mails = [
        (b"\r\n".join(lines), "altered"),
        (partner.mail(edxml, "--no-encrypt-to"), "UNSIGNED"),
        (partner.mail(edxml, "--sign", "--local-user", stranger.fingerprint), "agency pin add"),
        (partner.mail(edxml, key=partner.pair.fingerprint), "altered"),
        (partner.mail(edxml, "--no-encrypt-to", false=True), "HASH_FAILURE"),
    ]
    for mail, _ in mails:
        partner.send(mail)
    held = _incoming(office)
    assert [one.state for one in held] == ["held"] * 4 + ["refused"]
    assert all(word in one.fields.reason_en for one, (_, word) in zip(held, mails, strict=True))
    for one in held:
        assert not one.wrapped_key
        assert not one.fields.subject
        assert told["document_id"] not in str(one.fields)
    assert outcome(office, told)[0] == "pending"
    with pytest.raises(Refused):
        again.look_again(office.exchange, held[0].ref, office.province.people[CLERK])
    acts(office.exchange)["pin.add"](
        agency="H12.02", data=stranger.public, since="", until="", by="t", fingerprint=stranger.fingerprint
    )
    again.look_again(office.exchange, held[2].ref, office.province.people[CLERK])
    assert load(office.exchange, held[2].ref).state == "refused"
    assert outcome(office, told)[0] == "accepted"


def test_what_is_sealed_anew_to_another_is_told_apart(partner: Partner) -> None:
    """The partner passes our packet on, encrypted to somebody else: the signed part names the keys it was for."""
    office = partner.office
    told = issue(office)
    ((_, _, mail),) = take_queue(office)
    message = email.message_from_bytes(mail)
    inner = gpg(partner.home, "--decrypt", data=message.get_payload()[1].get_payload(decode=True)).stdout
    table = acts(office.exchange)
    third = table["openpgp.issue"](agency="H12.02", renew=False, by="t")
    assert gpg(partner.home, "--import", data=third["armour"].encode()).returncode == 0
    sealed = gpg(partner.home, "--armor", "--encrypt", "-r", third["fingerprint"], data=inner).stdout
    body = mail[: mail.index(b"-----BEGIN PGP MESSAGE")] + sealed.replace(b"\n", b"\r\n")
    forwarded = body + mail[mail.index(b"-----END PGP MESSAGE-----") + 27 :]
    table["pin.add"](agency="H12.01", data=partner.armour, since="", until="", by="t")
    deliver(office, office.home.registry_address, office.other.registry_address, forwarded)
    Follower(office.exchange).follow()
    (held,) = arrivals(office)
    assert held.state == "held"
    assert "recipients" in held.fields.reason_en
    assert told["document_id"] not in str(held.fields)


@pytest.fixture
def both(small_office: Office) -> Office:
    """Two agencies that pinned each other's OpenPGP key and have no certificate of each other to encrypt to."""
    table = acts(small_office.exchange)
    for code in ("H12.01", "H12.02"):
        small_office.exchange.trust.path.joinpath("agencies", f"{code}.encrypt.pem").unlink()
        made = table["openpgp.issue"](agency=code, renew=False, by="t")
        armour = made["armour"].encode()
        assert table["openpgp.export"](agency=code) == made
        table["pin.add"](
            agency=code, data=armour, since="", until="", by="t", fingerprint=made["fingerprint"]
        )
    return small_office


def test_the_whole_walk_in_openpgp(both: Office) -> None:
    """Sent, opened by the receiver's key in the signer, 01 and 03 with receipts back, proved; evidence stands offline."""
    office, table = both, acts(both.exchange)
    told = issue(office)
    round_trip(office)
    (arrived,) = arrivals(office)
    assert (arrived.state, arrived.fields.packet_digest) == ("arrived", told["packet_digest"])
    assert arrived.fields.official
    table["document.accept"](document=told["id"], agency="H12.02", clerk=RECEIVER)
    round_trip(office)
    assert outcome(office, told) == (
        "accepted",
        [("sent", True), ("arrived", True), ("registered", True)],
    )
    office.sequencer.sequence_once()
    evidence = evidence_of(office.exchange, finding.find(office.exchange, told["id"]).ref, CLERK)
    trust = office.exchange.trust
    anchors = Anchors(trust.own_roots())
    key = table["openpgp.export"](agency="H12.01")["armour"].encode()
    verdict = verify_file(evidence, anchors=anchors, pgp_keys=[key])
    assert (verdict.verdict, verdict.encryption, verdict.not_covered) == ("TOTAL-PASSED", "decrypted", ())
    without = verify_file(evidence, anchors=anchors)
    assert (without.verdict, without.sub_indication) == ("INDETERMINATE", "NO_SIGNING_CERTIFICATE_FOUND")
    end = evidence.index(b"-----END PGP MESSAGE")
    for at in (evidence.index(b"-----BEGIN PGP MESSAGE") + 400, end - 5, end - 8):  # also in the checksum
        altered = evidence[:at] + bytes((evidence[at] ^ 1,)) + evidence[at + 1 :]
        assert verify_file(altered, anchors=anchors, pgp_keys=[key]).verdict == "TOTAL-FAILED"


def test_old_packets_open_after_a_renewal(both: Office) -> None:
    office, table = both, acts(both.exchange)
    issue(office)
    ((_, _, mail),) = take_queue(office)
    renewed = table["openpgp.issue"](agency="H12.02", renew=True, by="t")
    with pytest.raises(Refused):
        table["openpgp.issue"](agency="H12.02", renew=False, by="t")
    deliver(office, office.home.registry_address, office.other.registry_address, mail)
    Follower(office.exchange).follow()
    (arrived,) = arrivals(office)
    assert arrived.state == "arrived"
    later = table["pin.list"]()["items"]
    assert renewed["fingerprint"] not in [one["sha256"] for one in later]


def test_pins_of_openpgp_keys(small_office: Office) -> None:
    """Refused with words: two keys and none named, a private key, an address that is not the registry's, another's key."""
    table = acts(small_office.exchange)
    registry = small_office.other.registry_address

    def refused(code: str, data: bytes, **more: str) -> None:
        with pytest.raises(Refused) as problem:
            table["pin.add"](**{"agency": "H12.02", "data": data, "since": "", "until": "", "by": "t"} | more)
        assert problem.value.code == code

    with gpg_home() as home:
        one, two = (make_pair(home, f"{name} <{registry}>") for name in ("A", "B"))
        other = make_pair(home, "C <somebody@else.example>")
        refused("which-openpgp-key", one.public + two.public)
        refused("which-openpgp-key", one.public, fingerprint=two.fingerprint)
        refused("other-agency", other.public)
        refused("other-agency", one.public, agency="H12.01")
        refused(
            "no-openpgp-key",
            b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabcd\n-----END PGP PUBLIC KEY BLOCK-----\n",
        )
        signs = gpg(
            home, "--passphrase", "", "--quick-generate-key", f"S <{registry}>", "ed25519", "sign", "never"
        )
        only = signs.stderr.decode().partition("KEY_CREATED P ")[2].split()[0]
        refused("openpgp-encrypt", gpg(home, "--armor", "--export", only).stdout)
        weak = make_pair(home, f"W <{registry}>", "rsa1024", "never", "--allow-weak-key-signatures")
        refused("weak-key", weak.public)
        table["pin.add"](
            agency="H12.02",
            data=one.public + two.public,
            since="",
            until="",
            by="t",
            fingerprint=two.fingerprint,
        )
    (pin,) = table["pin.list"]()["items"]
    assert (pin["kind"], pin["sha256"], pin["holds"]) == ("openpgp", two.fingerprint, True)
    assert table["pin.remove"](agency="H12.02", sha256=two.fingerprint[:10].lower(), by="t")["removed"] == 1
    assert not small_office.exchange.trust.openpgp_keys()
