# SPDX-License-Identifier: AGPL-3.0-or-later
"""R-REG: registers of outgoing and incoming documents (D30 Art. 4, 16, 22)."""

from __future__ import annotations

from policy.basis import D30, OWN, read
from policy.facts import DocumentFacts
from policy.rule import Parameters, Said, document_rule


@document_rule(
    "R-REG-01",
    "Văn bản đi được đăng ký tại văn thư cơ quan trước khi phát hành.",
    "Every outgoing document is registered at the clerk of the body.",
    bases=(read(D30, "Điều 4(2)(b)"),),
    issue="block",
    send="block",
)
def registered(facts: DocumentFacts, _: Parameters) -> Said | None:
    """Says nothing when the register was not asked; at issue the row must not be void or reserved."""
    if facts.numbering is None or facts.numbering.row_state is None:
        return None
    wanted = {"numbered", "issued"} if facts.moment == "issue" else {"issued"}
    if facts.numbering.row_state in wanted:
        return None
    return Said(
        "Văn bản chưa có dòng đăng ký hợp lệ trong sổ văn bản đi. Văn thư hãy lấy số và đăng ký.",
        "The document has no valid row in the outgoing register. The clerk numbers and registers it.",
    )


@document_rule(
    "R-REG-08",
    "Báo văn thư khi trùng mã văn bản hoặc trùng số, ký hiệu và cơ quan ban hành.",
    "The clerk is told of a duplicate of number, notation and issuing body.",
    bases=(read(D30, "Phụ lục VI, III.1.h"), OWN),
    receive="warn",
)
def duplicate_told(facts: DocumentFacts, _: Parameters) -> Said | None:
    """The same document id is R-REC-11."""
    if not facts.same_number_registered:
        return None
    return Said(
        f"Sổ văn bản đến đã có {facts.number}/{facts.notation} của cùng cơ quan. Hãy đối chiếu trước khi đăng ký.",
        f"{facts.number}/{facts.notation} of the same body is already registered. Compare before registering.",
    )
