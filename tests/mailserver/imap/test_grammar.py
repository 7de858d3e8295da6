# SPDX-License-Identifier: AGPL-3.0-or-later
"""The grammar alone: commands put together from any pieces, values read and written, never a crash."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailserver.imap.commands.list import matcher
from mailserver.imap.grammar import strings
from mailserver.imap.grammar.assembling import Assembler, Command, Continue, Event, Overrun, TooBig
from mailserver.imap.grammar.fetching import Item, Section, parse_items
from mailserver.imap.grammar.lexer import Cursor, Syntax
from mailserver.imap.grammar.names import decode_name, encode_name
from mailserver.imap.grammar.searching import BadCharset, parse_search
from mailserver.imap.grammar.sequences import parse_sequence_set, write_set


def cursor(text: bytes, *literals: bytes) -> Cursor:
    """A cursor over text in which ``{}`` stands for the literals."""
    pieces = text.split(b"{}")
    marked = [
        one + (b"{%d}" % len(literals[at]) if at < len(literals) else b"") for at, one in enumerate(pieces)
    ]
    return Cursor(Command(marked, list(literals)))


def events(pieces: list[bytes], line: int = 8192, literal: int = 1000) -> list[Event]:
    """What an assembler makes of octets that come in these pieces."""
    assembler = Assembler(line, lambda verb: (literal, literal))
    found: list[Event] = []
    for piece in pieces:
        assembler.feed(piece)
        while (event := assembler.next()) is not None:
            found.append(event)
            if isinstance(event, Overrun):
                return found
    return found


STREAM = b"a LOGIN {2+}\r\nab {3}\r\nxyz\r\nb NOOP\r\nc APPEND x {4+}\r\n\r\n{}\r\n"
WANTED = [
    Continue(),
    Command([b"a LOGIN {2+}", b" {3}", b""], [b"ab", b"xyz"]),
    Command([b"b NOOP"], []),
    Command([b"c APPEND x {4+}", b""], [b"\r\n{}"]),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_commands_in_any_pieces(size: int) -> None:
    """Octet by octet or all at once, the commands are the same."""
    assert events([STREAM[at : at + size] for at in range(0, len(STREAM), size)]) == WANTED


def test_too_big_literals_are_thrown_away() -> None:
    """A refused literal costs no memory and the next command is understood."""
    stream = b"a APPEND x {5000+}\r\n" + b"y" * 5000 + b" {1}\r\n"
    assert events([stream, b"b NOOP\r\n"]) == [TooBig(b"a", 1000), Command([b"b NOOP"], [])]
    assert events([b"a APPEND x {1001}\r\n", b"b NOOP\r\n"]) == [TooBig(b"a", 1000), Command([b"b NOOP"], [])]
    pieces = [stream[at : at + 3] for at in range(0, len(stream), 3)]
    assert events([*pieces, b"b NOOP\r\n"]) == [TooBig(b"a", 1000), Command([b"b NOOP"], [])]
    assert isinstance(events([b"a LOGIN {99999999999+}\r\n"])[0], Overrun)
    assert isinstance(events([b"x" * 9000])[0], Overrun)
    assert isinstance(events([b"a {1+}\r\nx" * 2000])[0], (Overrun, TooBig))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from([b"a", b" ", b"{3+}\r\n", b"{2}\r\n", b"\r\n", b"\n", b"xyz", b"{", b"}"]),
        max_size=40,
    )
)
def test_cutting_changes_nothing(pieces: list[bytes]) -> None:
    """Any stream gives the same events however it is cut."""
    whole = b"".join(pieces)
    assert events([whole]) == events([whole[at : at + 1] for at in range(len(whole))])


@pytest.mark.parametrize(
    ("text", "literals", "wanted"),
    [
        (b"abc", (), b"abc"),
        (b'"a \\"b\\\\"', (), b'a "b\\'),
        (b"{}", (b"a\r\nb",), b"a\r\nb"),
        ('"công văn"'.encode(), (), "công văn".encode()),
        (b"]x", (), b"]x"),
    ],
)
def test_astrings(text: bytes, literals: tuple[bytes, ...], wanted: bytes) -> None:
    """The three forms of a string."""
    one = cursor(text, *literals)
    assert one.astring() == wanted
    one.end()


@pytest.mark.parametrize("text", [b'"open', b'"a\\x"', b"(", b"", b"{5}", b"%"])
def test_wrong_astrings(text: bytes) -> None:
    """Anything else is a Syntax error."""
    with pytest.raises(Syntax):
        cursor(text).astring()


@pytest.mark.parametrize(
    ("raw", "count", "wanted"),
    [
        (b"1", 5, [0]),
        (b"2:4", 5, [1, 2, 3]),
        (b"4:2", 5, [1, 2, 3]),
        (b"*", 5, [4]),
        (b"3:*", 5, [2, 3, 4]),
        (b"9:*", 5, [4]),
        (b"1,1:2,2", 5, [0, 1]),
        (b"1:*", 0, []),
    ],
)
def test_sequence_sets(raw: bytes, count: int, wanted: list[int]) -> None:
    """Ranges in any order, twice, with the last one as a star."""
    found = parse_sequence_set(raw)
    assert found is not None
    positions = [at for span in found.positions(range(1, count + 1), uid=True) for at in span]
    assert positions == wanted


@pytest.mark.parametrize(
    "raw", [b"", b"0", b"1:", b":1", b"1,,2", b"a", b"1:0", b"4294967296", b"1-2", b"*:0"]
)
def test_wrong_sequence_sets(raw: bytes) -> None:
    """None of these is a set."""
    assert parse_sequence_set(raw) is None


@given(st.lists(st.integers(1, 60), unique=True).map(sorted))
def test_written_sets_are_read_again(numbers: list[int]) -> None:
    """Writing and reading are each other's inverse."""
    text = write_set(numbers)
    if numbers:
        found = parse_sequence_set(text)
        assert found is not None
        assert [one for low, high in found.resolve(60) for one in range(low, high + 1)] == numbers
    else:
        assert text == b""


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40))
def test_q20_names_round_trip(name: str) -> None:
    """Q20: modified UTF-7 keeps every name, Vietnamese, & and emoji."""
    import unicodedata

    normal = unicodedata.normalize("NFC", name)
    wire = encode_name(normal)
    assert wire.isascii()
    if normal.partition("/")[0].upper() != "INBOX":
        assert decode_name(wire) == unicodedata.normalize("NFC", normal)


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (b"inbox", "INBOX"),
        (b"InBox/Con", "INBOX/Con"),
        (b"&ARAA4w- g&Hu0-i", "Đã gửi"),
        (b"A & B", "A & B"),
        (b"&-", "&"),
        (b"&!-", "&!-"),
        (b"&2D3-", "&2D3-"),
        ("Nháp".encode(), "Nháp"),
        ("Nha\u0301p".encode(), "Nháp"),
    ],
)
def test_q19_q20_names(raw: bytes, wanted: str) -> None:
    """INBOX in any case; wrong UTF-7 stands for itself; UTF-8 and NFD are understood."""
    assert decode_name(raw) == wanted


