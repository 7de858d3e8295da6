# SPDX-License-Identifier: AGPL-3.0-or-later
"""R-SIG-22: a certificate that is not valid signs nothing, is said in both languages, and takes no number."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from config.clock import today_local
from config.refusal import Refused, Unavailable
from exchange.documents import presented, said_yes, walk
from exchange.documents.approve import approve
from exchange.documents.draft import DraftRequest, create
from exchange.documents.model import DocumentRef
from exchange.documents.said_yes import Yes
from exchange.documents.sign import sign
from exchange.documents.work import load, take_up
from exchange.registers import rows
from exchange.signing.key_client import Keys
from exchange.signing.keys import KeyStore
from exchange.signing.provision import issuing_authority
from exchange.trust import authority as ca
from tests.exchange.documents.office import Office, draft_pdf, ends_in
from tests.exchange.documents.test_signers import CLERK, LEADER, OTHER_CLERK, OTHER_LEADER, ref_of
from tests.exchange.receiving.carrying import issue


def approved(office: Office) -> DocumentRef:
    exchange, people = office.exchange, office.province.people
    request = DraftRequest("H12.01", ("H12.02",), "Thông báo", "Họp", LEADER, CLERK)
    ref = create(exchange, request, draft_pdf()).ref
    approve(exchange, ref, people[LEADER], people[CLERK])
    return ref


def revoke(office: Office, code: str = "") -> None:
    """The leader's certificate, or that of an agency's seal."""
    trust = office.exchange.trust
    found = trust.signing_certificate_of_agency(code) if code else trust.certificate_of_person(LEADER)
    assert found is not None
    office.exchange.signer.revoke(found.serial_number, "superseded", "t")


def ended(office: Office) -> None:
    """The leader's certificate ended yesterday."""
    ends_in(office, LEADER, -1)


@pytest.mark.parametrize(
    ("spoil", "vi", "en"), [(revoke, "đã bị thu hồi", "revoked"), (ended, "hết hạn", "expired")]
)
def test_a_person_without_a_valid_certificate_signs_nothing(
    small_office: Office, spoil: object, vi: str, en: str
) -> None:
    exchange, person = small_office.exchange, small_office.province.people[LEADER]
    ref = approved(small_office)
    shown = presented.present(exchange, ref, person)
    spoil(small_office)  # type: ignore[operator]
    yes = Yes("1", 0, shown.digest, shown.shown, "passkey", "{}")
    for act in (
        lambda: sign(exchange, take_up(exchange, ref, "t")),
        lambda: said_yes.sign(exchange, ref, person, lambda *_: yes),
    ):
        with pytest.raises(Refused) as refused:
            act()
        assert (refused.value.code, refused.value.rule) == ("certificate-not-valid", "R-SIG-22")
        assert vi in refused.value.vi
        assert en in refused.value.en
    assert load(exchange, ref).state == "approved"


def test_a_revoked_seal_takes_no_number(small_office: Office) -> None:
    exchange, clerk = small_office.exchange, small_office.province.people[CLERK]
    ref = approved(small_office)
    revoke(small_office, "H12.01")
    with pytest.raises(Refused) as refused:
        walk.go_on(exchange, ref, clerk)
    assert (refused.value.code, refused.value.rule) == ("certificate-not-valid", "R-SIG-22")
    assert load(exchange, ref).state == "signed"
    with exchange.database.reading() as conn:
        assert rows.listing(conn, exchange.seal, ref.agency, "outgoing", today_local().year) == []


def test_a_revoked_joint_seal_is_not_entered_in_the_register(small_office: Office) -> None:
    exchange, clerk = small_office.exchange, small_office.province.people[OTHER_CLERK]
    ref = ref_of(issue(small_office, co_signers=[OTHER_LEADER]))
    revoke(small_office, "H12.02")
    with pytest.raises(Refused) as refused:
        walk.seal(exchange, ref, clerk)
    assert refused.value.code == "certificate-not-valid"
    with exchange.database.reading() as conn:
        other = small_office.other.number
        assert rows.listing(conn, exchange.seal, other, "outgoing", today_local().year) == []


def test_nothing_is_signed_with_a_revocation_list_that_ended(small_office: Office) -> None:
    exchange, clerk = small_office.exchange, small_office.province.people[CLERK]
    ref = approved(small_office)
    store = KeyStore(small_office.folder / "keys", small_office.folder / "signer.key")
    issuing = issuing_authority(store, exchange.trust)
    exchange.trust.put_crl("issuing", ca.make_crl(issuing, 9, now=datetime.now(UTC) - timedelta(days=8)))
    with pytest.raises(Unavailable) as refused:
        walk.go_on(exchange, ref, clerk)
    assert refused.value.code == "revocation-list-old"
    exchange.trust.put_crl("issuing", ca.make_crl(issuing, 10))
    assert walk.go_on(exchange, ref, clerk)["state"] == "sent"


@pytest.mark.parametrize(("reason", "code"), [("keyCompromise", "key-compromised"), ("superseded", "")])
def test_what_a_key_signed_before_it_was_lost_is_not_issued(
    small_office: Office, reason: str, code: str
) -> None:
    """A new key has the old one's place; only a lost one stops what it signed, a renewed one does not."""
    exchange, people = small_office.exchange, small_office.province.people
    ref = approved(small_office)
    sign(exchange, take_up(exchange, ref, "t"))
    who = people[LEADER]
    _, (old,) = Keys(exchange.signer).person(
        who.address, who.name, who.title, who.agency_name, "t", approval="file", renew=True
    )
    second = int(time.time())
    while int(time.time()) == second:  # a revocation's time has whole seconds (RFC 5280 §4.1.2.5)
        time.sleep(0.05)
    exchange.signer.revoke(old, reason, "t")
    if not code:
        assert walk.go_on(exchange, ref, people[CLERK])["state"] == "sent"
        return
    with pytest.raises(Refused) as refused:
        walk.go_on(exchange, ref, people[CLERK])
    assert refused.value.code == code
    assert who.name in refused.value.vi
