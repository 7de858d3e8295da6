# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan verify FILE``: is it genuine? Needs no installation, server or network."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

from config.clock import VIETNAM
from config.durable import write_durably
from config.refusal import Refused
from congvan.output import emit
from exchange.sealing.judging import Judging
from exchange.sealing.recipients import Opener, opener_of
from exchange.trust.anchors import Anchors
from exchange.trust.directory import TrustDirectory
from exchange.trust.verdict import Verdict
from exchange.verifying.cms import is_cms, verify_cms
from exchange.verifying.file import MAX_BYTES, verify_file
from exchange.verifying.openpgp import is_openpgp, verify_openpgp
from policy.ledger.checkpoint import Key

_MAX_KEY = 1_000_000


def register(subparsers: Any) -> None:
    """Add the command."""
    command = subparsers.add_parser(
        "verify", help="judge a PDF, e-mail, packet, edXML, receipt or evidence file"
    )
    command.add_argument(
        "file", metavar="FILE", type=Path, help="PDF, e-mail, packet, edXML, receipt, evidence or report"
    )
    command.add_argument("--trust", metavar="CA.pem", action="append", default=[], help="trusted root")
    command.add_argument(
        "--intermediate",
        metavar="CERT.pem",
        action="append",
        default=[],
        help="a certificate between signer and root; may be repeated",
    )
    command.add_argument("--crl", metavar="FILE", action="append", default=[], help="revocation list")
    command.add_argument(
        "--key",
        metavar="RECIPIENT.pem",
        action="append",
        default=[],
        help="private key and certificate that open what is encrypted, an OpenPGP armour file, or a ledger's public key",
    )
    command.add_argument(
        "--require-revocation", action="store_true", help="no word on revocation is not good enough"
    )
    command.add_argument("--at", metavar="TIME", help="judge as of this moment (ISO 8601), not of now")
    command.add_argument("--content", metavar="FILE", type=Path, help="what a detached signature is over")
    command.add_argument(
        "--output", metavar="FILE", type=Path, help="where the content of a CMS or OpenPGP file goes"
    )
    command.set_defaults(run=verify)


def verify(args: argparse.Namespace) -> int:
    """Exit 0 only for TOTAL-PASSED."""
    openers, logs, pgp = _keys([_read(Path(one), _MAX_KEY) for one in args.key])
    if is_cms(_read(args.file, 64)):
        verdict = _cms(args, openers)
    elif is_openpgp(_read(args.file, 200)):
        verdict = _openpgp(args, pgp)
    else:
        verdict = verify_file(
            _read(args.file, MAX_BYTES),
            args.file.name,
            anchors=_anchors(args),
            openers=openers,
            known_logs=logs,
            pgp_keys=pgp,
            require_revocation=args.require_revocation,
            now=_moment(args.at),
        )
    emit(args, verdict.as_json(), shown(verdict))
    return 0 if verdict.passed else 1


def _cms(args: argparse.Namespace, openers: list[Opener]) -> Verdict:
    """A CMS file may be larger than memory: it is read as a stream."""
    judging = Judging(_anchors(args), args.require_revocation, now=_moment(args.at))
    try:
        with ExitStack() as files:
            source = files.enter_context(args.file.open("rb"))
            content = files.enter_context(args.content.open("rb")) if args.content else None
            return verify_cms(source, judging, openers, content=content, output=args.output)
    except OSError as problem:
        raise unreadable(Path(problem.filename or args.file), problem) from None


def _openpgp(args: argparse.Namespace, keys: list[bytes]) -> Verdict:
    content = _read(args.content, MAX_BYTES) if args.content else None
    verdict, opened = verify_openpgp(_read(args.file, MAX_BYTES), keys, content)
    if opened is not None and args.output is not None:
        write_durably(args.output, opened, mode=0o600)
    return verdict


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(
            "bad-time", "Thời điểm viết theo ISO 8601.", "Write the moment as in 2026-11-28T08:00:00+07:00."
        ) from None
    return found if found.tzinfo is not None else found.replace(tzinfo=VIETNAM)


def _anchors(args: argparse.Namespace) -> Anchors:
    """What was named on the command line; without ``--trust`` the roots of an installation found here."""
    given = Anchors.load(args.trust, args.intermediate, args.crl)
    if args.trust:
        return given
    from congvan.installation import optional_settings

    settings = optional_settings(args)
    if settings is None or not (settings.trust_dir / "ca.pem").is_file():
        return given
    own = TrustDirectory(settings.trust_dir).anchors()
    return own.adding(given.intermediates, given.crls)


def _keys(files: list[bytes]) -> tuple[list[Opener], list[Key], list[bytes]]:
    openers, logs, pgp = [], [], []
    for data in files:
        if b"-----BEGIN PGP " in data:
            pgp.append(data)
            continue
        if b"-----BEGIN" in data:
            openers.append(opener_of(data))
            continue
        try:
            logs.append(Key.parse(data.decode("utf-8")))
        except ValueError:
            raise Refused(
                "no-key",
                "Tệp --key không có khóa riêng PEM, cũng không phải khóa công khai của sổ.",
                "The --key file holds neither a PEM private key nor the public key of a ledger.",
            ) from None
    return openers, logs, pgp


def _read(path: Path, longest: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(longest + 1)
    except OSError as problem:
        raise unreadable(path, problem) from None


def unreadable(path: Path, problem: OSError) -> Refused:
    """What is said of a file that can't be opened."""
    reason = problem.strerror or "?"
    return Refused(
        "file-unreadable", f"{path}: không mở được ({reason}).", f"{path}: can't be opened ({reason})."
    )


def shown(verdict: Verdict) -> str:
    """The verdict in words for a terminal."""
    meaning_vi, advice_vi = verdict.words("vi")
    meaning, advice = verdict.words("en")
    lines = [f"{verdict.verdict} · {meaning_vi} · {meaning}  ({verdict.kind})"]
    if verdict.reason:
        lines.append(f"  {verdict.reason}")
    lines += [f"  {text}" for text in (advice_vi, advice) if text]
    if verdict.encryption != "none":
        lines.append(f"  mã hóa · encryption: {verdict.encryption}")
    for one in verdict.signatures:
        parts = [one.role, one.signer, one.organisation, one.time, one.verdict, one.sub_indication]
        lines.append("  - " + " · ".join(part for part in parts if part))
    for problem in verdict.problems or ():
        lines.append(f"  ! {problem['rule']} {problem.get('vi', '')} · {problem['text']}")
    return "\n".join(lines)
