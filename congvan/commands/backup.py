# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan backup key FILE | DEST``: the key pair of backups, and a new generation into a folder."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyrage

from config.durable import write_durably
from config.refusal import Refused
from congvan.backup.taking import take
from congvan.installation import Installation, find_settings
from congvan.output import emit


def register(subparsers: Any) -> None:
    """Add the command."""
    command = subparsers.add_parser(
        "backup", help="a consistent encrypted copy while serving; `backup key FILE` makes its key"
    )
    command.add_argument("destination", help="folder of the generations; or the word: key")
    command.add_argument("file", nargs="?", help="with key: where the private key is written")
    command.set_defaults(run=backup)


def backup(args: argparse.Namespace) -> int:
    """Take a generation, or make the key."""
    if args.destination == "key":
        return _key(args)
    parts = Installation(find_settings(args))
    try:
        taken = take(parts, Path(args.destination).absolute())
    finally:
        parts.close()
    text = (
        f"{taken.name}: {taken.rows} dòng · rows, {taken.copied_bytes / 1048576:.1f} MB thư mới · new mail, "
        f"{taken.files} tệp · files"
    )
    emit(args, asdict(taken), text)
    return 0


def _key(args: argparse.Namespace) -> int:
    """Make the pair. Raises `Refused` (``file-exists``)."""
    if not args.file:
        raise Refused(
            "no-file", "Ghi tên tệp: `congvan backup key TỆP`.", "Name a file: `congvan backup key FILE`."
        )
    identity = pyrage.x25519.Identity.generate()
    public = str(identity.to_public())
    text = (
        f"# congvan backup key; keep it OFFLINE, away from the server\n# public key: {public}\n{identity}\n"
    )
    try:
        write_durably(Path(args.file).absolute(), text.encode(), mode=0o600, exclusive=True)
    except FileExistsError as problem:
        raise Refused("file-exists", f"{args.file} đã có.", f"{args.file} exists already.") from problem
    words = (
        f'[backup]\nrecipient = "{public}"\n\n'
        f"Ghi hai dòng trên vào province.toml; cất {args.file} ngoài máy chủ, hai bản.\n"
        f"Put the two lines into province.toml; keep {args.file} away from the server, two copies."
    )
    emit(args, {"recipient": public, "file": args.file}, words)
    return 0