def test_fetch_items() -> None:
    """Items, macros, sections, partials."""
    assert [one.name for one in parse_items(cursor(b"FAST"))] == ["FLAGS", "INTERNALDATE", "RFC822.SIZE"]
    found = parse_items(cursor(b'(UID BODY.PEEK[1.2.HEADER.FIELDS (Subject "X Y")]<0.393216> body[])'))
    assert found == [
        Item("UID"),
        Item("BODY[]", Section("1.2", "HEADER.FIELDS", (b"Subject", b"X Y")), True, 0, 393216),
        Item("BODY[]", Section("", "")),
    ]
    assert found[1].section is not None
    assert found[1].section.wire() == b'1.2.HEADER.FIELDS (Subject "X Y")'
    assert found[2].sees
    assert not found[1].sees


@pytest.mark.parametrize(
    "text",
    [b"BODY[0]", b"BODY[1.]", b"BODY[MIME]", b"BODY[HEADER.FIELDS ()]", b"BODY[]<1>", b"BODY[]<0.0>", b"()", b"(UID",
     b"ENVELOPE[]", b"BODY[1.NOISE]", b"UIDS"],
)  # fmt: skip
def test_wrong_fetch_items(text: bytes) -> None:
    """None of these is an item."""

    def read() -> None:
        one = cursor(text)
        parse_items(one)
        one.end()

    with pytest.raises(Syntax):
        read()


