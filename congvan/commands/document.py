# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan document``: issue, accept, refuse, status, open, report, evidence (DESIGN §5)."""

from __future__ import annotations

import argparse
import getpass
import os
from pathlib import Path
from typing import Any

from config.durable import write_durably
from config.refusal import Refused
from congvan.control import call
from congvan.installation import Installation, find_settings
from congvan.output import emit
from exchange.documents import finding, listing
from exchange.documents.states import NAMES
from exchange.edxml.statuses import STATUS_NAMES

_LARGEST = 64 * 1024 * 1024
_SECONDS = 180.0


def register(subparsers: Any) -> None:
    """Add the command."""
    command = subparsers.add_parser("document", help="issue, accept, refuse and follow official documents")
    acts = command.add_subparsers(title="acts", metavar="ACT", required=True)
    _issue(acts)
    for name, words in (("accept", "register an arrived document (03)"), ("refuse", "return it (02)")):
        one = acts.add_parser(name, help=words)
        one.add_argument("id", metavar="ID", help="internal id, edXML DocumentId, or number/notation")
        one.add_argument("--agency", metavar="CODE", required=True, help="the receiving agency")
        one.add_argument("--clerk", metavar="ADDRESS", required=True, help="the clerk whose act it is")
        one.add_argument(
            "--reason", metavar="TEXT", default="", help="told to the sender; a refusal needs one"
        )
        one.set_defaults(run=answer, act=name)
    one = acts.add_parser("archive", help="the archive copy of a sent document, renewed for the long term")
    one.add_argument("id", metavar="ID", help="internal id, edXML DocumentId, or number/notation")
    one.add_argument("--output", metavar="FILE", type=Path, required=True, help="where the file is written")
    one.set_defaults(run=archive)
    one = acts.add_parser("status", help="where a document is, and what proves it")
    one.add_argument("id", metavar="ID", help="internal id, edXML DocumentId, or number/notation")
    one.set_defaults(run=status)
    one = acts.add_parser("open", help="open a packet file with an agency's key (recorded)")
    one.add_argument("file", metavar="FILE", type=Path, help="a packet, as it came")
    one.add_argument("--agency", metavar="CODE", required=True, help="the receiving agency")
    one.add_argument("--output", metavar="DIR", type=Path, required=True, help="folder for the parts")
    one.set_defaults(run=open_file)
    one = acts.add_parser(
        "report", help="the verdict kept on receipt, signed by the receiver; with --anew judged again"
    )
    one.add_argument("id", metavar="ID", help="internal id, edXML DocumentId, or number/notation")
    one.add_argument("--agency", metavar="CODE", required=True, help="the receiving agency")
    one.add_argument(
        "--clerk", metavar="ADDRESS", required=True, help="who looks: its clerk or leader (recorded)"
    )
    one.add_argument("--anew", action="store_true", help="judge now, and keep that report beside the first")
    one.add_argument("--output", metavar="FILE", type=Path, help="where the newest signed report goes")
    one.set_defaults(run=report)
    one = acts.add_parser("reopen", help="look again at a packet that was held unopened")
    one.add_argument("id", metavar="ID", help="internal id, edXML DocumentId, or number/notation")
    one.add_argument("--agency", metavar="CODE", required=True, help="the receiving agency")
    one.add_argument("--clerk", metavar="ADDRESS", required=True, help="the clerk whose act it is")
    one.set_defaults(run=reopen)
    one = acts.add_parser("evidence", help="everything that proves a sent document, in one file")
    one.add_argument("id", metavar="ID", help="internal id, edXML DocumentId, or number/notation")
    one.add_argument("--output", metavar="FILE", type=Path, required=True, help="where the file is written")
    one.set_defaults(run=evidence)


