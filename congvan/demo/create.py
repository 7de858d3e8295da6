# SPDX-License-Identifier: AGPL-3.0-or-later
"""Making the demo province in an empty folder: settings, keys, database, agencies, people, first letters."""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid
from pathlib import Path

import sqlalchemy as sa

from config.clock import now_us, to_local
from config.durable import write_durably
from config.seal import create_keyring
from config.settings import Exchange as ExchangeSettings
from config.settings import Installation as Named
from config.settings import Listen, Mail, Paths, Queue, Settings, Signer, Submission, Tls, Web
from config.settings_file import example
from congvan import migrate
from congvan.demo.people import BODIES, PROVINCE, TLS_NAME, Body, Person, people_of
from congvan.installation import Installation
from exchange.signing.keys import KeyStore
from exchange.signing.provision import AgencyKeys, PersonKey, Places, export_agency_key, provision
from exchange.trust.directory import TrustDirectory
from mailserver.accounts import passwords
from mailserver.accounts.changes import NewAccount, NewAgency, add_account, add_agency
from mailserver.delivery import Incoming, Recipient
from mailserver.message.fields import address_field, text_field
from mailserver.store import mailboxes

_LONGEST_SOCKET_FOLDER = 80


def demo_settings(folder: Path, base_port: int) -> Settings:
    """The settings of a demo in ``folder`` with the ports of DESIGN §5."""
    local = "127.0.0.1:"
    run = folder / "run"
    if len(str(run)) > _LONGEST_SOCKET_FOLDER:  # a socket's name has 107 bytes at most
        mark = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
        run = Path(tempfile.gettempdir()) / f"congvan-{mark}"
    return Settings(
        base=folder,
        file=folder / "province.toml",
        installation=Named(name=PROVINCE, tls_name=TLS_NAME, origin="camau.example/congvan", demo=True),
        paths=Paths(run=str(run) if run.parent != folder else "run"),
        listen=Listen(
            smtp=f"{local}{base_port + 25}",
            submission=f"{local}{base_port + 587}",
            submissions=f"{local}{base_port + 465}",
            imap=f"{local}{base_port + 143}",
            imaps=f"{local}{base_port + 993}",
            web=f"{local}{base_port + 443}",
            public=f"{local}{base_port + 444}",
            status=f"{local}{base_port + 80}",
        ),
        signer=Signer(status_url=f"http://{local}{base_port + 80}"),
        tls=Tls(),
        mail=replace(Mail(), plaintext_on_loopback=True),
        queue=Queue(),
        submission=replace(Submission(), undo_seconds=3),
        exchange=replace(ExchangeSettings(), status_gather=1.0),
        web=replace(Web(), passkey_host="localhost"),
    )


def create(settings: Settings, say: Callable[[str], None]) -> None:
    """Make everything. The folder is empty or new; what is half made is not taken for whole: the
    settings file, by which the demo is recognised, is written last.
    """
    folder = settings.base
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    settings.run_dir.chmod(0o700)
    settings.master_key.parent.mkdir(parents=True, exist_ok=True)
    say("1/4  khóa, chứng thư · keys, certificates")
    create_keyring(settings.master_key, settings.keyring)
    everybody = [(body, person) for body in BODIES for person in people_of(body)]
    _provision(settings, everybody)
    store = KeyStore(settings.data_dir / "signer", settings.at(settings.paths.signer_secret))
    trust = TrustDirectory(settings.trust_dir)
    for body in BODIES:
        export_agency_key(store, trust, body.code, folder / "keys" / f"{body.code}.pem")
    anchor = trust.path / "ca.pem"
    write_durably(folder / "ca.pem", anchor.read_bytes())
    say("2/4  cơ sở dữ liệu · database")
    migrate.upgrade(settings.database_url)
    parts = Installation(settings)
    try:
        say(f"3/4  {len(BODIES)} cơ quan, {len(everybody)} tài khoản · agencies, accounts")
        words = _people(parts, everybody)
        write_durably(folder / "accounts.json", json.dumps(words, indent=1).encode(), mode=0o600)
        say("4/4  thư đầu tiên · first letters")
        asyncio.run(_letters(parts))
    finally:
        parts.close()
    write_durably(settings.file, example(settings).encode())


