# SPDX-License-Identifier: AGPL-3.0-or-later
"""A small province with real keys and a running signer, and the walk of one document through it."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from config.clock import now_us
from exchange.signing.keys import KeyStore
from exchange.signing.pdf.compose import Draft, compose_draft
from exchange.signing.pdf.fields import date_line, fill, number_line
from exchange.signing.pdf.layout import ORGANISATION
from exchange.signing.pdf.marks import pen_stroke, round_seal
from exchange.signing.pdf.prepare import prepare
from exchange.signing.pdf.sign import SignedFile, begin, finish, seal_as_agency, sign_as_person
from exchange.signing.pdf.validation_data import add_validation_data
from exchange.signing.protocol import PersonApproval, SealApproval
from exchange.signing.provision import AgencyKeys, PersonKey, Places, provision
from exchange.signing.signer import SignerSettings, serve
from exchange.signing.signer_client import SignerClient
from exchange.signing.token_module import TokenPlace
from exchange.trust.anchors import Anchors
from exchange.trust.directory import TrustDirectory

ORIGIN = "mail.camau.example/ledger"
OFFICE = AgencyKeys("H12.01", "Văn phòng Ủy ban nhân dân tỉnh Cà Mau", "vanthu@vpubnd.camau.example")
HOME = AgencyKeys("H12.02", "Sở Nội vụ", "vanthu@sonoivu.camau.example")
LEADER = PersonKey("lanhdao@vpubnd.camau.example", "Chánh Văn phòng", "Chánh Văn phòng", OFFICE.name)
DEPUTY = PersonKey("pho@vpubnd.camau.example", "Phó Chánh Văn phòng", "Phó Chánh Văn phòng", OFFICE.name)
DIRECTOR = PersonKey("giamdoc@sonoivu.camau.example", "Giám đốc", "Giám đốc", HOME.name)

DRAFT = Draft(
    superior="Ủy ban nhân dân tỉnh Cà Mau",
    agency="Văn phòng",
    kind="Thông báo",
    subject="Về việc gửi, nhận văn bản điện tử có ký số giữa các cơ quan trên địa bàn tỉnh",
    paragraphs=(
        "Thực hiện Nghị định số 30/2020/NĐ-CP ngày 05 tháng 3 năm 2020 của Chính phủ về công tác văn thư, "
        "Văn phòng Ủy ban nhân dân tỉnh thông báo như sau:",
        "Văn bản điện tử gửi, nhận giữa các cơ quan phải có chữ ký số của người có thẩm quyền và chữ ký số "
        "của cơ quan, tổ chức./.",
    ),
    post="Chánh Văn phòng",
    signer="Chánh Văn phòng",
)


@dataclass
class House:
    """Where everything is."""

    places: Places
    socket: Path
    rate_factor: float = 50.0
    token: TokenPlace | None = None
    client: SignerClient = field(init=False)
    directory: TrustDirectory = field(init=False)

    def __post_init__(self) -> None:
        self.client = SignerClient(self.socket)
        self.directory = TrustDirectory(self.places.trust)

    @property
    def settings(self) -> SignerSettings:
        return SignerSettings(
            self.socket,
            self.places.keys,
            self.places.secret,
            self.places.trust,
            ORIGIN,
            rate_factor=self.rate_factor,
            token=self.token,
            origins=("https://localhost",),
        )

    @property
    def store(self) -> KeyStore:
        return KeyStore(self.places.keys, self.places.secret)

    def anchors(self, *, crls: bool = False) -> Anchors:
        """Only the root, as somebody elsewhere has it."""
        known = self.directory.anchors()
        return Anchors(known.roots, (), known.crls if crls else ())

    def prepared(self) -> bytes:
        return prepare(compose_draft(DRAFT))

    def person_signs(self, data: bytes, person: PersonKey = LEADER) -> SignedFile:
        return sign_as_person(
            data, self.client, self.directory, person_approval(data, person), pen_stroke(person.name)
        )

    def numbered(self, signed: bytes, number: str = "12/TB-VP") -> bytes:
        return fill(signed, number_line(number), date_line("Cà Mau", date(2026, 1, 5)))

    def with_data(self, data: bytes) -> bytes:
        certificates = [
            self.directory.certificate_of_person(LEADER.address),
            self.directory.signing_certificate_of_agency(OFFICE.code),
            self.directory.issuing_certificate(),
            self.directory.timestamp_certificate(),
        ]
        return add_validation_data(data, [one for one in certificates if one], self.directory.crls())

    def seals(
        self, data: bytes, signed: bytes, code: str = OFFICE.code, field: str = ORGANISATION
    ) -> SignedFile:
        approval = seal_approval(signed)
        mark = round_seal("Văn phòng", "Ủy ban nhân dân tỉnh Cà Mau")
        return seal_as_agency(data, self.client, self.directory, code, approval, mark, field)

    def issued(self) -> bytes:
        """A document that went all the way."""
        signed = self.person_signs(self.prepared()).data
        return self.seals(self.with_data(self.numbered(signed)), signed).data

    def signed_locally(
        self, data: bytes, place: str, name: str, certificate: x509.Certificate | None
    ) -> bytes:
        """A signature with a key of the store, without asking the signer: what it would never do."""
        assert certificate is not None
        key, _ = self.store.elliptic(name)
        issuing = self.directory.issuing_certificate()
        begun = begin(data, place, certificate, [issuing] if issuing else [])
        value = key.sign(begun.signed_attrs, ec.ECDSA(hashes.SHA256()))
        return finish(begun, value, self.client.timestamp)[0]


def person_approval(document: bytes, person: PersonKey = LEADER, **changes: object) -> PersonApproval:
    values = {
        "id": str(uuid.uuid4()),
        "by": person.address,
        "document": hashlib.sha256(document).hexdigest(),
        "at": now_us(),
    }
    return PersonApproval(**{**values, **changes})  # type: ignore[arg-type]


def seal_approval(signed: bytes, **changes: object) -> SealApproval:
    values = {
        "id": str(uuid.uuid4()),
        "by": OFFICE.registry,
        "person_signed_digest": hashlib.sha256(signed).hexdigest(),
        "register_row": str(uuid.uuid4()),
        "template": "seal-1",
        "at": now_us(),
    }
    return SealApproval(**{**values, **changes})  # type: ignore[arg-type]


def build(folder: Path) -> House:
    """Provisions the province in ``folder``."""
    places = Places(
        folder / "keys",
        folder / "secrets" / "signer.key",
        folder / "trust",
        folder / "tls" / "server.pem",
        folder / "tls" / "server.key",
    )
    provision(
        places,
        province="Tỉnh Cà Mau",
        origin=ORIGIN,
        tls_name="mail.camau.example",
        agencies=[OFFICE, HOME],
        people=[LEADER, DEPUTY, DIRECTOR],
    )
    return House(places, folder / "s.sock")


@contextmanager
def running(house: House) -> Iterator[House]:
    """The signer of ``house`` in a thread with a loop of its own."""
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    task: list[asyncio.Task[None]] = []

    def run() -> None:
        asyncio.set_event_loop(loop)
        task.append(loop.create_task(serve(house.settings, ready=ready.set)))
        try:
            loop.run_until_complete(task[0])
        except asyncio.CancelledError:
            loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield house
    finally:
        loop.call_soon_threadsafe(task[0].cancel)
        thread.join(10)
        house.client.close()
