# SPDX-License-Identifier: AGPL-3.0-or-later
"""A register as JSON, CSV or a spreadsheet, with all legal columns, to be printed, signed and bound (R-REG-06).

The spreadsheet is Office Open XML (ECMA-376) written by hand: text cells only, so that nothing a subject
line holds is ever taken for a formula; the CSV quotes such cells for the same reason.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

from config.clock import iso_local
from config.refusal import Refused
from exchange.registers.columns import TITLES, columns_of
from exchange.registers.numbers import Register
from exchange.registers.rows import Row

FORMATS = ("json", "csv", "xlsx")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_STATES = {"numbered": "Đã cấp số", "issued": "Đã phát hành", "void": "Đã hủy", "reserved": "Giữ số"}
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def as_item(row: Row, document_id: str) -> dict[str, Any]:
    """One row as ``register show --json`` gives it (DESIGN §5)."""
    return {
        **row.columns,
        "state": row.state,
        "document_id": document_id,
        "register": row.key.register,
        "year": row.key.year,
        "sequence": row.key.sequence,
        "serial": row.key.number,
        "medium": row.medium,
        "dated": row.dated.isoformat(),
        "version": row.version,
        "actor": row.actor,
        "reason": row.reason,
        "at": iso_local(row.at_us),
    }


def whole(register: Register, agency_name: str, year: int, items: list[dict[str, Any]]) -> dict[str, Any]:
    """The register as one JSON object; ``items`` as `exchange.registers.shown.items` gives them."""
    title, _ = TITLES[register]
    return {"agency": agency_name, "title": title, "register": register, "year": year, "items": items}


def export(register: Register, agency_name: str, year: int, rows: Sequence[Row], form: str) -> bytes:
    """The register as a file: ``csv`` or ``xlsx``. Raises `Refused` for another form."""
    if form == "csv":
        return _csv(register, rows)
    if form == "xlsx":
        return _xlsx(register, agency_name, year, rows)
    raise Refused("bad-format", "Định dạng: csv, xlsx.", "Formats: csv, xlsx.")


def _table(register: Register, rows: Sequence[Row]) -> list[list[str]]:
    columns = columns_of(register)
    table = [[*(one.vi for one in columns), "Trạng thái"]]
    for row in rows:
        state = _STATES[row.state] + (f" ({row.reason})" if row.reason else "")
        table.append([*(row.columns.get(one.key, "") for one in columns), state])
    return table


def _csv(register: Register, rows: Sequence[Row]) -> bytes:
    """UTF-8 with a mark in front, which is what spreadsheet programs need to read Vietnamese."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    for line in _table(register, rows):
        writer.writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in line])
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def _xlsx(register: Register, agency_name: str, year: int, rows: Sequence[Row]) -> bytes:
    title, _ = TITLES[register]
    lines = [[agency_name], [f"{title} – NĂM {year}"], [], *_table(register, rows)]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (*_SKELETON, ("xl/worksheets/sheet1.xml", _sheet(lines))):
            info = zipfile.ZipInfo(name, _ZIP_TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, _DECLARATION + text)
    return out.getvalue()


def _sheet(lines: list[list[str]]) -> str:
    widths = (18, 14, 50, 26, 40, 24, 10, 14, 16, 24, 24)
    columns = "".join(
        f'<col min="{at}" max="{at}" width="{width}" customWidth="1"/>' for at, width in enumerate(widths, 1)
    )
    body = []
    for number, line in enumerate(lines, 1):
        style = ' s="1"' if number in (1, 2, 4) else ' s="2"'
        cells = "".join(
            f'<c r="{chr(65 + at)}{number}" t="inlineStr"{style}><is><t xml:space="preserve">'
            f"{escape(_CONTROL.sub('', cell))}</t></is></c>"
            for at, cell in enumerate(line)
        )
        body.append(f'<row r="{number}">{cells}</row>')
    return (
        f'<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0"/></sheetViews>'
        f"<cols>{columns}</cols><sheetData>{''.join(body)}</sheetData>"
        '<pageMargins left="0.4" right="0.4" top="0.6" bottom="0.6" header="0.3" footer="0.3"/>'
        '<pageSetup paperSize="9" orientation="landscape" fitToHeight="0"/></worksheet>'
    )


_DECLARATION = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_SKELETON = (
    (
        "[Content_Types].xml",
        f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/></Types>',
    ),
    (
        "_rels/.rels",
        f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="r1" Type="{_REL}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    ),
    (
        "xl/workbook.xml",
        f'<workbook xmlns="{_MAIN}" xmlns:r="{_REL}">'
        '<sheets><sheet name="So dang ky" sheetId="1" r:id="r1"/></sheets></workbook>',
    ),
    (
        "xl/_rels/workbook.xml.rels",
        f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="r1" Type="{_REL}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="r2" Type="{_REL}/styles" Target="styles.xml"/></Relationships>',
    ),
    (
        "xl/styles.xml",
        f'<styleSheet xmlns="{_MAIN}"><fonts count="2"><font><sz val="11"/><name val="Times New Roman"/></font>'
        '<font><b/><sz val="11"/><name val="Times New Roman"/></font></fonts>'
        '<fills count="2"><fill><patternFill patternType="none"/></fill>'
        '<fill><patternFill patternType="gray125"/></fill></fills>'
        '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
        '<cellStyleXfs count="1"><xf/></cellStyleXfs><cellXfs count="3"><xf xfId="0"/>'
        '<xf fontId="1" applyFont="1" xfId="0"/>'
        '<xf applyAlignment="1" xfId="0"><alignment wrapText="1" vertical="top"/></xf></cellXfs></styleSheet>',
    ),
)