def _provision(settings: Settings, everybody: Sequence[tuple[Body, Person]]) -> None:
    provision(
        Places(
            keys=settings.data_dir / "signer",
            secret=settings.at(settings.paths.signer_secret),
            trust=settings.trust_dir,
            tls_certificate=settings.at(settings.tls.certificate),
            tls_key=settings.at(settings.tls.key),
            status_url=settings.signer.status_url,
        ),
        province=PROVINCE,
        origin=settings.installation.origin,
        tls_name=settings.installation.tls_name,
        agencies=[AgencyKeys(body.code, body.name, f"vanthu@{body.domain}") for body in BODIES],
        people=[
            PersonKey(one.address, one.name, one.title, body.name) for body, one in everybody if one.signs
        ],
    )


def _people(parts: Installation, everybody: Sequence[tuple[Body, Person]]) -> dict[str, str]:
    """Agencies and accounts with their standard mailboxes; gives the demo passwords by address."""
    secret = {person.address: passwords.new_app_password() for _, person in everybody}
    with ThreadPoolExecutor(2) as pool:
        slow = dict(
            zip(
                secret,
                pool.map(lambda word: passwords.keep(passwords.OWN, word), secret.values()),
                strict=True,
            )
        )
    homes = {}
    for body in BODIES:

        def job(conn: sa.Connection, body: Body = body) -> None:
            home = add_agency(
                conn,
                parts.seal,
                NewAgency(
                    body.code,
                    body.name,
                    body.short,
                    body.domain,
                    body.parent,
                    body.old_code,
                    body.place,
                    body.level,
                ),
            )
            homes[body.code] = home
            mailboxes.create_standard(conn, parts.seal, home.registry)
            for person in people_of(body):
                word = secret[person.address]
                salt = passwords.scram_salt(parts.seal, person.address)
                kept = (
                    (passwords.OWN, slow[person.address]),
                    (passwords.APP, passwords.keep(passwords.APP, word, salt)),
                )
                new = NewAccount(person.address, person.name, person.title, person.role, kept)
                made = add_account(conn, parts.seal, home, new)
                mailboxes.create_standard(conn, parts.seal, made.ref)

        parts.database.write(job)
    return secret


_LETTERS = (
    (
        "cntt@sotttt.camau.example",
        "Chào mừng đến với hộp thư công vụ",
        "Kính gửi các đồng chí,\n\nHộp thư công vụ đã sẵn sàng. Có thể đọc thư bằng trang web hoặc bằng "
        "ứng dụng thư quen dùng (IMAP và SMTP). Văn bản chính thức đi theo mục Văn bản, có chữ ký số, "
        "số và thông báo đã nhận.\n\nTrân trọng,\nCán bộ CNTT\n",
    ),
    (
        "chuyenvien1@sonoivu.camau.example",
        "Đề nghị góp ý dự thảo quy chế làm việc",
        "Kính gửi các đồng chí,\n\nSở Nội vụ gửi dự thảo quy chế làm việc năm 2026 để góp ý. Ý kiến xin gửi "
        "về trước 16 giờ 30 thứ Sáu tuần này, cũng bằng thư công vụ.\n\nTrân trọng cảm ơn.\n",
    ),
    (
        "chuyenvien1@vpubnd.camau.example",
        "Lịch họp giao ban tuần",
        "Kính gửi các đồng chí,\n\nHọp giao ban lúc 8 giờ sáng thứ Hai tại phòng họp số 2. Các đơn vị chuẩn bị "
        "báo cáo tiến độ xử lý văn bản đến trong tuần.\n\nVăn phòng\n",
    ),
)


async def _letters(parts: Installation) -> None:
    """A few ordinary letters between offices, so that no inbox is empty."""
    everybody = [one for one in parts.accounts.all() if one.role != "registry"]
    for sender, subject, text in _LETTERS:
        account = parts.accounts.by_address(sender)
        assert account is not None
        head = address_field("From", [(account.name, sender)])
        head += address_field("To", [("Các cơ quan trong tỉnh", "tatca@sotttt.camau.example")])
        head += text_field("Subject", subject)
        letter = EmailMessage(policy=SMTP)
        letter["Date"] = format_datetime(to_local(now_us()))
        letter["Message-ID"] = make_msgid(domain=sender.partition("@")[2])
        letter.set_content(text)
        receivers = tuple(Recipient(one.address) for one in everybody if one.address != sender)
        sent = parts.store.find_use(account.ref, "\\Sent")
        await parts.delivery.deliver(
            Incoming(sender, receivers, head + bytes(letter), "page", account=account, sent_copy=sent)
        )
