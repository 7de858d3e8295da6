# SPDX-License-Identifier: AGPL-3.0-or-later
"""S30: each command × right × another's mailbox. Without a right nothing tells that the mailbox exists."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import sqlalchemy as sa

from config.statement import Statement
from mailserver.store.grants import ANYONE
from tests.mailserver.imap.conftest import Served
from tests.mailserver.imap.dialogue import Wire
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


def test_s30_the_work_does_not_tell_either(
    shared: Served, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S30: a mailbox one may not see costs the same look-ups in the database as one that is not there."""
    wire = signed_in(shared, password)
    wire.command("SELECT INBOX")
    there = _box(shared)
    names = (there, there.replace("Chung", "KhongCo"))
    asked: list[str] = []
    database = shared.province.database
    for engine in {database._reader, database._writer._engine}:
        sa.event.listen(engine, "before_cursor_execute", lambda _c, _u, text, *_: asked.append(text))
    execute = Statement._execute

    def counted(self: Statement, *told: Any) -> Any:
        asked.append(f"statement {id(self)}")
        return execute(self, *told)

    monkeypatch.setattr(Statement, "_execute", counted)
    uneven = {}
    for command in COMMANDS:
        looks = []
        for name in (*names, *names):  # the first time statements are made, the second time they are there
            asked.clear()
            wire.command(command.format(name).replace("${anyone}", "anyone"))
            looks.append(list(asked))
            wire.command("SELECT INBOX")
        if looks[2] != looks[3]:
            uneven[command] = (looks[2], looks[3])
    assert not uneven
    assert any(asked)


@pytest.mark.parametrize("how", ["LOGIN", "PLAIN", "SCRAM-SHA-256"])
def test_s30_signing_in_says_the_same_of_nobody_and_of_a_wrong_password(served: Served, how: str) -> None:
    """S30: same text, same steps, a salt for each name."""
    said = []
    for name in (served.person("cv1").address, "nobody@vpubnd.camau.example"):
        wire = Wire(served.port)
        wire.line()
        lines: list[bytes] = []
        if how == "LOGIN":
            lines = wire.command(f"LOGIN {name} wrong-password-1")
        elif how == "PLAIN":
            raw = base64.b64encode(f"\0{name}\0wrong-password-1".encode())
            lines = wire.command(b"AUTHENTICATE PLAIN " + raw)
        else:
            wire.send(
                b"t AUTHENTICATE SCRAM-SHA-256 "
                + base64.b64encode(b"n,,n=%b,r=0123456789" % name.encode())
                + b"\r\n"
            )
            challenge = wire.line()
            assert challenge is not None
            first = base64.b64decode(challenge[2:])
            nonce = first.partition(b",")[0]
            wire.send(base64.b64encode(b"c=biws,%b,p=%b" % (nonce, base64.b64encode(bytes(32)))) + b"\r\n")
            lines = [b"%d" % len(first), *wire.until(b"t")]
        said.append(lines)
        wire.close()
    assert said[0] == said[1]
    assert b"NO [AUTHENTICATIONFAILED]" in said[0][-1]
