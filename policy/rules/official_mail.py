# SPDX-License-Identifier: AGPL-3.0-or-later
"""R-MAIL: use of official mail. Only senders of this installation are judged."""

from __future__ import annotations

from policy.basis import CM24, CT34, D91, L29, OWN, QD28, read, unconfirmed
from policy.facts import MailFacts, Recipient
from policy.rule import Parameters, Said, mail_rule

PUBLIC_DOMAINS = (
    "gmail.com", "googlemail.com", "yahoo.com", "yahoo.com.vn", "ymail.com", "rocketmail.com", "outlook.com",
    "outlook.com.vn", "hotmail.com", "live.com", "msn.com", "icloud.com", "me.com", "aol.com", "proton.me",
    "protonmail.com", "zoho.com", "mail.com", "gmx.com", "gmx.net", "yandex.com", "yandex.ru", "mail.ru",
    "qq.com", "163.com", "zing.vn", "vnn.vn", "fpt.vn", "tutanota.com", "zalo.me",
)  # fmt: skip


def _public(facts: MailFacts, settings: Parameters) -> list[Recipient]:
    domains = {str(name).casefold() for name in settings["public_domains"]}
    return [
        one
        for one in facts.recipients
        if not one.ours and any(_within(one.domain.casefold(), name) for name in domains)
    ]


def _within(domain: str, name: str) -> bool:
    return domain == name or domain.endswith("." + name)


def _given(facts: MailFacts) -> bool:
    return bool((facts.reason or "").strip())


@mail_rule(
    "R-MAIL-01",
    "Thư công việc giữa các cơ quan đi từ hộp thư công vụ đến hộp thư công vụ.",
    "Work mail between offices goes from an official mailbox to official mailboxes.",
    bases=(unconfirmed(CT34), unconfirmed(CM24)),
    parameters={"public_domains": PUBLIC_DOMAINS},
    send="warn",
)
def official_mailboxes(facts: MailFacts, settings: Parameters) -> Said | None:
    """Warns for public providers; with a recorded reason it is recorded only."""
    public = _public(facts, settings) if facts.sender_is_ours else []
    if not public:
        return None
    return Said(
        f"{public[0].address} là hộp thư công cộng. Hãy dùng hộp thư công vụ của người nhận; nếu là người dân, "
        "doanh nghiệp, ghi dòng đầu “Lý do: …”.",
        f"{public[0].address} is a public mailbox. Use the recipient's official mailbox; for a citizen or a "
        "business begin the text with “Lý do: …”.",
        "record" if _given(facts) else None,
    )


@mail_rule(
    "R-MAIL-02",
    "Thư kèm văn bản chính thức gửi đến hộp thư công cộng bị chặn, trừ khi có lý do được ghi nhận.",
    "A mail with an official document to a public mailbox is stopped unless a reason is recorded.",
    bases=(unconfirmed(CM24),),
    parameters={"public_domains": PUBLIC_DOMAINS},
    send="block",
)
def documents_to_public_mailboxes(facts: MailFacts, settings: Parameters) -> Said | None:
    """Blocks where an organisation's signature says that it is a document; what only looks like one warns."""
    documents = [one for one in facts.attachments if one.is_official_document]
    public = _public(facts, settings) if facts.sender_is_ours else []
    if not documents or not public:
        return None
    sure = any(one.official_by_signature for one in documents)
    return Said(
        f"“{documents[0].filename[:80]}” là văn bản chính thức, {public[0].address} là hộp thư công cộng. Gửi qua hệ thống "
        "văn bản; nếu người nhận là người dân, doanh nghiệp, ghi dòng đầu “Lý do: …”.",
        f"“{documents[0].filename[:80]}” is an official document and {public[0].address} a public mailbox. Send it through "
        "the document system; for a citizen or business begin the text with “Lý do: …”.",
        "record" if _given(facts) else None if sure else "warn",
    )


@mail_rule(
    "R-MAIL-03",
    "Văn bản chính thức không gửi bằng tệp đính kèm thư cho cơ quan đã dùng hệ thống văn bản.",
    "An official document is not sent as a mail attachment to a body on the document system.",
    bases=(read(QD28, "Điều 5(2)"),),
    send="block",
)
def documents_to_bodies(facts: MailFacts, _: Parameters) -> Said | None:
    """As R-MAIL-02: a signature decides, a look only warns."""
    documents = [one for one in facts.attachments if one.is_official_document]
    bodies = [one for one in facts.recipients if one.on_document_system and one.agency_code]
    if not facts.sender_is_ours or not documents or not bodies:
        return None
    sure = any(one.official_by_signature for one in documents)
    return Said(
        f"“{documents[0].filename[:80]}” là văn bản chính thức gửi {bodies[0].address}. Hãy phát hành qua hệ thống văn bản "
        "(mục Văn bản), không gửi kèm thư.",
        f"“{documents[0].filename[:80]}” is an official document for {bodies[0].address}. Issue it through the document "
        "system (page Documents), not as an attachment.",
        None if sure else "warn",
    )


@mail_rule(
    "R-MAIL-07",
    "Không gửi bí mật nhà nước qua thư điện tử.",
    "No state secret is sent by mail.",
    bases=(read(L29, "Điều 5(6)"),),
    send="block",
)
def no_secrets_by_mail(facts: MailFacts, _: Parameters) -> Said | None:
    """Judges the declared level; marks in free text are R-CON-03."""
    level = (facts.secrecy_header or "").strip()
    if not facts.sender_is_ours or level.casefold() in {"", "none", "0", "không", "thường"}:
        return None
    return Said(
        f"Thư khai báo độ mật “{level[:20]}”. Bí mật nhà nước không gửi qua thư điện tử.",
        f"The mail declares the secrecy “{level[:20]}”. State secrets are not sent by mail.",
    )


@mail_rule(
    "R-MAIL-08",
    "Thư hàng loạt, thư rác từ một tài khoản bị dừng và báo lại.",
    "Bulk or spam mail from an account is stopped and reported.",
    bases=(unconfirmed(D91), OWN),
    parameters={"recipients_a_message": 100, "recipients_a_day": 500, "exempt_roles": ("registry", "clerk")},
    send="block",
)
def bulk_mail(facts: MailFacts, settings: Parameters) -> Said | None:
    """Counts recipients outside and inside; the day's count is judged only where it is known."""
    if not facts.sender_is_ours or facts.sender_role in settings["exempt_roles"]:
        return None
    count = len(facts.recipients)
    if (
        count <= settings["recipients_a_message"]
        and (facts.sent_today or 0) + count <= settings["recipients_a_day"]
    ):
        return None
    return Said(
        f"Quá giới hạn {settings['recipients_a_message']} người nhận một thư hoặc {settings['recipients_a_day']} một ngày. "
        "Nhờ văn thư gửi từ hộp thư cơ quan.",
        f"More than {settings['recipients_a_message']} recipients a message or {settings['recipients_a_day']} a day. "
        "Ask the clerk to send it from the registry mailbox.",
    )
