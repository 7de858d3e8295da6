# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan check``: looks at everything an operator must keep in order; each warning says its remedy."""

from __future__ import annotations

import argparse
import asyncio
import resource
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from cryptography import x509

from config.clock import now_us
from config.refusal import Refused
from config.settings import Settings
from congvan import certificates_check, dns_check, status_check, storage_check, turns_check
from congvan.installation import (
    find_settings,
    open_database,
    open_rulebook,
    open_seal,
)
from congvan.output import emit
from congvan.supervisor import running_pid
from exchange.signing.signer_client import SignerClient
from exchange.trust.directory import TrustDirectory
from mailserver.accounts import Accounts
from mailserver.accounts.schema import account
from mailserver.hygiene.screening import resolver_of, scanner_of
from mailserver.senderauth import keys
from mailserver.store import schema
from policy.ledger.schema import entry, pending
from webmail.pages.setup import servers

_DAYS_LEFT = 30
_PENDING_S = 60
_CONNECTIONS = 5  # of a person's programs at once
_FILES = 1000  # beside them


@dataclass(frozen=True, slots=True)
class Line:
    """One look: ``ok``, or what to do in Vietnamese and English."""

    name: str
    ok: bool
    vi: str
    en: str

    def shown(self) -> str:
        """The line on a terminal."""
        return f"{'ok ' if self.ok else 'FIX'}  {self.name:12} {self.vi} · {self.en}"


def register(subparsers: Any) -> None:
    """Add the command."""
    command = subparsers.add_parser("check", help="settings, keys, TLS, disk, clock, database, queue, ledger")
    command.set_defaults(run=check)


def check(args: argparse.Namespace) -> int:
    """Exit 0 when every line is ok."""
    settings = find_settings(args)
    lines = [line for look in _LOOKS for line in _safely(look, settings)]
    answer = {
        "ok": all(line.ok for line in lines),
        "items": [{"name": one.name, "ok": one.ok, "vi": one.vi, "en": one.en} for one in lines],
    }
    emit(args, answer, "\n".join(line.shown() for line in lines))
    return 0 if answer["ok"] else 1


def _safely(look: Callable[[Settings], Iterator[Line]], settings: Settings) -> list[Line]:
    try:
        return list(look(settings))
    except Refused as problem:
        return [Line(look.__name__.strip("_"), False, problem.vi, problem.en)]
    except OSError as problem:
        told = f"{problem.filename or ''}: {problem.strerror}"
        return [Line(look.__name__.strip("_"), False, f"Không đọc được {told}", f"Can't read {told}")]


def _running(settings: Settings) -> Iterator[Line]:
    pid = running_pid(settings)
    if pid is None:
        yield Line("running", False, "chưa chạy: `congvan serve`", "not running: `congvan serve`")
    else:
        yield Line("running", True, f"tiến trình {pid}", f"process {pid}")
        yield from _files(settings, pid)


def _files(settings: Settings, pid: int) -> Iterator[Line]:
    """Each connection is an open file of a mail process, and mail programs keep several."""
    database = open_database(settings)
    try:
        with database.reading() as conn:
            people = int(conn.execute(sa.select(sa.func.count()).select_from(account)).scalar_one())
    finally:
        database.close()
    _, most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    need = _FILES + _CONNECTIONS * people
    yield Line(
        "files",
        most >= need,
        f"{most} tệp mở cùng lúc, cần {need}"
        + ("" if most >= need else f": đặt LimitNOFILE={need} cho dịch vụ"),
        f"{most} open files, {need} wanted"
        + ("" if most >= need else f": set LimitNOFILE={need} for the service"),
    )


def _keys(settings: Settings) -> Iterator[Line]:
    open_seal(settings)
    for file in (settings.master_key, settings.at(settings.paths.signer_secret), settings.keyring):
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & 0o077:
            yield Line(
                "keys",
                False,
                f"người khác đọc được {file}: chmod 600 {file}",
                f"others can read {file}: chmod 600 {file}",
            )
    yield Line("keys", True, "vòng khóa mở được", "the key ring opens")
    if settings.installation.demo:
        yield Line(
            "keys",
            True,
            "bản thử: khóa được duyệt bằng tệp, không dùng thật",
            "demo: file-approved keys, not for use",
        )


