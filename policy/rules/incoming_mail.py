# SPDX-License-Identifier: AGPL-3.0-or-later
"""R-MAIL-11 and on: mail that comes from outside, and files that nobody should get or send."""

from __future__ import annotations

from policy.basis import OWN, QD28, read
from policy.facts import Attachment, MailFacts
from policy.rule import Parameters, Said, mail_rule

_WORDS = {
    "program": ("là chương trình hoặc tệp lệnh", "is a program or script"),
    "double-extension": (
        "là chương trình giấu dưới tên của tài liệu",
        "is a program hidden under a document's name",
    ),
    "bomb": ("bung ra quá lớn (bom nén)", "unpacks to far too much (a zip bomb)"),
    "too-deep": ("lồng quá nhiều lớp nén", "holds archives in archives, too many deep"),
    "encrypted": (
        "đặt mật khẩu nên không kiểm tra được",
        "is locked with a password, so it could not be looked into",
    ),
    "macros": ("có macro", "holds macros"),
    "unreadable": ("bị hỏng hoặc không đọc được", "is damaged or can't be read"),
    "not-looked-into": ("là tệp nén không xem được bên trong", "is an archive that is not looked into"),
}


@mail_rule(
    "R-MAIL-11",
    "Thư không phải của người gửi ghi trên thư, mà tên miền ấy yêu cầu từ chối (DMARC), thì không nhận.",
    "A mail that is not of the sender it names is not taken when that domain asks for its refusal (DMARC).",
    bases=(OWN,),
    receive="block",
)
def forged_sender(facts: MailFacts, _: Parameters) -> Said | None:
    """Only where the owner of the domain says ``p=reject``; ``quarantine`` goes to Thư rác, by the door."""
    sender = facts.sender_check
    if sender is None or sender.dmarc != "fail" or sender.policy != "reject":
        return None
    return Said(
        f"Thư không được chứng thực là của {sender.author_domain} (DMARC). Người gửi: gửi qua máy chủ thư của tên miền "
        "mình, hoặc báo quản trị kiểm tra SPF, DKIM.",
        f"The mail is not proved to be of {sender.author_domain} (DMARC). Sender: send through your domain's own mail "
        "server, or have its administrator check SPF and DKIM.",
    )


@mail_rule(
    "R-MAIL-12",
    "Thư có đúng một người gửi; tên miền trông giống tên miền khác thì cảnh báo.",
    "A mail has exactly one author; a domain made to look like another is warned of.",
    bases=(OWN,),
    receive="warn",
)
def readable_sender(facts: MailFacts, _: Parameters) -> Said | None:
    """Mixed scripts, or letters of another script that pass for Latin ones; Vietnamese marks are plain."""
    sender = facts.sender_check
    if sender is None:
        return None
    if sender.author_domain is None:
        return Said(
            "Thư không ghi đúng một người gửi, nên không biết là của ai. Hãy hỏi lại bằng cách khác trước khi làm theo.",
            "The mail does not name exactly one sender, so nobody knows whose it is. Ask by another way before you act.",
        )
    if sender.odd_label is None:
        return None
    return Said(
        f"Tên miền “{sender.author_domain}” có chữ trông giống chữ khác (“{sender.odd_label}”). Có thể là giả mạo; hãy gọi "
        "điện hỏi lại.",
        f"The domain “{sender.author_domain}” has letters that look like others (“{sender.odd_label}”). It may be forged; "
        "telephone and ask.",
    )


@mail_rule(
    "R-MAIL-13",
    "Thư từ bên ngoài mang tên miền của mình mà không được chứng thực thì cảnh báo.",
    "A mail from outside under one of our own domains that is not proved is warned of.",
    bases=(OWN,),
    receive="warn",
)
def our_own_name(facts: MailFacts, _: Parameters) -> Said | None:
    """Our people send by signing in; what comes in by MX under our name came another way."""
    sender = facts.sender_check
    if sender is None or not sender.claims_ours or sender.proved:
        return None
    return Said(
        f"Thư ghi là của {sender.author_domain} nhưng đến từ bên ngoài và không chứng thực được. Hãy hỏi lại người gửi.",
        f"The mail says it is of {sender.author_domain} but came from outside and is not proved. Ask the sender.",
    )


@mail_rule(
    "R-MAIL-14",
    "Không nhận, không gửi chương trình, tệp lệnh, bom nén, kể cả trong tệp nén; tệp khóa mật khẩu và macro thì cảnh báo.",
    "No programs, scripts or zip bombs, nor inside archives; locked archives and macros are warned of.",
    bases=(read(QD28, "Điều 6(1), 13"), OWN),
    parameters={"blocked": ("program", "double-extension", "bomb", "too-deep")},
    send="block",
    receive="block",
)
def no_programs(facts: MailFacts, settings: Parameters) -> Said | None:
    """Judged by content and by name; ``blocked`` are the troubles that refuse, the others warn. Malware is never let by."""
    if facts.malware:
        return Said(
            f"Thư có mã độc ({facts.malware}). Không nhận, không gửi; quét lại máy đã gửi và báo cán bộ CNTT.",
            f"The mail holds malware ({facts.malware}). Not taken, not sent; scan the computer it came from and tell the IT "
            "officer.",
            "block",
        )
    found = [said for one in facts.attachments if (said := _file(one, settings)) is not None]
    return min(found, key=lambda said: said.severity is not None, default=None)


def _file(one: Attachment, settings: Parameters) -> Said | None:
    blocked = [each for each in one.troubles if each[0] in settings["blocked"]]
    if not one.troubles:
        return None
    what, where = (blocked or one.troubles)[0]
    vi, en = _WORDS.get(what, (what, what))
    shown = where[:150]
    if blocked:
        return Said(
            f"Tệp “{shown}” {vi}. Hãy bỏ tệp ấy ra rồi gửi lại; phần mềm thì chuyển qua kho phần mềm của cán bộ CNTT.",
            f"“{shown}” {en}. Take the file out and send again; software goes through the IT officer's store.",
        )
    return Said(
        f"Tệp “{shown}” {vi}. Chỉ mở khi đã hỏi lại người gửi.",
        f"“{shown}” {en}. Open it only after asking the sender.",
        "warn",
    )