def _issue(acts: Any) -> None:
    one = acts.add_parser("issue", help="number, seal and send a PDF that its signer approved")
    one.add_argument("pdf", metavar="PDF", type=Path, help="the draft, not signed yet")
    one.add_argument("--agency", metavar="CODE", required=True, help="the issuing agency")
    one.add_argument(
        "--to", metavar="CODE[,CODE…]", required=True, action="append", help="receiving agencies"
    )
    one.add_argument("--kind", metavar="KIND", required=True, help='for example "Thông báo"')
    one.add_argument("--unit", metavar="NOTATION", default="", help="drafting unit, for an official letter")
    one.add_argument("--subject", metavar="TEXT", required=True, help="the abstract (trích yếu)")
    one.add_argument("--signer", metavar="ADDRESS", required=True, help="who approved and signs it")
    one.add_argument("--clerk", metavar="ADDRESS", required=True, help="who numbers and seals it")
    one.add_argument(
        "--initial", metavar="ADDRESS", action="append", default=[], help="who initials it first (ký nháy)"
    )
    one.add_argument(
        "--co-signer",
        metavar="ADDRESS",
        action="append",
        default=[],
        help="who signs after the signer; one of another agency makes it a joint document, which that agency seals",
    )
    one.add_argument(
        "--attachment",
        metavar="PDF",
        type=Path,
        action="append",
        default=[],
        help="an attachment in a file of its own (phụ lục)",
    )
    one.set_defaults(run=issue)
    one = acts.add_parser("seal", help="seal a joint document for an agency that issues it with another")
    one.add_argument("id", metavar="ID", help="internal id, edXML DocumentId, or number/notation")
    one.add_argument("--agency", metavar="CODE", required=True, help="the jointly issuing agency")
    one.add_argument("--clerk", metavar="ADDRESS", required=True, help="its clerk")
    one.set_defaults(run=seal)


def issue(args: argparse.Namespace) -> int:
    """All the way to “sent”."""
    settings = find_settings(args)
    told = call(
        settings,
        "document.issue",
        {
            "pdf": _read(args.pdf),
            "file_name": args.pdf.name,
            "agency": args.agency,
            "to": [code.strip() for part in args.to for code in part.split(",") if code.strip()],
            "kind": args.kind,
            "unit": args.unit,
            "subject": args.subject,
            "signer": args.signer,
            "clerk": args.clerk,
            "initials": args.initial,
            "co_signers": args.co_signer,
            "annexes": [(one.name, _read(one)) for one in args.attachment],
        },
        seconds=_SECONDS,
    )
    _say(args, told)
    return 0


def seal(args: argparse.Namespace) -> int:
    """The seal of a jointly issuing agency; with the last one the document is sent."""
    told = call(
        find_settings(args),
        "document.seal",
        {"document": args.id, "agency": args.agency, "clerk": args.clerk},
        seconds=_SECONDS,
    )
    _say(args, told)
    return 0


def _say(args: argparse.Namespace, told: dict[str, Any]) -> None:
    """Where an issued document stands now."""
    to = ", ".join(one["agency"] for one in told["recipients"])
    if told["state"] == "sent":
        words = f"đã phát hành, gửi {to} · issued, sent to {to}"
    else:
        vi, en = NAMES[told["state"]]
        words = f"{vi} · {en}"
    emit(args, told, f"{told['number']} ({told['id']}): {words}")


def answer(args: argparse.Namespace) -> int:
    """The receiving clerk's act."""
    told = call(
        find_settings(args),
        f"document.{args.act}",
        {"document": args.id, "agency": args.agency, "clerk": args.clerk, "reason": args.reason},
        seconds=_SECONDS,
    )
    vi, en = NAMES[told["state"]]
    arrival = f", số đến {told['arrival_number']}" if told["arrival_number"] else ""
    emit(args, told, f"{told['number']} ({told['id']}): {vi}{arrival} · {en}")
    return 0


def status(args: argparse.Namespace) -> int:
    """Read from the database."""
    parts = Installation(find_settings(args))
    try:
        exchange = parts.exchange
        told = listing.status(exchange, finding.find(exchange, args.id).ref)
    finally:
        parts.close()
    lines = [f"{told['number'] or told['id']} ({told['document_id']}): {NAMES[told['state']][0]}"]
    for one in told["recipients"]:
        lines.append(f"  {one['agency']}: {one['outcome']}")
        for step in one["evidence"]:
            name = STATUS_NAMES.get(step.get("status", ""), (step["event"], ""))[0]
            proved = "có bằng chứng · proved" if step["proved"] else "khai báo · claimed"
            lines.append(f"    {step['time']} {name} ({proved})")
    emit(args, told, "\n".join(lines))
    return 0


