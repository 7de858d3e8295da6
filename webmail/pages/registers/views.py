# SPDX-License-Identifier: AGPL-3.0-or-later
"""The registers with their legal columns: to read, to print, to take away (ND30/2020 App. IV)."""

from __future__ import annotations

from flask import Blueprint, Response, make_response, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from config.clock import now_us, today_local
from exchange.registers.columns import TITLES, columns_of
from exchange.registers.export import FORMATS, export
from exchange.registers.numbers import Register
from mailserver.accounts import Account, Agency
from policy.ledger.entries import record
from policy.ledger.leaf import JSON
from policy.rights import may
from webmail import frame, navigation
from webmail.errors import NotAllowed, NotThere
from webmail.frame import page
from webmail.language import current, t
from webmail.pages.registers import queries

blueprint = Blueprint("registers", __name__)

_REGISTERS: tuple[Register, Register] = ("incoming", "outgoing")
_TYPES = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def section(account: Account) -> navigation.Section | None:
    """The registers in the navigation."""
    if not may(account.role, "register.read", "same-agency"):
        return None
    links = tuple(
        navigation.Link(
            f"registers.{one}", url_for("registers.show", register=one), t(f"register.title-{one}")
        )
        for one in _REGISTERS
    )
    return navigation.Section("registers", url_for("registers.show"), t("nav.registers"), "book", links=links)


navigation.add(40, section)


@blueprint.get("/registers")
def show() -> AnyResponse:
    """``?register=outgoing|incoming&year=&page=``; an auditor adds ``agency=``."""
    register, agency, year = _asked()
    asked = request.args.get("page", "1")
    number = int(asked) if asked.isascii() and asked.isdigit() and 0 < int(asked[:6]) < 100_000 else 1
    leaf = queries.leaf(agency, register, year, number)
    who = frame.account()
    language = current()
    titles = TITLES[register]
    return page(
        "registers/register.html",
        place=f"registers.{register}",
        register=register,
        agency=agency,
        agencies=queries.agencies(who),
        year=year,
        years=queries.years(agency, register),
        leaf=leaf,
        columns=[(one.key, one.vi if language == "vi" else one.en) for one in columns_of(register)],
        legal_title=titles[0] if language == "vi" else titles[1],
        ids=queries.ids(leaf.rows) if agency.code == who.agency_code and who.role != "auditor" else {},
        formats=FORMATS if queries.exports(who, agency) else (),
        printed_us=now_us(),
    )


@blueprint.get("/registers/export")
def take_away() -> Response:
    """The year's register as a file (``&format=csv|json|xlsx``); taking it is recorded."""
    register, agency, year = _asked()
    who = frame.account()
    form = request.args.get("format", "csv")
    if form not in FORMATS:
        raise NotThere
    if not queries.exports(who, agency):
        raise NotAllowed(
            "Chỉ văn thư của cơ quan và thanh tra được xuất sổ.",
            "Only the agency's clerks and auditors export a register.",
        )
    rows = queries.whole(agency, register, year)
    data = export(register, agency.name, year, rows, form)
    parts = frame.parts()
    detail: dict[str, JSON] = {
        "by": who.address,
        "register": register,
        "year": year,
        "format": form,
        "rows": len(rows),
    }
    parts.database.write(lambda conn: record(conn, parts.seal, "register.exported", agency.code, detail))
    answer = make_response(data)
    answer.headers["Content-Type"] = _TYPES[form]
    name = f"so-{'di' if register == 'outgoing' else 'den'}-{agency.code}-{year}.{form}"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    answer.headers["Content-Security-Policy"] = "sandbox; default-src 'none'; frame-ancestors 'none'"
    return answer


def _asked() -> tuple[Register, Agency, int]:
    """Which register of whom. Raises `NotAllowed`, `NotThere`."""
    who = frame.account()
    allowed = queries.agencies(who)
    if not allowed:
        raise NotAllowed(
            "Sổ đăng ký dành cho văn thư, lãnh đạo và thanh tra. Cần xem một dòng, hỏi văn thư cơ quan.",
            "Registers are for clerks, leaders and auditors. To see one line, ask your agency's clerk.",
        )
    code = request.args.get("agency") or who.agency_code
    agency = next((one for one in allowed if one.code == code), None)
    if agency is None:
        raise NotThere
    asked = request.args.get("register", "outgoing")
    if asked not in _REGISTERS:
        raise NotThere
    year = request.args.get("year", "")
    number = int(year) if year.isascii() and year.isdigit() and len(year) == 4 else today_local().year
    return asked, agency, number
