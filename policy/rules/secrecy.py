# SPDX-License-Identifier: AGPL-3.0-or-later
"""R-CON: state secrets have no place here (QĐ28 Art. 1(2); the law on state secrets)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from policy.basis import L29, OWN, QD28, read
from policy.facts import Content, DocumentFacts, MailFacts
from policy.rule import Parameters, Said, common_rule, document_rule
from policy.secrecy_marks import find_mark, mentions_secrecy

_NONE = {"", "0", "none", "không", "thường", "không mật", "khong"}
_REMEDY_VI = "Bỏ nội dung bí mật nhà nước, hoặc gửi theo đường dành cho tài liệu mật (không qua mạng này)."
_REMEDY_EN = "Remove what is secret, or use the way for state secrets (not this network)."


def _level(facts: Content) -> str | None:
    value = facts.secrecy_header if isinstance(facts, MailFacts) else facts.secrecy
    plain = unicodedata.normalize("NFC", value or "").strip()
    return None if plain.casefold() in _NONE else plain


def _texts(facts: Content) -> Iterator[str]:
    if isinstance(facts, MailFacts):
        yield facts.subject
    else:
        yield facts.subject or ""
        yield facts.mail_subject
        if facts.packet is not None:
            yield facts.packet.subject or ""
    yield facts.text
    for one in facts.attachments:
        yield one.first_page_text or ""
        yield one.filename.rpartition(".")[0] or one.filename


@lru_cache(maxsize=2)
def _mark(facts: Content) -> str | None:
    """The first mark; several rules ask for that of the same facts, one after the other."""
    return next((mark for mark in map(find_mark, _texts(facts)) if mark is not None), None)


@document_rule(
    "R-CON-01",
    "Không soạn thảo, lưu giữ tài liệu bí mật nhà nước trên hệ thống này.",
    "A draft with a secrecy level is not created or stored on this system.",
    bases=(read(L29, "Điều 5(5)"), read(QD28, "Điều 1(2)")),
    compose="block",
)
def no_secret_drafts(facts: DocumentFacts, _: Parameters) -> Said | None:
    """Judges the structured field."""
    level = _level(facts)
    if level is None:
        return None
    return Said(
        f"Không được soạn thảo văn bản độ “{level[:20]}” trên hệ thống này. {_REMEDY_VI}",
        f"Documents of secrecy “{level[:20]}” may not be drafted here. {_REMEDY_EN}",
    )


@common_rule(
    "R-CON-02",
    "Không gửi văn bản, thư, gói tin có độ mật qua kênh này.",
    "A document, mail or packet with any secrecy level is not sent on this channel.",
    bases=(read(L29, "Điều 5(6), 5(9)"), read(QD28, "Điều 1(2)")),
    issue="block",
    send="block",
    receive="block",
)
def no_secret_sent(facts: Content, _: Parameters) -> Said | None:
    """Judges the structured field; from outside it is held like a mark."""
    level = _level(facts)
    if level is None:
        return None
    return Said(
        f"Không được gửi nội dung độ “{level[:20]}” qua hệ thống này. {_REMEDY_VI}",
        f"Contents of secrecy “{level[:20]}” may not be sent here. {_REMEDY_EN}",
        "hold" if facts.moment == "receive" else None,
    )


@common_rule(
    "R-CON-03",
    "Nội dung có dấu chỉ độ mật đứng riêng (MẬT, TỐI MẬT, TUYỆT MẬT) không được lưu, gửi tại đây.",
    "An item with a stand-alone mark MẬT, TỐI MẬT or TUYỆT MẬT is not stored or sent from here.",
    bases=(read(L29, "Điều 10(3)"), OWN),
    compose="hold",
    issue="hold",
    send="hold",
    receive="hold",
)
def no_marks(facts: Content, _: Parameters) -> Said | None:
    """Reads subject, text, first pages and file names; a wrong stop costs an hour, a wrong pass stays."""
    mark = _mark(facts)
    if mark is None:
        return None
    return Said(
        f"Có dấu chỉ độ mật “{mark[:40]}”. {_REMEDY_VI}",
        f"It carries a mark of secrecy “{mark[:40]}”. {_REMEDY_EN}",
    )


@common_rule(
    "R-CON-04",
    "Nội dung đến có dấu chỉ độ mật được cách ly, không hiển thị, báo ngay người phụ trách bảo mật.",
    "An incoming item with a secrecy mark is quarantined and the security officer is told at once.",
    bases=(read(L29, "Điều 5"), OWN),
    receive="hold",
)
def quarantine(facts: Content, _: Parameters) -> Said | None:
    """Field or mark."""
    if _level(facts) is None and _mark(facts) is None:
        return None
    return Said(
        "Nội dung đến có dấu chỉ độ mật: đã cách ly, chỉ người phụ trách bảo mật xem. Liên hệ nơi gửi theo đường mật.",
        "The incoming item carries a secrecy mark: quarantined for the security officer. Contact the sender otherwise.",
    )


@common_rule(
    "R-CON-06",
    "Từ ngữ như “bảo mật”, “bí mật nhà nước” trong câu văn thường không phải là dấu chỉ độ mật.",
    "Words like “bảo mật” or “bí mật nhà nước” in ordinary prose do not count as a mark.",
    bases=(OWN,),
    compose="record",
    send="record",
    receive="record",
)
def prose_is_no_mark(facts: Content, _: Parameters) -> Said | None:
    """Recorded so that a later question “why did it pass” has an answer."""
    if _mark(facts) is not None or not any(map(mentions_secrecy, _texts(facts))):
        return None
    return Said(
        "Có nhắc đến bảo mật trong câu văn thường; không phải dấu chỉ độ mật nên được đi.",
        "Secrecy is spoken of in ordinary prose; that is no mark, so it passes.",
    )
