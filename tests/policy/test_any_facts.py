# SPDX-License-Identifier: AGPL-3.0-or-later
"""Whatever the facts are, nothing makes the judge raise."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from policy.facts import (
    Approval,
    Attachment,
    CertificateFacts,
    Competence,
    DocumentFacts,
    Facts,
    MailFacts,
    Numbering,
    PacketFacts,
    Receiver,
    Recipient,
    SignatureFacts,
    Signer,
)
from policy.judge import judge
from policy.rulebook import load

BOOK = load()

_ODD = st.sampled_from(
    ["", " ", "MẬT", "Độ mật: mật", "\x00", "é", "-", "/", ",", "x" * 600, "cid:", "3", "H12.01", "\udcff"]
)
_MAIL = st.builds(
    MailFacts,
    moment=st.sampled_from(["compose", "issue", "send", "receive", "periodic"]),
    door=st.just("mx"),
    at_us=st.integers(-(10**18), 10**19),
    sender=_ODD,
    sender_domain=_ODD,
    sender_is_ours=st.booleans(),
    recipients=st.lists(
        st.builds(Recipient, _ODD, _ODD, st.booleans(), st.none() | _ODD, st.none() | st.booleans()),
        max_size=3,
    ).map(tuple),
    subject=st.text(max_size=30) | _ODD,
    text=st.text(max_size=300),
    attachments=st.lists(
        st.builds(Attachment, _ODD, _ODD, st.none() | _ODD, st.integers(), st.none() | st.booleans()),
        max_size=3,
    ).map(tuple),
    reason=st.none() | _ODD,
    secrecy_header=st.none() | _ODD,
)
_SOME = st.none() | _ODD
_CODES = st.lists(_ODD, max_size=3).map(tuple)
_DAYS = st.none() | st.dates()
_PACKETS = st.builds(
    PacketFacts,
    kind=st.sampled_from(["document", "status"]),
    well_formed=st.none() | st.booleans(),
    from_codes=_CODES,
    to_codes=_CODES,
    document_id=_SOME,
    number=_SOME,
    notation=_SOME,
    dated=_DAYS,
    subject=_SOME,
    page_amount=_SOME,
    priority=_SOME,
    business_type=_SOME,
    replaced_ids=_CODES,
    references=_CODES,
    attachments=_CODES,
    status_code=_SOME,
)
_DOCUMENTS = st.builds(
    DocumentFacts,
    moment=st.sampled_from(["compose", "issue", "send", "receive", "periodic"]),
    date_local=st.dates(),
    agency_code=_SOME,
    agency_short=_SOME,
    agency_place=_SOME,
    kind=_SOME,
    kind_abbreviation=_SOME,
    number=_SOME,
    notation=_SOME,
    dated=_DAYS,
    place=_SOME,
    subject=_SOME,
    secrecy=_SOME,
    priority=st.none() | st.integers(),
    signer=st.none()
    | st.builds(Signer, competence=st.none() | st.builds(Competence, st.booleans(), start=_DAYS, end=_DAYS)),
    approvals=st.lists(st.builds(Approval, _ODD, st.binary(max_size=2), st.integers()), max_size=2).map(
        tuple
    ),
    signatures=st.none()
    | st.lists(
        st.builds(
            SignatureFacts,
            st.sampled_from(["person", "organisation"]),
            _ODD,
            st.sampled_from(["TOTAL-PASSED", "INDETERMINATE", "TOTAL-FAILED"]),
            _SOME,
            st.none() | st.integers(),
        ),
        max_size=3,
    ).map(tuple),
    numbering=st.none() | st.builds(Numbering, last_date=_DAYS),
    receivers=st.lists(st.builds(Receiver, _ODD), max_size=2).map(tuple),
    packet=st.none() | _PACKETS,
    text=st.text(max_size=200),
    already_registered=st.none() | st.booleans(),
)


_CERTIFICATES = st.builds(
    CertificateFacts,
    moment=st.sampled_from(["sign", "periodic", "issue"]),
    date_local=st.dates(),
    holder=_ODD,
    state=st.sampled_from(["valid", "expired", "revoked", "not-yet", "untrusted", "missing", "unknown"]),
    days_left=st.none() | st.integers(),
)


@given(_MAIL | _DOCUMENTS | _CERTIFICATES)
@settings(max_examples=400, deadline=None)
def test_the_judge_never_raises_and_no_rule_fails(facts: Facts) -> None:
    decision = judge(facts, BOOK)
    assert decision == judge(facts, BOOK)
    for one in decision.findings:
        assert "could not be asked" not in one.en, one
        assert "" not in {one.vi, one.en, one.basis}
    order = ["block", "hold", "warn", "record"]
    ranks = [order.index(one.severity) for one in decision.findings]
    assert ranks == sorted(ranks)
