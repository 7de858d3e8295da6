# SPDX-License-Identifier: AGPL-3.0-or-later
"""S30: each command × right × another's mailbox. Without a right nothing tells that the mailbox exists."""

from __future__ import annotations

import pytest

from mailserver.store.grants import ANYONE
from tests.mailserver.imap.conftest import Served
from tests.mailserver.imap.test_security import signed_in

COMMANDS = {
    "SELECT {}": "r",
    "EXAMINE {}": "r",
    "STATUS {} (MESSAGES UIDNEXT)": "r",
    "SUBSCRIBE {}": "l",
    "UNSUBSCRIBE {}": "l",
    "CREATE {}/Con": "k",
    "DELETE {}": "x",
    "RENAME {} Moi": None,
    "APPEND {} {{4+}}\r\nabcd": "i",
    "COPY 1 {}": "i",
    "MOVE 1 {}": "i",
    "UID COPY 1 {}": "i",
    "GETACL {}": "a",
    "SETACL {} ${{anyone}} l": "a",
    "DELETEACL {} anyone": "a",
    "LISTRIGHTS {} anyone": "a",
    "MYRIGHTS {}": "lr",
    "GETQUOTAROOT {}": "r",
    'LIST "" {}': None,
    'LSUB "" {}': None,
    "UID FETCH 1 (FLAGS)": None,
}


def _box(served: Served) -> str:
    return f"Users/{served.person('cv2').address}/Chung"


@pytest.fixture
def shared(served: Served) -> Served:
    """cv2 has a folder ``Chung``; cv1 has one message."""
    served.fill(1)
    served.run(served.store.create(served.person("cv2").ref, "Chung"))
    return served


def _grant(served: Served, rights: str, to: object = None) -> None:
    ref = served.store.find(served.person("cv2").ref, "Chung")
    assert ref is not None
    mailbox = served.store.mailbox(ref)
    assert mailbox is not None
    who = served.person("cv1").ref if to is None else ANYONE
    served.run(served.store.grant(mailbox, who, rights, "test", "test"))


def test_s30_without_a_right_a_mailbox_is_like_one_that_is_not_there(shared: Served, password: str) -> None:
    wire = signed_in(shared, password)
    wire.command("SELECT INBOX")
    there, not_there = _box(shared), _box(shared).replace("Chung", "KhongCo")
    nobody = there.replace("cv2@", "nobody@")
    for command in COMMANDS:
        answers = []
        for name in (there, not_there, nobody):
            text = command.format(name).replace("${anyone}", "anyone")
            answers.append([one.replace(name.encode(), b"X") for one in wire.command(text)])
            wire.command("SELECT INBOX")
        assert answers[0] == answers[1] == answers[2], command


@pytest.mark.parametrize("right", list("lrswipkxtea"))
def test_s30_one_right_lets_do_what_it_says_and_no_more(shared: Served, password: str, right: str) -> None:
    _grant(shared, right)
    wire = signed_in(shared, password)
    wire.command("SELECT INBOX")
    visible = right in "lr"
    for command, needed in COMMANDS.items():
        if needed is None:
            continue
        answer = wire.command(command.format(_box(shared)).replace("${anyone}", "anyone"))[-1]
        if not visible:
            assert b" NO [NONEXISTENT]" in answer or b" NO [TRYCREATE]" in answer, (command, answer)
        elif right in needed:
            assert b" OK" in answer, (command, answer)
        else:
            assert b" NO [NOPERM]" in answer, (command, answer)
        wire.command("SELECT INBOX")
    listed = wire.command('LIST "" "Users/*"')
    assert (len(listed) > 1) is (right == "l")


def test_s32_what_is_taken_back_counts_at_once(shared: Served, password: str) -> None:
    """S32: a session that has a mailbox open does not keep it."""
    _grant(shared, "lr")
    wire = signed_in(shared, password)
    assert b" OK " in wire.command(f"SELECT {_box(shared)}")[-1]
    _grant(shared, "")
    assert b" NO [NOPERM]" in wire.command("FETCH 1:* (FLAGS)")[-1]
    assert b" BAD " in wire.command("FETCH 1:* (FLAGS)")[-1]


def test_s9_two_people_signing_in_in_turn_are_never_crossed(shared: Served, password: str) -> None:
    """S9, S32: each gets the own mailbox, whatever was looked up just before."""
    counts = {"cv1": b"1", "cv2": b"0"}
    for local in ("cv1", "cv2", "cv1", "cv1", "cv2", "cv2", "cv1"):
        wire = signed_in(shared, password, local)
        assert wire.command("STATUS INBOX (MESSAGES)")[0] == b"* STATUS INBOX (MESSAGES %b)" % counts[local]
        wire.close()


def test_s14_a_literal_is_counted_in_octets_and_never_run(shared: Served, password: str) -> None:
    """S14: text that looks like commands stays text; a count in letters instead of octets is BAD, nothing more."""
    wire = signed_in(shared, password)
    wire.command("SELECT INBOX")
    attack = "kính\r\nx9 STORE 1 +FLAGS (\\Deleted)\r\nx8 EXPUNGE".encode()
    lines = wire.command(b"SEARCH CHARSET UTF-8 TEXT {%d+}\r\n%b" % (len(attack), attack))
    assert lines[0].startswith(b"* SEARCH")
    wire.send(b"y SEARCH CHARSET UTF-8 TEXT {5+}\r\nk\xc3\xadnh \r\n")
    assert wire.until(b"y")[-1].startswith((b"y OK", b"y BAD"))
    assert wire.command("STATUS INBOX (MESSAGES DELETED)")[0] == b"* STATUS INBOX (MESSAGES 1 DELETED 0)"