def _tls(settings: Settings) -> Iterator[Line]:
    certificate = x509.load_pem_x509_certificate(settings.at(settings.tls.certificate).read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    days = (certificate.not_valid_after_utc - datetime.now(UTC)).days
    good = settings.installation.tls_name in names.get_values_for_type(x509.DNSName)
    if not good:
        yield Line(
            "tls",
            False,
            f"chứng thư không ghi tên {settings.installation.tls_name}: xin chứng thư mới",
            f"the certificate does not name {settings.installation.tls_name}: get another",
        )
    fresh = days > _DAYS_LEFT
    yield Line(
        "tls",
        fresh,
        f"còn {days} ngày" + ("" if fresh else ": gia hạn chứng thư"),
        f"{days} days left" + ("" if fresh else ": renew the certificate"),
    )


def _revocation(settings: Settings) -> Iterator[Line]:
    for crl in TrustDirectory(settings.trust_dir).crls():
        until = crl.next_update_utc
        good = until is not None and until > datetime.now(UTC)
        yield Line(
            "revocation",
            good,
            f"danh sách thu hồi đến {until:%d/%m/%Y}"
            if good
            else "danh sách thu hồi hết hạn: khởi động lại signer",
            f"revocation list until {until:%Y-%m-%d}"
            if good
            else "a revocation list has ended: restart the signer",
        )


def _signer(settings: Settings) -> Iterator[Line]:
    if running_pid(settings) is None:
        return
    client = SignerClient(settings.run_dir / "signer.sock", timeout=5)
    try:
        keys_held, in_token = client.status()["keys"], client.reach_token()
    finally:
        client.close()
    where = ("có khóa trong thiết bị", "some in the token") if in_token else ("trong tệp", "in files")
    yield Line("signer", True, f"{keys_held} khóa, {where[0]}", f"{keys_held} keys, {where[1]}")


def _certificates(settings: Settings) -> Iterator[Line]:
    yield Line("certificates", *certificates_check.look(settings))
    yield Line("authorities", *certificates_check.authorities(settings))


def _status(settings: Settings) -> Iterator[Line]:
    yield Line("status", *status_check.look(settings))


def _writing(settings: Settings) -> Iterator[Line]:
    yield Line("writing", *turns_check.look(settings))


def _room(settings: Settings) -> Iterator[Line]:
    yield Line("disk", *storage_check.disk(settings))
    yield Line("storage", *storage_check.waste(settings))
    yield Line("quota", *storage_check.quota(settings))


def _backup(settings: Settings) -> Iterator[Line]:
    good = bool(settings.backup.recipient) or settings.installation.demo
    yield Line(
        "backup",
        good,
        "có khóa sao lưu" if settings.backup.recipient else "chưa có khóa sao lưu: `congvan backup key TỆP`",
        "there is a backup key" if settings.backup.recipient else "no backup key: `congvan backup key FILE`",
    )


def _routes(settings: Settings) -> Iterator[Line]:
    """Agencies whose letters stay here though the routes table says that another server has their mail."""
    database = open_database(settings)
    try:
        here = [one for one in Accounts(database, open_seal(settings)).agencies() if not one.elsewhere]
    finally:
        database.close()
    routed = {one.lower() for one in settings.queue.routes}
    found = ", ".join(one.code for one in here if one.domain in routed)
    yield Line(
        "routes",
        not found,
        f"có hộp thư ở đây dù [queue] routes chỉ đi nơi khác: {found}: `congvan agency elsewhere`"
        if found
        else "không trái với cơ quan nào ở đây",
        f"have a mailbox here though [queue] routes leads elsewhere: {found}: `congvan agency elsewhere`"
        if found
        else "none against an agency here",
    )


def _database(settings: Settings) -> Iterator[Line]:
    database = open_database(settings)
    try:
        with database.reading() as conn:
            held = _count(conn, schema.outbound, schema.outbound.c.state == "held")
            waiting = _count(conn, schema.outbound, schema.outbound.c.state == "waiting")
            oldest = conn.execute(sa.select(sa.func.min(pending.c.at_us))).scalar()
            newest = conn.execute(sa.select(sa.func.max(entry.c.at_us))).scalar()
        yield Line("database", True, f"{database.dialect}, đọc được", f"{database.dialect}, readable")
    finally:
        database.close()
    yield Line(
        "queue",
        not held,
        f"{waiting} chờ, {held} giữ lại" + (": xem `congvan queue list`" if held else ""),
        f"{waiting} waiting, {held} held" + (": see `congvan queue list`" if held else ""),
    )
    late = oldest is not None and now_us() - int(oldest) > _PENDING_S * 1_000_000
    yield Line(
        "ledger",
        not late,
        "có mục chưa vào sổ hơn một phút: xem nhật ký worker" if late else "không có mục chờ lâu",
        "entries wait for over a minute: see the worker's log" if late else "no entry waits long",
    )
    ahead = newest is not None and int(newest) > now_us() + 5_000_000
    yield Line(
        "clock",
        not ahead,
        "đồng hồ chạy lùi so với sổ ghi nhận: kiểm tra NTP" if ahead else "không lùi so với sổ ghi nhận",
        "the clock is behind the ledger: check NTP" if ahead else "not behind the ledger",
    )


def _count(conn: sa.Connection, table: sa.Table, where: sa.ColumnElement[bool]) -> int:
    return int(conn.execute(sa.select(sa.func.count()).select_from(table).where(where)).scalar() or 0)


def _dns(settings: Settings) -> Iterator[Line]:
    resolver = resolver_of(settings)
    if resolver is None:
        yield Line("dns", True, "không tra DNS ([dns] enabled)", "the DNS is not asked ([dns] enabled)")
        return
    database = open_database(settings)
    try:
        domains = [
            one.domain for one in Accounts(database, open_seal(settings)).agencies() if not one.elsewhere
        ]
        with database.reading() as conn:
            found_keys = keys.listed(conn)
    finally:
        database.close()
    where = servers.of(settings)
    server = dns_check.Server(where.host, where.imaps, where.submissions)
    for one in asyncio.run(dns_check.look(resolver, server, domains, found_keys)):
        yield Line(one.name, not one.fix_en, one.fix_vi or "đúng", one.fix_en or "right")


def _scanner(settings: Settings) -> Iterator[Line]:
    scanner = scanner_of(settings)
    if scanner is None:
        yield Line(
            "scanner",
            True,
            "không có máy quét: thư ghi “chưa quét”",
            "no scanner: mail is shown as not scanned",
        )
        return
    try:
        version = asyncio.run(scanner.version())
    except (OSError, TimeoutError, EOFError, ValueError) as problem:
        yield Line(
            "scanner",
            False,
            f"máy quét không trả lời ({problem}): khởi động clamd hoặc sửa [hygiene] scanner",
            f"the scanner does not answer ({problem}): start clamd or correct [hygiene] scanner",
        )
    else:
        yield Line("scanner", True, version[:60], version[:60])


def _rules(settings: Settings) -> Iterator[Line]:
    book = open_rulebook(settings)
    yield Line("rules", True, f"{len(book.holdings)} quy tắc", f"{len(book.holdings)} rules")


def _paths(settings: Settings) -> Iterator[Line]:
    length = len(str(Path(settings.run_dir) / "control.sock"))
    yield Line(
        "sockets",
        length < 100,
        "đường dẫn run ngắn" if length < 100 else "đường dẫn run quá dài: rút ngắn paths.run",
        "the run path is short" if length < 100 else "the run path is too long: shorten paths.run",
    )


_LOOKS = (
    _running,
    _paths,
    _keys,
    _tls,
    _revocation,
    _signer,
    _certificates,
    _status,
    _room,
    _writing,
    _backup,
    _routes,
    _database,
    _rules,
    _dns,
    _scanner,
)
