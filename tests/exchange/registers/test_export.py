# SPDX-License-Identifier: AGPL-3.0-or-later
"""Registers as files: the legal columns are all there, and no cell becomes a formula."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import date

import pytest
from lxml import etree

from config.database import Database
from config.refusal import Refused
from config.seal import Seal
from exchange.registers import rows
from exchange.registers.columns import INCOMING, OUTGOING, complete
from exchange.registers.export import as_item, export
from exchange.registers.rows import Entry, Row

SUBJECT = '=HYPERLINK("http://x") & <Về việc> "họp"\x01'


@pytest.fixture
def kept(sqlite_database: Database, seal: Seal) -> list[Row]:
    def add(number: int) -> None:
        sqlite_database.write(
            lambda conn: rows.add_row(
                conn,
                seal,
                agency=1,
                register="outgoing",
                sequence="khac",
                dated=date(2026, 3, number),
                state="numbered",
                notation="TB-VP",
                entry=Entry(complete("outgoing", {"subject": SUBJECT}), "vt1@a.example"),
            )
        )

    for number in (1, 2):
        add(number)
    with sqlite_database.reading() as conn:
        return rows.listing(conn, seal, 1, "outgoing", 2026)


def test_ten_legal_columns_each() -> None:
    assert (len(OUTGOING), len(INCOMING)) == (10, 10)
    assert list(complete("incoming", {"author": "a"})) == [one.key for one in INCOMING]
    with pytest.raises(KeyError):
        complete("outgoing", {"arrival_number": "1"})


def test_item(kept: list[Row]) -> None:
    item = as_item(kept[0], "H12.01,2026/03/01,01/TB-VP")
    assert {one.key for one in OUTGOING} <= set(item)
    assert (item["number"], item["state"], item["document_id"]) == (
        "01/TB-VP",
        "numbered",
        "H12.01,2026/03/01,01/TB-VP",
    )


def test_csv(kept: list[Row]) -> None:
    text = export("outgoing", "Văn phòng", 2026, kept, "csv").decode("utf-8-sig")
    table = list(csv.reader(io.StringIO(text)))
    assert table[0][0] == "Số, ký hiệu văn bản"
    assert [line[0] for line in table[1:]] == ["01/TB-VP", "02/TB-VP"]
    assert table[1][2].startswith("'=HYPERLINK")


def test_xlsx_is_well_formed_and_all_text(kept: list[Row]) -> None:
    data = export("outgoing", "Văn phòng", 2026, kept, "xlsx")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        trees = {name: etree.fromstring(archive.read(name)) for name in archive.namelist()}
    sheet = trees["xl/worksheets/sheet1.xml"]
    main = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    cells = list(sheet.iter(f"{main}c"))
    assert all(cell.get("t") == "inlineStr" for cell in cells)
    texts = [cell.findtext(f"{main}is/{main}t") for cell in cells]
    assert "02/TB-VP" in texts
    assert SUBJECT.replace("\x01", "") in texts
    assert not list(sheet.iter(f"{main}f"))


def test_another_format_is_refused(kept: list[Row]) -> None:
    with pytest.raises(Refused):
        export("outgoing", "Văn phòng", 2026, kept, "pdf")
