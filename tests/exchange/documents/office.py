# SPDX-License-Identifier: AGPL-3.0-or-later
"""A province with a real signer: keys, certificates, a signer on a socket of its own, a ledger that is sequenced."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from config.settings import Exchange as ExchangeSettings
from config.settings import Installation, Listen, Settings, Web
from exchange.exchange import Exchange
from exchange.signing.keys import KeyStore
from exchange.signing.pdf.compose import Draft, compose_draft
from exchange.signing.provision import AgencyKeys, PersonKey, Places, issuing_authority, provision
from exchange.signing.signer import SignerSettings, serve
from exchange.signing.signer_client import SignerClient
from exchange.signing.token_module import TokenPlace
from exchange.trust import authority as ca
from mailserver.accounts import Accounts, Agency
from mailserver.delivery import Delivery
from policy.ledger.store import Sequencer
from policy.rulebook import Rulebook, load
from tests.conftest import Province

ORIGIN = "camau.example/ledger"


@dataclass(frozen=True)
class Office:
    """Everything one needs to issue and receive."""

    province: Province
    exchange: Exchange
    delivery: Delivery
    sequencer: Sequencer
    folder: Path

    @property
    def home(self) -> Agency:
        """The issuing agency."""
        return self.province.home

    @property
    def other(self) -> Agency:
        """The receiving agency."""
        return self.province.other


@contextmanager
def office(
    province: Province,
    folder: Path,
    web_port: int = 443,
    token: TokenPlace | None = None,
    status_url: str = "",
) -> Iterator[Office]:
    """Provision keys for everybody in ``province`` and run a signer in a thread.

    ``web_port``: where pages with passkeys are served, on localhost. ``token``: where the signer finds tokens.
    ``status_url``: where certificates say that their status is served.
    """
    run = Path(tempfile.mkdtemp(prefix="cvs"))
    data = folder / "data"
    data.mkdir(exist_ok=True)
    agencies = [
        AgencyKeys(one.code, one.name, one.registry_address) for one in (province.home, province.other)
    ]
    leaders = [
        PersonKey(one.address, one.name, one.title, one.agency_name)
        for one in province.people.values()
        if one.role == "leader"
    ]
    places = Places(folder / "keys", folder / "signer.key", data / "trust", status_url=status_url)
    provision(
        places,
        province="Tỉnh Cà Mau",
        origin=ORIGIN,
        tls_name="mail.camau.example",
        agencies=agencies,
        people=leaders,
    )
    settings = Settings(
        base=folder,
        file=folder / "province.toml",
        installation=Installation(demo=True, origin=ORIGIN),
        exchange=ExchangeSettings(status_gather=0.0),
        listen=Listen(web=f"127.0.0.1:{web_port}"),
        web=Web(passkey_host="localhost"),
    )
    socket = run / "signer.sock"
    stop = run_signer(
        SignerSettings(
            socket,
            places.keys,
            places.secret,
            places.trust,
            ORIGIN,
            rate_factor=100,
            token=token,
            status_url=status_url,
            origins=settings.passkey_origins,
        )
    )
    client = SignerClient(socket, timeout=20)
    parts = _Parts(settings, province, load())
    exchange = Exchange.of(parts, client)
    sequencer = Sequencer(
        province.database,
        data / "ledger",
        lambda: exchange.ledger_keys,
        lambda key, body: client.checkpoint(body, key.hash.hex()),
    )
    delivery = Delivery(province.store, province.accounts, parts.rulebook, settings.mail.max_message_bytes)
    try:
        yield Office(province, exchange, delivery, sequencer, folder)
    finally:
        client.close()
        stop()
        shutil.rmtree(run, ignore_errors=True)


class _Parts:
    def __init__(self, settings: Settings, province: Province, rulebook: Rulebook) -> None:
        self.settings = settings
        self.rulebook = rulebook
        self.database = province.database
        self.seal = province.seal
        self.accounts: Accounts = province.accounts
        self.store = province.store
        self.wake = province.wake


def run_signer(settings: SignerSettings):  # type: ignore[no-untyped-def]
    """Serve in a thread until the returned function is called."""
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    tasks: list[asyncio.Task[None]] = []

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        await serve(settings, ready=ready.set)

    def work() -> None:
        try:
            loop.run_until_complete(main())
        except asyncio.CancelledError:
            pass
        finally:
            loop.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert ready.wait(10)

    def stop() -> None:
        loop.call_soon_threadsafe(tasks[0].cancel)
        thread.join(10)

    return stop


def draft_pdf(subject: str = "Về việc họp giao ban", kind: str = "Thông báo") -> bytes:
    """A PDF as an office would bring it."""
    return compose_draft(
        Draft(
            agency="Văn phòng UBND",
            subject=subject,
            paragraphs=("Kính mời các cơ quan dự họp đúng giờ.",),
            post="CHÁNH VĂN PHÒNG",
            signer="Chánh Văn phòng",
            kind=kind,
        )
    )


def ends_in(office: Office, address: str, days: int) -> None:
    """The certificate of a person (``address``) ends in ``days`` (negative: has ended); the key is as it was."""
    trust, who = office.exchange.trust, office.province.people[address]
    store = KeyStore(office.folder / "keys", office.folder / "signer.key")
    certificate = ca.person_certificate(
        issuing_authority(store, trust),
        store.elliptic(f"person:{address}")[0].public_key(),
        agency=who.agency_name,
        title=who.title,
        name=who.name,
        address=address,
        approval="file",
        now=datetime.now(UTC) - timedelta(days=2 * 365 - days, hours=-1),
    )
    issuing = trust.issuing_certificate()
    assert issuing is not None
    trust.put_person(address, [certificate, issuing])
