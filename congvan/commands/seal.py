# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan seal FILE``: a file of any size, signed by an agency and encrypted to others, for carrying it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cryptography import x509

from config.refusal import Refused
from congvan.commands.verify import unreadable
from congvan.installation import Installation, find_settings
from congvan.output import emit
from exchange.sealing.sealed_file import seal_file


def register(subparsers: Any) -> None:
    """Add the command."""
    command = subparsers.add_parser("seal", help="sign a file as an agency and encrypt it to others")
    command.add_argument("file", metavar="FILE", type=Path, help="what is sealed")
    command.add_argument("--agency", metavar="CODE", required=True, help="whose seal")
    command.add_argument(
        "--to", metavar="CODE[,CODE…]", required=True, action="append", help="agencies that can open it"
    )
    command.add_argument(
        "--output", metavar="FILE.p7m", type=Path, required=True, help="where the sealed file is written"
    )
    command.set_defaults(run=seal)


def seal(args: argparse.Namespace) -> int:
    """The seal is the signer's; the file's bytes stay in this process."""
    parts = Installation(find_settings(args))
    own = parts.trust.signing_certificate_of_agency(args.agency)
    if own is None:
        raise _nothing_for(args.agency)
    codes = [code.strip() for part in args.to for code in part.split(",") if code.strip()]
    chain = (own, *parts.trust.issuers_of(own))
    try:
        seal_file(
            args.file,
            args.output,
            chain,
            lambda attributes: parts.signer.sign_packet(args.agency, attributes).signature,
            [_certificate(parts, code) for code in (*codes, args.agency)],
        )
    except OSError as problem:
        raise unreadable(Path(problem.filename or args.file), problem) from None
    told = {"file": str(args.output), "size": args.output.stat().st_size, "from": args.agency, "to": codes}
    emit(args, told, f"{args.output}: đã ký và mã hóa cho {', '.join(codes)} · signed and encrypted")
    return 0


def _certificate(parts: Installation, code: str) -> x509.Certificate:
    found = parts.trust.encryption_certificate_of_agency(code)
    if found is None:
        raise _nothing_for(code)
    return found


def _nothing_for(code: str) -> Refused:
    return Refused(
        "no-certificate", f"Chưa có chứng thư số cho {code}.", f"There is no certificate for {code}."
    )