def open_file(args: argparse.Namespace) -> int:
    """Write the parts of a packet into a folder; exit 1 when the packet does not stand."""
    told = call(
        find_settings(args),
        "document.open",
        {"mail": _read(args.file), "agency": args.agency, "who": _who()},
        seconds=_SECONDS,
    )
    folder: Path = args.output
    folder.mkdir(parents=True, exist_ok=True)
    written: list[dict[str, Any]] = []
    for number, one in enumerate(told["files"], 1):
        path = folder / _safe(one["name"], number, {entry["name"] for entry in written})
        write_durably(path, one["data"], mode=0o600)
        written.append({"name": path.name, "path": str(path.absolute()), "size": len(one["data"])})
    verdict = told["verdict"]
    answered = {"verdict": verdict, "files": written}
    emit(args, answered, "\n".join([verdict["verdict"], *(str(one["path"]) for one in written)]))
    return 0 if verdict["verdict"] == "TOTAL-PASSED" else 1


def reopen(args: argparse.Namespace) -> int:
    """After the sender's certificate was pinned, or a revocation list came."""
    asked = {"document": args.id, "agency": args.agency, "who": args.clerk}
    told = call(find_settings(args), "document.reopen", asked, seconds=_SECONDS)
    emit(args, told, f"{told['number']} ({told['id']}): {NAMES[told['state']][0]}")
    return 0


def report(args: argparse.Namespace) -> int:
    """Exit 0 when the newest kept verdict is TOTAL-PASSED."""
    told = call(
        find_settings(args),
        "document.report",
        {"document": args.id, "agency": args.agency, "who": args.clerk, "anew": args.anew},
        seconds=_SECONDS,
    )
    data = [one.pop("data") for one in told["items"]]
    if args.output is not None:
        write_durably(args.output.absolute(), data[-1], mode=0o600)
    lines = []
    for one in told["items"]:
        lines.append(f"{one['at']} {one['verdict']} · {one['meaning']['vi']} · {one['meaning']['en']}")
        lines += [f"  {text}" for text in one["advice"].values() if text]
        for layer in one["layers"]:
            parts = (layer["name"], layer["verdict"], layer["sub_indication"], layer["reason"])
            lines.append("  - " + " · ".join(dict.fromkeys(part for part in parts if part)))
    emit(args, told, "\n".join(lines))
    return 0 if told["items"][-1]["verdict"] == "TOTAL-PASSED" else 1


def archive(args: argparse.Namespace) -> int:
    """Write the archive copy (PAdES B-LTA), renewed now."""
    told = call(find_settings(args), "document.archive", {"document": args.id}, seconds=_SECONDS)
    path: Path = args.output.absolute()
    write_durably(path, told.pop("data"), mode=0o600)
    emit(args, told | {"file": str(path)}, f"{path}: sha256:{told['original']} ({told['size']})")
    return 0


def evidence(args: argparse.Namespace) -> int:
    """Write the evidence file."""
    told = call(
        find_settings(args), "document.evidence", {"document": args.id, "who": _who()}, seconds=_SECONDS
    )
    path: Path = args.output.absolute()
    write_durably(path, told["data"], mode=0o600)
    emit(args, {"id": told["id"], "file": str(path), "size": len(told["data"])}, str(path))
    return 0


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as problem:
        raise Refused(
            "no-file",
            f"Không mở được tệp {path}: {problem.strerror}.",
            f"The file {path} can't be opened: {problem.strerror}.",
        ) from problem
    if len(data) > _LARGEST:
        raise Refused("file-too-large", f"Tệp {path} lớn hơn 64 MB.", f"{path} is larger than 64 MB.")
    return data


def _safe(name: str, number: int, taken: set[str]) -> str:
    """A file name that stays in its folder and is not taken."""
    kept = "".join(c if c.isalnum() or c in "._- " else "_" for c in os.path.basename(name)).strip(" .")
    kept = kept[-150:] or f"part-{number}"
    return kept if kept not in taken else f"{number}-{kept}"


def _who() -> str:
    """Who runs the command, as the system knows them: recorded as opened by."""
    try:
        return f"{getpass.getuser()}@localhost"
    except (KeyError, OSError):
        return f"uid-{os.getuid()}@localhost"
