# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan unseal FILE.p7m``: opens a sealed file with an agency's key in the signer, and judges who sealed it."""

from __future__ import annotations

import argparse
import getpass
from pathlib import Path
from typing import Any

from config.refusal import Refused
from congvan.commands.verify import shown, unreadable
from congvan.installation import Installation, find_settings
from congvan.output import emit
from exchange.sealing.judging import Judging
from exchange.sealing.recipients import signer_opener
from exchange.verifying.cms import verify_cms


def register(subparsers: Any) -> None:
    """Add the command."""
    command = subparsers.add_parser("unseal", help="open a sealed file with an agency's key (recorded)")
    command.add_argument("file", metavar="FILE.p7m", type=Path, help="the sealed file")
    command.add_argument("--agency", metavar="CODE", required=True, help="the agency that opens it")
    command.add_argument(
        "--output", metavar="FILE", type=Path, required=True, help="where the content is written"
    )
    command.set_defaults(run=unseal)


def unseal(args: argparse.Namespace) -> int:
    """Exit 0 only for TOTAL-PASSED; nothing is written when the signature failed."""
    parts = Installation(find_settings(args))
    certificate = parts.trust.encryption_certificate_of_agency(args.agency)
    if certificate is None:
        raise Refused(
            "no-certificate",
            f"Chưa có chứng thư số cho {args.agency}.",
            f"There is no certificate for {args.agency}.",
        )
    opener = signer_opener(parts.signer, args.agency, certificate, "open", f"{getpass.getuser()}@localhost")
    judging = Judging(parts.trust.anchors(), require_revocation=True)
    try:
        with args.file.open("rb") as source:
            verdict = verify_cms(source, judging, [opener], output=args.output)
    except OSError as problem:
        raise unreadable(Path(problem.filename or args.file), problem) from None
    emit(args, verdict.as_json(), shown(verdict))
    return 0 if verdict.passed else 1
