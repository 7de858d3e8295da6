# SPDX-License-Identifier: AGPL-3.0-or-later
"""What waits for a person: found by an index over persons, whoever's agency it is, in the order of the turns."""

from __future__ import annotations

import sqlalchemy as sa

from exchange.documents import turns, turns_of_before
from exchange.documents.approve import approve
from exchange.documents.draft import DraftRequest, create
from exchange.documents.model import DocumentRef
from exchange.documents.presented import count_waiting, refs_waiting, waiting
from exchange.documents.schema import document_turn
from exchange.documents.sign import sign
from exchange.documents.work import take_up
from tests.conftest import Province
from tests.exchange.documents.office import Office, draft_pdf
from tests.exchange.documents.test_signers import CLERK, DRAFTER, LEADER, OTHER_LEADER, with_keys


def drafted(office: Office, subject: str, **more: object) -> DocumentRef:
    request = DraftRequest("H12.01", ("H12.02",), "Thông báo", subject, LEADER, CLERK, **more)  # type: ignore[arg-type]
    return create(office.exchange, request, draft_pdf(subject)).ref


def whose(office: Office) -> dict[str, list[DocumentRef]]:
    """What waits for each person, asked in the three ways, which must agree."""
    exchange, found = office.exchange, {}
    for address in (DRAFTER, LEADER, OTHER_LEADER):
        who = office.province.people[address]
        refs = refs_waiting(exchange.database, exchange.seal, who, 100)
        assert [one.ref for one, _ in waiting(exchange.database, exchange.seal, who, 100)] == refs
        assert count_waiting(exchange.database, exchange.seal, who) == len(refs)
        found[address] = refs
    return found


def test_it_is_found_by_person_also_elsewhere(any_office: Office) -> None:
    office, exchange = any_office, any_office.exchange
    with_keys(office)
    ref = drafted(office, "Một", initials=(DRAFTER,), co_signers=(OTHER_LEADER,))
    urgent = drafted(office, "Hai", priority=2)
    assert whose(office) == {DRAFTER: [ref], LEADER: [urgent], OTHER_LEADER: []}
    people = office.province.people
    for address in (DRAFTER, LEADER, OTHER_LEADER):
        approve(exchange, ref, people[address], people[CLERK])
    work = take_up(exchange, ref, "t")
    sign(exchange, work)
    assert whose(office) == {DRAFTER: [], LEADER: [urgent], OTHER_LEADER: []}


def test_urgent_ones_come_first_then_the_oldest(small_office: Office) -> None:
    first, second = (drafted(small_office, one) for one in ("Một", "Hai"))
    urgent = drafted(small_office, "Ba", priority=1)
    assert whose(small_office)[LEADER] == [urgent, first, second]


def test_turns_from_before_are_completed_by_the_worker(small_office: Office) -> None:
    database = small_office.exchange.database
    old, older, new = (drafted(small_office, one) for one in ("Một", "Hai", "Ba"))

    def as_before(conn: sa.Connection) -> None:
        here = document_turn.c.document
        conn.execute(sa.update(document_turn).where(here == old.document).values(person=None))
        conn.execute(sa.delete(document_turn).where(here == older.document))

    database.write(as_before)
    assert whose(small_office)[LEADER] == [new]
    assert turns_of_before.complete(small_office.exchange) == 2
    assert whose(small_office)[LEADER] == [old, older, new]
    assert turns_of_before.complete(small_office.exchange) == 0


def test_the_persons_index_is_used(small_province: Province) -> None:
    with small_province.database.reading() as conn:
        query = turns.waiting_for(small_province.seal, LEADER).compile(
            dialect=conn.dialect, compile_kwargs={"render_postcompile": True}
        )
        given = tuple(query.params[name] for name in query.positiontup or ())
        said = [str(row[3]) for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", given)]
    assert any("turn_of_person" in one for one in said), said
    assert not any(one.startswith("SCAN") for one in said), said