_words = st.sampled_from(
    b'ALL NOT OR ( ) ((( SUBJECT x {} "q" UID 1:* SINCE 1-Jan-2026 HEADER LARGER 5 RETURN (MIN) CHARSET UTF-8 MODSEQ'
    b" KEYWORD FLAGS BODY[] BODY[HEADER.FIELDS (a)] <0.5> , * \\Seen \xff".split()
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_words, max_size=30).map(b" ".join))
def test_arguments_never_crash(text: bytes) -> None:
    """Any words are read or refused by Syntax (or an unknown charset), nothing else happens."""
    count = text.count(b"{}")
    for read in (parse_search, parse_items, lambda one: one.flags(), lambda one: one.list_mailbox()):
        try:
            read(cursor(text, *[b"l"] * count))
        except (Syntax, BadCharset):
            continue


def test_s5_deep_search_is_refused() -> None:
    """S5: parentheses and NOTs are counted."""
    for text in (b"(" * 1_000_00, b"NOT " * 50_000 + b"ALL", b"ALL " * 2000 + b"ALL"):
        with pytest.raises(Syntax):
            parse_search(cursor(text))


@given(st.binary(max_size=60))
def test_strings_on_the_wire(value: bytes) -> None:
    """What is written as a string is read as the same octets."""
    written = strings.astring(value)
    if written.startswith(b"{"):
        head, _, body = written.partition(b"\r\n")
        assert (head, body) == (b"{%d}" % len(value), value)
    else:
        assert cursor(written).astring() == value


def test_dates() -> None:
    """Times are shown in Vietnam's zone and read in any."""
    moment = strings.parse_date_time(b"01-Jun-2026 01:00:00 +0000")
    assert moment is not None
    assert strings.internaldate(moment) == b'" 1-Jun-2026 08:00:00 +0700"'
    assert strings.parse_date_time(b" 1-Jun-2026 08:00:00 +0700") == moment
    assert strings.parse_date_time(b"31-Feb-2026 08:00:00 +0700") is None
    assert strings.parse_day(b"32-Jan-2026") is None
    assert strings.local_day(moment) == strings.parse_day(b"1-Jun-2026")


@pytest.mark.parametrize(
    ("pattern", "name", "wanted"),
    [
        ("*", "a/b", True),
        ("%", "a/b", False),
        ("%", "a", True),
        ("a/%", "a/b", True),
        ("%/%/%", "a/b/c", True),
        ("%/%/%", "a/b", False),
        ("*a*b*c*", "xaxbxcx", True),
        ("*a*b*c*", "xaxcxbx", False),
        ("inbox", "INBOX", True),
        ("a.c", "abc", False),
        ("%%%", "", True),
    ],
)
def test_list_patterns(pattern: str, name: str, wanted: bool) -> None:
    """``*`` crosses levels, ``%`` does not."""
    assert matcher([pattern])(name) is wanted


def test_list_pattern_of_many_stars_is_cheap() -> None:
    """No backtracking: a hostile pattern is answered at once."""
    assert not matcher(["*a" * 100 + "*b"])("a" * 250)
