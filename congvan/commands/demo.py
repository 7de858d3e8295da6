# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan demo``: a small province on loopback in a folder; an existing one is resumed."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from config.durable import write_durably
from config.refusal import Unavailable
from config.settings import Settings
from config.settings_file import read
from congvan.output import emit, note
from congvan.supervisor import Supervisor

_DETACHED_S = 90.0
_LOG = "demo.log"
_THREE_THINGS = """
  Ba việc thử ngay · three things to try
   1. Mở trang web, đăng nhập bằng tài khoản chuyên viên, viết một lá thư.
      Open the web page, sign in as a civil servant, write a letter.
   2. Phát hành một văn bản · issue a document:
      {program} document issue {pdf} --agency H12.02 --to H12.03 --kind "Thông báo" \\
        --subject "Lịch tập huấn" --signer lanhdao@sonoivu.camau.example --clerk canbo.vanthu@sonoivu.camau.example
   3. Kiểm chứng · verify:  {program} audit verify    và    {program} verify {issued}
"""


def register(subparsers: Any) -> None:
    """Add the command."""
    command = subparsers.add_parser("demo", help="a small province on loopback")
    command.add_argument("--dir", default="demo", help="where it lives (default ./demo)")
    command.add_argument("--base-port", type=int, default=12000, metavar="N", help="SMTP N+25, IMAP N+143, …")
    command.add_argument("--detach", action="store_true", help="go to the background when ready")
    command.add_argument("--seconds", type=float, metavar="S", help="stop after S seconds")
    command.set_defaults(run=demo)


def demo(args: argparse.Namespace) -> int:
    """Make or resume the demo and run it."""
    folder = Path(args.dir).absolute()
    if args.detach:
        return _detach(args, folder)
    settings = _prepared(folder, args.base_port)
    ready = folder / "ready.json"
    ready.unlink(missing_ok=True)
    supervisor = Supervisor(settings)
    started = time.monotonic()
    supervisor.start()
    try:
        from congvan.demo.ready import describe, first_document

        document = first_document(settings)
        answer = describe(settings, supervisor.pids(), document)
        write_durably(ready, json.dumps(answer, ensure_ascii=False, indent=1).encode())
        _tell(args, settings, answer, time.monotonic() - started)

        def changed() -> None:
            again = describe(settings, supervisor.pids(), document)
            write_durably(ready, json.dumps(again, ensure_ascii=False, indent=1).encode())

        supervisor.watch(changed, None if args.seconds is None else time.monotonic() + args.seconds)
    finally:
        ready.unlink(missing_ok=True)
        supervisor.stop()
    return 0


def _prepared(folder: Path, base_port: int) -> Settings:
    from congvan.demo.create import create, demo_settings

    file = folder / "province.toml"
    if file.is_file():
        note(f"congvan: tiếp tục tỉnh thử trong {folder} · resuming the demo")
        return read(file)
    if folder.exists() and any(one.name != _LOG for one in folder.iterdir()):
        raise Unavailable(
            "folder-not-empty",
            f"Thư mục {folder} có tệp khác hoặc bản thử tạo dở. Xóa nó hoặc chọn --dir khác.",
            f"{folder} holds other files or a half-made demo. Remove it or choose another --dir.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    note(f"congvan: tạo tỉnh thử trong {folder} · making a demo province")
    settings = demo_settings(folder, base_port)
    create(settings, lambda line: note(f"  {line}"))
    return read(file)


def _tell(args: argparse.Namespace, settings: Settings, answer: dict[str, Any], seconds: float) -> None:
    accounts = answer["accounts"]
    chosen = [
        one
        for one in accounts
        if (one["agency"] in ("H12.02", "H12.03") and one["role"] in ("clerk", "leader", "civil-servant"))
        or one["role"] in ("auditor", "system-officer")
    ]
    lines = [
        f"\n  {settings.installation.name}  —  sẵn sàng sau {seconds:.1f} giây · ready",
        f"\n  Web        {answer['web']}    (chứng thư gốc · CA: {answer['ca']})",
        f"  IMAP       {answer['imaps']} (TLS), {answer['imap']}     SMTP  {answer['submissions']} (TLS), {answer['submission']}",
        "\n  Tài khoản · accounts (mật khẩu dùng cho web, IMAP, SMTP; tất cả trong ready.json)",
        *(f"   {one['role']:15} {one['address']:42} {one['password']}" for one in chosen),
    ]
    program = shlex.quote(sys.argv[0])
    document = next(iter(answer["documents"]), None)
    if document is not None:
        pdf = Path(answer["config"]).parent / "draft.pdf"
        lines.append(_THREE_THINGS.format(program=program, pdf=pdf, issued=document["pdf"]))
    lines.append(f"  Dừng · stop: Ctrl-C (hoặc `{program} stop`)")
    emit(args, answer, "\n".join(lines))


def _detach(args: argparse.Namespace, folder: Path) -> int:
    """Start the same command in a session of its own and wait until it is ready."""
    folder.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-m", "congvan.main", "demo", "--dir", str(folder)]
    words += ["--base-port", str(args.base_port)]
    if args.seconds is not None:
        words += ["--seconds", str(args.seconds)]
    ready = folder / "ready.json"
    ready.unlink(missing_ok=True)
    log = folder / _LOG
    with log.open("wb") as output:
        child = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=os.environ,
        )
    deadline = time.monotonic() + _DETACHED_S
    while time.monotonic() < deadline:
        if ready.is_file():
            answer = json.loads(ready.read_bytes())
            emit(args, answer, log.read_text(encoding="utf-8"))
            return 0
        if child.poll() is not None:
            sys.stderr.write(log.read_text(encoding="utf-8", errors="replace"))
            return child.returncode or 3
        time.sleep(0.05)
    child.terminate()
    raise Unavailable(
        "not-ready",
        f"Bản thử chưa sẵn sàng sau {_DETACHED_S:.0f} giây; xem {log}.",
        f"The demo was not ready within {_DETACHED_S:.0f} s; see {log}.",
    )
