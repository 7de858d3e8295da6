# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan rules``: which rules hold, what one means, and what they say of a mail or a packet."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, get_args

from config.clock import today_local
from config.refusal import Refused
from congvan.installation import Installation, open_rulebook, optional_settings
from congvan.output import emit
from policy.basis import shown
from policy.facts import Facts, Moment
from policy.judge import judge
from policy.rulebook import Holding

_LARGEST = 128 * 1024 * 1024


def register(subparsers: Any) -> None:
    """Add the commands."""
    commands = subparsers.add_parser("rules", help="the rules and what they say").add_subparsers(
        metavar="ACT", required=True
    )
    listing = commands.add_parser("list", help="all rules with their basis, dates and severity")
    listing.add_argument("--markdown", action="store_true", help="as docs/rules.md")
    listing.set_defaults(run=list_rules)
    explain = commands.add_parser("explain", help="one rule in words")
    explain.add_argument("id", metavar="ID", help="R-…, as the refusal named it")
    explain.set_defaults(run=explain_rule)
    test = commands.add_parser("test", help="what the rules say of a mail (.eml) or a packet (.edxml)")
    test.add_argument("file", type=Path, metavar="FILE", help="a letter (.eml) or an edXML file")
    test.add_argument("--moment", choices=get_args(Moment), help="default: send for mail, receive for edXML")
    test.set_defaults(run=test_file)


def list_rules(args: argparse.Namespace) -> int:
    """Every period of every rule, in the order of judging."""
    items = [_described(one) for one in open_rulebook(optional_settings(args)).holdings]
    lines = [f"{one['id']:10} {_moments(one['moments']):34} {one['vi']}" for one in items]
    emit(args, {"items": items}, markdown(items) if args.markdown else "\n".join(lines))
    return 0


def markdown(items: list[dict[str, Any]]) -> str:
    """``docs/rules.md``."""
    lines = [
        "# The rules that are asked",
        "",
        "Written by `congvan rules list --markdown` from `policy/rules/` and `config/rulebook.toml`; do not edit. A basis",
        "shows its status: *căn cứ chưa đối chiếu* (unconfirmed), *quy tắc của hệ thống* (our own).",
        "",
        "| id | rule | when: severity | in force | basis |",
        "|---|---|---|---|---|",
    ]
    for one in items:
        period = f"{one['from'] or '…'} – {one['to'] or '…'}"
        cells = (one["id"], f"{one['en']}<br>*{one['vi']}*", _moments(one["moments"]), period, one["basis"])
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def explain_rule(args: argparse.Namespace) -> int:
    """Words, basis, moments, dates and parameters of one rule."""
    periods = open_rulebook(optional_settings(args)).of(args.id.upper())
    if not periods:
        raise Refused(
            "no-such-rule",
            f"Không có quy tắc {args.id}. Xem `congvan rules list`.",
            f"There is no rule {args.id}. See `congvan rules list`.",
        )
    items = [_described(one) for one in periods]
    lines = []
    for one in items:
        lines += [one["id"], f"  {one['vi']}", f"  {one['en']}", f"  căn cứ · basis: {one['basis']}"]
        lines.append(f"  lúc · when: {_moments(one['moments'])}")
        lines.append(f"  hiệu lực · in force: {one['from'] or '…'} – {one['to'] or '…'}")
        lines += [f"  {name} = {value}" for name, value in one["parameters"].items()]
    emit(args, items[0] if len(items) == 1 else {"items": items}, "\n".join(lines))
    return 0


def test_file(args: argparse.Namespace) -> int:
    """Exit 1 for hold and block."""
    settings = optional_settings(args)
    decision = judge(_facts(args), open_rulebook(settings))
    lines: list[str] = [decision.verdict]
    for one in decision.findings:
        lines += [f"{one.rule_id} [{one.severity}] {one.vi}", f"  {one.en}", f"  căn cứ · basis: {one.basis}"]
    emit(args, decision.as_json(), "\n".join(lines))
    return 0 if decision.passes else 1


def _facts(args: argparse.Namespace) -> Facts:
    data = _read(args.file)
    if args.file.suffix.casefold() in {".edxml", ".xml"}:
        from exchange.documents.facts import facts_of_edxml

        return facts_of_edxml(data, args.moment or "receive")
    if args.file.suffix.casefold() != ".eml":
        raise Refused(
            "unknown-file",
            f"{args.file.name}: chỉ kiểm tra được tệp .eml và .edxml.",
            f"{args.file.name}: only .eml and .edxml files can be tested.",
        )
    from mailserver.facts import facts_of_file

    settings = optional_settings(args)
    parts = Installation(settings) if settings is not None else None
    try:
        return facts_of_file(data, parts.accounts if parts is not None else None, args.moment or "send")
    finally:
        if parts is not None:
            parts.close()


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as problem:
        raise Refused(
            "unreadable-file",
            f"Không đọc được {path}: {problem.strerror}.",
            f"{path} can't be read: {problem.strerror}.",
        ) from None
    if len(data) > _LARGEST:
        raise Refused("too-large", f"{path} lớn hơn 128 MiB.", f"{path} is larger than 128 MiB.")
    return data


def _described(one: Holding) -> dict[str, Any]:
    basis, status = shown(one.rule.bases, today_local())
    return {
        "id": one.rule.id,
        "vi": one.rule.vi,
        "en": one.rule.en,
        "moments": dict(one.moments),
        "basis": basis,
        "basis_status": status,
        "from": one.since.isoformat() if one.since else None,
        "to": one.until.isoformat() if one.until else None,
        "parameters": {
            name: list(value) if isinstance(value, tuple) else value for name, value in one.parameters.items()
        },
    }


def _moments(moments: dict[str, str]) -> str:
    return ", ".join(f"{moment} {severity}" for moment, severity in moments.items())
