# SPDX-License-Identifier: AGPL-3.0-or-later
"""Scripts: the examples of the RFCs, what each test and command does, what is refused, what stays bounded."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailserver.message import scan
from mailserver.sieve import (
    BadScript,
    FileInto,
    Letter,
    Limits,
    Ran,
    Redirect,
    Reject,
    Vacation,
    compiled,
    run,
)

# RFC 5228 §2.7.1's letters A and B, and one in Vietnamese.
A = (
    b"Date: Tue, 1 Apr 1997 09:06:31 -0800 (PST)\r\nFrom: coyote@desert.example.org\r\n"
    b"To: roadrunner@acme.example.com\r\nSubject: I have a present for you\r\n\r\n"
    b"Look, I'm sorry about the whole anvil thing.\r\n"
)
B = (
    b"From: youcouldberich!@reply-by-postal-mail.invalid\r\nSender: b1ff@de.res.example.com\r\n"
    b"To: rube@landru.example.com\r\nDate: Mon, 31 Mar 1997 18:26:10 -0800\r\nSubject: $$$ YOU, TOO, CAN BE A MILLIONAIRE! $$$\r\n\r\n"
    b"YOU MAY HAVE ALREADY WON $1,000,000\r\n"
)
C = (
    "From: =?utf-8?q?S=E1=BB=9F_N=E1=BB=99i_v=E1=BB=A5?= <vanthu+khan@sonoivu.camau.example>\r\nTo: a@b.example, c@d.example\r\n"
    "Subject: Công văn số 12\r\nX-Level: 12\r\nX-Level: 7\r\nReceived: from x by y; Sat, 28 Nov 2026 08:00:00 +0000\r\n"
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    "Kính gửi các phòng\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>mật <b>danh</b></p>\r\n--b--\r\n"
).encode()
NOW = 1_795_824_000_000_000  # 2026-11-28 00:00:00 UTC
KEEP = (FileInto("INBOX"),)


def act(script: str, data: bytes = A, *, limits: Limits | None = None, boxes: tuple[str, ...] = ()) -> Ran:
    letter = Letter(data, scan(data), "coyote@desert.example.org", "roadrunner+xyz@acme.example.com")
    return run(compiled(script), letter, NOW, limits, boxes.__contains__)


def into(script: str, data: bytes = C) -> bool:
    """Whether a test is true."""
    required = [
        "fileinto", "envelope", "subaddress", "relational", "comparator-i;ascii-numeric", "comparator-i;unicode-casemap", "date", "index", "body",
        "variables", "imap4flags", "encoded-character", "mailbox",
    ]  # fmt: skip
    names = ", ".join(f'"{one}"' for one in required)
    ran = act(f'require [{names}];\nif {script} {{ fileinto "x"; }}', data, boxes=("Có",))
    assert not ran.error, ran.error
    return ran.actions == (FileInto("x"),)


@pytest.mark.parametrize(
    ("script", "data", "actions"),
    [
        # RFC 5228 §3.1
        ('require "fileinto"; if header :contains "from" "coyote" { discard; } elsif header :contains ["subject"] ["$$$"] { discard; } else { fileinto "INBOX"; }', B, ()),
        ('require "fileinto"; if header :contains "from" "coyote" { discard; } else { fileinto "INBOX"; }', A, ()),
        ('if header :contains ["From"] ["coyote"] { redirect "acm@example.com"; } elsif header :contains "Subject" "$$$" { redirect "postmaster@example.com"; } else { redirect "field@example.com"; }', B, (Redirect("postmaster@example.com"),)),
        # §4.1-4.4
        ('require "fileinto"; if header :contains ["from"] "coyote" { fileinto "INBOX.harassment"; }', A, (FileInto("INBOX.harassment"),)),
        ('redirect "bart@example.com";', A, (Redirect("bart@example.com"),)),
        ('if size :under 1M { keep; } else { discard; }', A, KEEP),
        ('if header :contains ["from"] ["idiot@example.com"] { discard; }', A, KEEP),
        ("", A, KEEP),
        ("stop; discard;", A, KEEP),
        ("discard; keep;", A, KEEP),
        # RFC 3894
        ('require ["copy"]; redirect :copy "dept@example.com";', A, (*KEEP, Redirect("dept@example.com"))),
        ('require ["fileinto","copy"]; fileinto :copy "m"; fileinto "n";', A, (FileInto("m"), FileInto("n"))),
        # RFC 5232 §3.1-5
        ('require "imap4flags"; setflag "\\\\Deleted"; addflag ["\\\\flagged", "$Work"]; removeflag "\\\\deleted"; keep;', A, (FileInto("INBOX", ("\\flagged", "$Work")),)),
        ('require ["imap4flags","fileinto"]; fileinto :flags "\\\\Seen bad(flag \\\\Recent" "x";', A, (FileInto("x", ("\\Seen",)),)),
        ('require ["fileinto","mailbox"]; fileinto :create "Mới";', A, (FileInto("Mới", (), True),)),
        # RFC 5429
        ('require "reject"; if size :under 100K { reject "Quá lớn"; }', A, (Reject("Quá lớn"),)),
        ('require ["ereject"]; ereject text:\nline\n..dot\n.\n;', A, (Reject("line\r\n.dot\r\n"),)),
        # RFC 5230 §4
        ('require "vacation"; vacation :days 23 :addresses ["tjs@example.edu"] "away";', A, (*KEEP, Vacation("away", 23, addresses=("tjs@example.edu",)))),
        # RFC 5229 §4
        ('require ["variables","fileinto"]; set :upperfirst :lower "name" "COYOTE"; if header :matches "subject" "* a *" { fileinto "${name}.${2}"; }', A, (FileInto("Coyote.present for you"),)),
        ('require ["variables","fileinto"]; set :length "n" "${none}"; set :quotewildcard "q" "a*"; fileinto "${n}${q}";', A, (FileInto("0a\\*"),)),
        ('require ["encoded-character","fileinto"]; fileinto "${hex:24 24}${unicode: 110}";', A, (FileInto("$$Đ"),)),
    ],
)  # fmt: skip
def test_actions(script: str, data: bytes, actions: tuple[object, ...]) -> None:
    assert act(script, data).actions == actions


@pytest.mark.parametrize(
    ("test", "data", "expected"),
    [
        ('header :is "subject" "I HAVE a present FOR you"', A, True),
        ('header :comparator "i;octet" :is "subject" "I HAVE a present FOR you"', A, False),
        ('header :matches "subject" "I have a ???????*"', A, True),
        ('header :matches "subject" "*have*you"', A, True),
        ('header :matches "subject" "*have*you?"', A, False),
        ('header :contains "subject" "công văn"', C, True),
        ('header :contains "from" "Sở Nội"', C, True),
        ('address :domain :is "from" "sonoivu.camau.example"', C, True),
        ('address :user "from" "vanthu"', C, True),
        ('address :detail "from" "khan"', C, True),
        ('address :detail "to" "khan"', C, False),
        ('address :localpart "to" ["z", "c"]', C, True),
        ('address :count "eq" "to" "2"', C, True),
        ('envelope :all :is "from" "COYOTE@desert.example.org"', C, True),
        ('envelope :detail "to" "xyz"', C, True),
        ('exists ["from", "date"]', A, True),
        ('exists ["from", "x-nothing"]', A, False),
        ('allof (true, not false)', A, True),
        ('anyof (false, size :over 10)', A, True),
        ('header :value "gt" :comparator "i;ascii-numeric" "x-level" "9"', C, True),
        ('header :index 2 :value "gt" :comparator "i;ascii-numeric" "x-level" "9"', C, False),
        ('header :index 1 :last :is "x-level" "7"', C, True),
        ('header :count "ge" :comparator "i;ascii-numeric" "x-level" "2"', C, True),
        ('body :contains "KÍNH GỬI"', C, False),  # i;ascii-casemap folds ASCII only
        ('body :contains "gửi các"', C, True),
        ('body :contains "danh"', C, True),
        ('body :raw :contains "<b>"', C, True),
        ('body :content "text/html" :contains "<b>danh"', C, True),
        ('body :content "image" :contains ""', C, False),
        ('date "date" "weekday" "3"', A, True),  # in Vietnam it is Wednesday
        ('header :comparator "i;unicode-casemap" :contains "subject" "CÔNG VĂN"', C, True),
        ('date :originalzone "date" "hour" "09"', A, True),
        ('date :zone "+0000" "date" "hour" "17"', A, True),
        ('date "received" "hour" "15"', C, True),
        ('date "date" "julian" "50539"', A, True),
        ('currentdate :value "ge" "date" "2026-11-28"', A, True),
        ('currentdate :value "gt" "iso8601" "2026-11-28T07:00:00+07:00"', A, False),
        ('hasflag "\\\\Seen"', A, False),
        ('string :is "${x}" ""', A, True),
        ('mailboxexists "Có"', A, True),
        ('mailboxexists ["Có", "Không"]', A, False),
    ],
)  # fmt: skip
def test_tests(test: str, data: bytes, expected: bool) -> None:
    assert into(test, data) is expected


@pytest.mark.parametrize(
    ("script", "line"),
    [
        ('keep;\nrequire "fileinto";', 2),
        ('fileinto "x";', 1),
        ('require "nothing";', 1),
        ("if true {\n\nkeep }", 3),
        ("else { keep; }", 1),
        ("if header \"x\" { keep; }", 1),
        ('if header :is :contains "x" "y" { keep; }', 1),
        ('if header "x" :is "y" { keep; }', 1),
        ('if size :over "1" { keep; }', 1),
        ("if size 1 { keep; }", 1),
        ("if allof true { keep; }", 1),
        ("if not (true, true) { keep; }", 1),
        ("keep { stop; }", 1),
        ('redirect ["a@b.c"];', 1),
        ('if address "subject" "x" { keep; }', 1),
        ('if header "bad name" "x" { keep; }', 1),
        ('require "relational"; if header :count "xx" "a" "1" { keep; }', 1),
        ('if header :comparator "i;unknown" "a" "1" { keep; }', 1),
        ('if header "a" "unclosed { keep; }', 1),
        ("/* unclosed", 1),
        ("text:\nx", 1),
        ('require ["reject"]; reject text:\nnever ended\n', 1),
        ("frobnicate;", 1),
        ("if frobnicate { keep; }", 1),
        ("keep", 1),
        ("keep\x00;", 1),
        ("if true " * 40 + "{ keep; }", 1),
        ("if true { " * 20 + "}" * 20, 1),
        ("if " + "not " * 20 + "true { keep; }", 1),
        ("if size :over 99999999G { keep; }", 1),
        ("#" * 70_000, 1),
    ],
)  # fmt: skip
def test_what_is_refused_names_its_line(script: str, line: int) -> None:
    with pytest.raises(BadScript) as refused:
        compiled(script)
    assert refused.value.line == line


@pytest.mark.parametrize(
    "script",
    [
        'redirect "a1@b.example"; redirect "a2@b.example"; redirect "a3@b.example"; redirect "a4@b.example"; redirect "a5@b.example";',
        'require "fileinto";' + "".join(f'fileinto "f{number}";' for number in range(40)),
        'require "vacation"; vacation "a"; vacation "b";',
        'require "reject"; reject "a"; keep;',
        'redirect "not an address";',
    ],
)
def test_a_run_that_does_too_much_keeps_the_letter(script: str) -> None:
    ran = act(script)
    assert ran.actions == KEEP
    assert ran.error


def test_a_script_can_not_take_the_processor() -> None:
    """S15's neighbour: wildcards and loops of tests cost at most what `Limits` allows."""
    data = b"Subject: " + b"a" * 15_000 + b"\r\n\r\n" + b"a" * 200_000
    stars = "*a" * 30
    script = 'require "body";' + "".join(
        f'if header :matches "subject" "{stars}b{number}" {{ stop; }} if body :contains "b{number}" {{ stop; }}'
        for number in range(300)
    )
    begun = time.thread_time()
    ran = act(script, data)
    assert time.thread_time() - begun < 2
    assert ran.actions == KEEP
    assert ran.error


