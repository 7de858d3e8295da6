# SPDX-License-Identifier: AGPL-3.0-or-later
"""The demo's first document, and ``ready.json`` (DESIGN §5)."""

from __future__ import annotations

import json
import time
from typing import Any

from config.clock import today_local
from config.durable import write_durably
from config.refusal import Unavailable
from config.settings import Settings
from congvan.control import call
from congvan.demo.people import BODIES
from congvan.installation import Installation
from exchange.documents.finding import find
from exchange.documents.work import content, take_up
from exchange.signing.pdf.compose import Draft, compose_draft

_SENDER, _RECEIVERS = "H12.01", ("H12.02", "H12.16")
_SUBJECT = "Về việc triển khai hệ thống thư điện tử công vụ và trao đổi văn bản điện tử"
_ACCEPTS = _RECEIVERS[0]
_WAIT_S = 30.0


def first_document(settings: Settings) -> dict[str, Any] | None:
    """Issue a notice, wait until it arrived, have one receiver's clerk accept it; once a demo.

    Raises `Unavailable` when it does not arrive in time.
    """
    known = settings.base / "first-document.json"
    if known.is_file():
        document: dict[str, Any] = json.loads(known.read_bytes())
        return document
    write_durably(
        settings.base / "draft.pdf", compose_draft(_draft("H12.02", "Lịch tập huấn văn thư, lưu trữ"))
    )
    answer = call(
        settings,
        "document.issue",
        {
            "pdf": compose_draft(_draft(_SENDER, _SUBJECT)),
            "agency": _SENDER,
            "to": list(_RECEIVERS),
            "kind": "Thông báo",
            "subject": _SUBJECT,
            "signer": f"lanhdao@{_body(_SENDER).domain}",
            "clerk": f"canbo.vanthu@{_body(_SENDER).domain}",
        },
    )
    parts = Installation(settings)
    try:
        pdf = settings.base / "issued.pdf"
        exchange = parts.exchange
        work = take_up(exchange, find(exchange, answer["id"]).ref, "demo")
        write_durably(pdf, content(exchange, work, "issued")[1])
    finally:
        parts.close()
    _wait(settings, answer["id"], dict.fromkeys(_RECEIVERS, "01"))
    clerk = f"canbo.vanthu@{_body(_ACCEPTS).domain}"
    call(settings, "document.accept", {"document": answer["id"], "agency": _ACCEPTS, "clerk": clerk})
    _wait(settings, answer["id"], {_ACCEPTS: "03"})
    document = {
        "id": answer["id"],
        "number": answer["number"],
        "from": _SENDER,
        "to": list(_RECEIVERS),
        "pdf": str(pdf),
        "agency_keys": {code: str(settings.base / "keys" / f"{code}.pem") for code in (_SENDER, *_RECEIVERS)},
    }
    write_durably(known, json.dumps(document, ensure_ascii=False).encode())
    return document


def describe(settings: Settings, pids: dict[str, object], document: dict[str, Any] | None) -> dict[str, Any]:
    """The content of ``ready.json``."""
    passwords = json.loads((settings.base / "accounts.json").read_bytes())
    parts = Installation(settings)
    try:
        agencies = parts.accounts.agencies()
        people = [one for one in parts.accounts.all() if one.address in passwords]
    finally:
        parts.close()
    listen = settings.listen
    return {
        "smtp": listen.smtp,
        "submission": listen.submission,
        "submissions": listen.submissions,
        "imap": listen.imap,
        "imaps": listen.imaps,
        "web": f"https://{listen.web}",
        "public": f"https://{listen.public}",
        "status": listen.status,
        "ca": str(settings.base / "ca.pem"),
        "tls_name": settings.installation.tls_name,
        "data_dir": str(settings.data_dir),
        "config": str(settings.file),
        "ledger": str(settings.ledger_dir),
        "pids": pids,
        "agencies": [
            {"code": one.code, "name": one.name, "domain": one.domain, "registry": one.registry_address}
            for one in agencies
        ],
        "accounts": [
            {
                "address": one.address,
                "password": passwords[one.address],
                "role": one.role,
                "agency": one.agency_code,
            }
            for one in people
        ],
        "documents": [document] if document is not None else [],
    }


def _body(code: str) -> Any:
    return next(one for one in BODIES if one.code == code)


def _draft(code: str, subject: str) -> Draft:
    body = _body(code)
    return Draft(
        agency=body.name,
        superior=_body(body.parent).name if body.parent else "",
        kind="Thông báo",
        subject=subject,
        paragraphs=(
            f"Thực hiện kế hoạch năm {today_local().year} về ứng dụng công nghệ thông tin trong cơ quan nhà nước, "
            f"{body.name} thông báo nội dung sau đến các cơ quan, đơn vị.",
            "1. Từ ngày thông báo, văn bản điện tử giữa các cơ quan được ký số, cấp số, đóng dấu số và gửi trên hệ "
            "thống; cơ quan nhận tiếp nhận, vào sổ và phản hồi trạng thái trong ngày.",
            "2. Thư công vụ được dùng cho trao đổi công việc; không gửi tài liệu công vụ qua hộp thư công cộng.",
            "3. Đề nghị các cơ quan cử cán bộ văn thư dự tập huấn theo lịch gửi kèm và phản hồi trước ngày 15 hằng "
            "tháng.",
        ),
        copies=("Như trên;", "Lưu: VT, VP."),
        post=body.head.upper(),
        signer=f"{body.head} {body.short}",
    )


def _wait(settings: Settings, document: str, wanted: dict[str, str]) -> None:
    """Until each agency's status code is known to the sender."""
    deadline = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline:
        told = call(settings, "document.status", {"document": document})
        there = {
            one["agency"]: {event.get("status") for event in one["evidence"]} for one in told["recipients"]
        }
        if all(code in there.get(agency, ()) for agency, code in wanted.items()):
            return
        time.sleep(0.1)
    raise Unavailable(
        "document-not-received",
        f"Văn bản mẫu chưa được nhận sau {_WAIT_S:.0f} giây; xem nhật ký worker.",
        f"The first document was not received within {_WAIT_S:.0f} s; see the worker's log.",
    )
