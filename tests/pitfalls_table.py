# SPDX-License-Identifier: AGPL-3.0-or-later
"""Writes docs/pitfalls.md: which known weakness of other mail servers is shown, by which test, not to be one here.

A test claims a row in one form: ``S6:`` (``S6, S7:``) in its docstring or its module's, in a ``#`` line of a
dialogue, or ``_s6_`` in its name. ``python -m tests.pitfalls_table`` writes the page.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "pitfalls.md"
_CLAIM = re.compile(r"\bS(\d{1,2})(?=(?:, (?:S\d{1,2}|Q\d{1,2}|RFC \d+ §[\d.]+))*:)")
_NAME = re.compile(r"_s(\d{1,2})(?=_)")

ROWS = {
    1: "SMTP smuggling (James CVE-2023-51747, aiosmtpd CVE-2024-27305): bare CR, LF, NUL around the last dot",
    2: "STARTTLS injection (aiosmtpd CVE-2024-34083, James CVE-2022-28220, Dovecot CVE-2021-33515)",
    3: "DATA without CRLF and sizes that lie (aiosmtpd 1.4.6, nodemailer/smtp-server#262)",
    4: "IMAP literals, endless lines (Cyrus CVE-2024-34055, James CVE-2024-37358, Stalwart CVE-2025-61600)",
    5: "Parentheses (Dovecot CVE-2026-27857)",
    6: "MIME bombs, huge headers and address lists (Stalwart CVE-2026-26312, Dovecot CVE-2020-12100, CVE-2024-23184)",
    7: "Preview and HTML to text (Dovecot CVE-2020-7957, James CVE-2024-45626)",
    8: "Bad base64, truncated UTF-8 in AUTH (Dovecot CVE-2025-59028, CVE-2020-7046)",
    9: "One user's sign-in answered for another (Dovecot CVE-2025-30189)",
    10: "One-time codes used twice, comparison in variable time (Dovecot CVE-2026-27855, 27856)",
    11: "A narrow API key makes a wider one (Stalwart 0.16.15)",
    12: "JWT key ids and algorithms (CVE-2021-29157)",
    13: "SQL, LDAP and template injection by names, also read later (Dovecot CVE-2026-24031, Mailcow CVE-2026-40871)",
    14: "IMAP command injection, counts in letters instead of bytes (Roundcube CVE-2026-35538)",
    15: "Sieve injection by the name of a rule (Roundcube 1.7.3)",
    16: "Header injection by subject, name, file name (Roundcube #8404)",
    17: "Mutation XSS (SnappyMail CVE-2024-45800)",
    18: "SVG and its animations (Roundcube CVE-2024-37383 and after)",
    19: "XSS by type or name of an attachment, also on officers' pages (CVE-2023-47272, Mailcow CVE-2026-40873)",
    20: "XSS by links made of plain text (CVE-2026-54433, CVE-2023-43770)",
    21: "XSS in drafts, address books, invitations (Zimbra CVE-2024-45510)",
    22: "Remote content past its block (CVE-2026-35542)",
    23: "CSS that overlays or leaks (CVE-2026-35544)",
    24: "Requests to the inside by a picture proxy (CVE-2026-35540)",
    25: "Paths and links in names and archives (Roundcube CVE-2017-16651, Dovecot CVE-2025-59031)",
    26: "Sessions that are code (CVE-2025-49113)",
    27: "TNEF, RTF and documents without end (CVE-2026-62641)",
    28: "ZIP and XML bombs",
    29: "Recurrences without end in invitations (Stalwart CVE-2025-59045)",
    30: "Rights of mailboxes bypassed, existence told (Cyrus 2026, Stalwart)",
    31: "URLAUTH forged (Cyrus CVE-2026-47085)",
    32: "A restored session shows another's mail (Dovecot CVE-2020-24386)",
    33: "No file descriptors left (Stalwart 0.16.12)",
    34: "Loops of mail, of notices, of filters",
    35: "Forms sent by other sites (CVE-2026-35538, CVE-2020-12626)",
    36: "EFAIL: decrypted parts among others (CVE-2018-19205)",
    37: "Bad TLS taken after a fall-back (MTA-STS)",
    38: "Look-alike senders (Roundcube CVE-2019-15237)",
    39: "Guessing from many addresses, and an office behind one",
    40: "WebAuthn: handles, user verification, origin (mailcow#7433)",
    41: "Requests to the inside by push addresses (Stalwart)",
    42: "Secrets and letters in logs",
}
NOT_HERE = {
    11: "there are no API keys",
    12: "no JWT is read anywhere",
    24: "there is no picture proxy: remote pictures are not loaded",
    29: "invitations are files like others; nothing expands their recurrences",
    31: "IMAP's URLAUTH is not offered",
    41: "nobody can register a push address",
}


def claims(text: str) -> set[int]:
    """The rows that a docstring or a comment names."""
    return {int(found) for found in _CLAIM.findall(text)}


def _python(path: Path) -> Iterator[tuple[int, str]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    of_file = claims(ast.get_docstring(tree) or "")
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            named = {int(found) for found in _NAME.findall(node.name)} | claims(ast.get_docstring(node) or "")
            of_file -= named
            for row in named:
                yield row, node.name
    for row in of_file:
        yield row, ""


def tests() -> dict[int, list[str]]:
    """Row → the tests that claim it, ``file`` or ``file::test``."""
    found: dict[int, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        name = str(path.relative_to(ROOT / "tests"))
        for row, test in _python(path):
            found[row].append(f"{name}::{test}" if test else name)
    for path in sorted((ROOT / "tests" / "dialogues").rglob("*.txt")):
        comments = "\n".join(
            line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")
        )
        for row in claims(comments):
            found[row].append(str(path.relative_to(ROOT / "tests")))
    return found


def page() -> str:
    """The whole page."""
    lines = [
        "# Weaknesses of other mail servers, and the tests that show them not to be here",
        "",
        "Generated by `make docs` from the tests (`tests/pitfalls_table.py`). Paths are below `tests/`.",
        "",
        "| row | weakness | shown by |",
        "|---|---|---|",
    ]
    shown = tests()
    for row, words in ROWS.items():
        told = "<br>".join(f"`{one}`" for one in shown.get(row, ())) or NOT_HERE.get(row, "")
        lines.append(f"| S{row} | {words} | {told} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