@given(st.text(alphabet='if {}()[];:"\\ \n#/*require"keeptrue,text:.0K', max_size=200))
@settings(max_examples=150, deadline=None)
def test_any_text_compiles_or_is_refused_with_a_line(text: str) -> None:
    line = 1
    try:
        run(compiled(text), Letter(A, scan(A), "", "x@y.example"), NOW)
    except BadScript as problem:
        line = problem.line
    assert 1 <= line <= text.count("\n") + 1


@given(st.text(max_size=60))
@settings(max_examples=150, deadline=None)
def test_a_quoted_value_is_only_a_value(value: str) -> None:
    """S15: what a person types in a rule can't become a command."""
    from mailserver.sieve.writing import Condition, Rule, written

    rule = Rule(value or "x", (Condition("subject", value or "x"),), folder=value or "x")
    try:
        script = written([rule])
    except BadScript:
        return
    ran = run(compiled(script), Letter(A, scan(A), "", "x@y.example"), NOW)
    assert all(isinstance(one, FileInto) for one in ran.actions)


@given(st.text(alphabet="ab*?\\", max_size=8), st.text(alphabet="ab", max_size=10))
@settings(max_examples=300, deadline=None)
def test_wildcards_mean_what_a_slow_matcher_says(pattern: str, value: str) -> None:
    def slow(p: str, v: str) -> bool:
        if not p:
            return not v
        if p[0] == "*":
            return slow(p[1:], v) or (bool(v) and slow(p, v[1:]))
        if p[0] == "\\":
            one = p[1] if len(p) > 1 else "\\"
            return bool(v) and v[0] == one and slow(p[2:], v[1:])
        return bool(v) and p[0] in ("?", v[0]) and slow(p[1:], v[1:])

    quoted = pattern.replace("\\", "\\\\")
    data = f"X-V: {value}\r\n\r\n".encode()
    assert into(f'header :comparator "i;octet" :matches "x-v" "{quoted}"', data) is slow(pattern, value)
