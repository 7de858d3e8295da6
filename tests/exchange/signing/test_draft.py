# SPDX-License-Identifier: AGPL-3.0-or-later
"""Drafts that can't be signed safely are refused with words."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.writer import PdfFileWriter, copy_into_new_writer

from config.refusal import Refused
from exchange.signing.pdf import draft as drafts
from exchange.signing.pdf.compose import compose_draft
from exchange.signing.pdf.draft import open_draft
from exchange.signing.pdf.prepare import prepare
from tests.exchange.signing.house import DRAFT, House

PLAIN = compose_draft(DRAFT)


def code_of(data: bytes) -> str:
    with pytest.raises(Refused) as refused:
        prepare(data)
    assert refused.value.vi
    assert refused.value.en
    return refused.value.code


def changed(change: Any) -> bytes:
    writer = IncrementalPdfFileWriter(io.BytesIO(PLAIN))
    change(writer)
    writer.update_root()
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def dictionary(**entries: Any) -> generic.DictionaryObject:
    return generic.DictionaryObject({pdf_name("/" + key): value for key, value in entries.items()})


def test_a_plain_draft_is_fine() -> None:
    assert open_draft(PLAIN).root["/Type"] == "/Catalog"
    assert prepare(PLAIN).startswith(b"%PDF-")


@pytest.mark.parametrize("data", [b"", b"hello", b"PK\x03\x04" + b"x" * 100, b"\x89PNG\r\n"])
def test_not_a_pdf(data: bytes) -> None:
    assert code_of(data) == "draft-not-pdf"


@pytest.mark.parametrize("data", [b"%PDF-1.7\n", PLAIN[: len(PLAIN) // 2], b"%PDF-1.7\n" + b"x" * 5000])
def test_damaged(data: bytes) -> None:
    assert code_of(data) == "draft-damaged"


def test_too_large() -> None:
    assert code_of(b"%PDF-" + bytes(drafts.MAX_BYTES)) == "draft-too-large"


def test_encrypted() -> None:
    writer = copy_into_new_writer(PdfFileReader(io.BytesIO(PLAIN)))
    writer.encrypt("mat-khau", "mat-khau")
    out = io.BytesIO()
    writer.write(out)
    assert code_of(out.getvalue()) == "draft-encrypted"


def test_xfa() -> None:
    def change(writer: Any) -> None:
        form = dictionary(
            Fields=generic.ArrayObject(), XFA=writer.add_object(generic.StreamObject(stream_data=b"<xdp/>"))
        )
        writer.root[pdf_name("/AcroForm")] = writer.add_object(form)

    assert code_of(changed(change)) == "draft-xfa"


def test_javascript_when_opened() -> None:
    def change(writer: Any) -> None:
        action = dictionary(S=pdf_name("/JavaScript"), JS=generic.pdf_string("app.alert(1)"))
        writer.root[pdf_name("/OpenAction")] = writer.add_object(action)

    assert code_of(changed(change)) == "draft-active"


def test_launch_hidden_in_an_annotation() -> None:
    def change(writer: Any) -> None:
        page = writer.find_page_for_modification(0)[0].get_object()
        action = dictionary(S=pdf_name("/Launch"), F=generic.pdf_string("x.exe"))
        link = dictionary(Subtype=pdf_name("/Link"), A=writer.add_object(action))
        page[pdf_name("/Annots")] = generic.ArrayObject([writer.add_object(link)])
        writer.update_container(page)

    assert code_of(changed(change)) == "draft-active"


def test_links_are_allowed() -> None:
    def change(writer: Any) -> None:
        page = writer.find_page_for_modification(0)[0].get_object()
        action = dictionary(S=pdf_name("/URI"), URI=generic.pdf_string("https://camau.example/"))
        link = dictionary(Subtype=pdf_name("/Link"), A=action)
        page[pdf_name("/Annots")] = generic.ArrayObject([writer.add_object(link)])
        writer.update_container(page)

    assert prepare(changed(change))


def test_signed_already(house: House, issued: bytes) -> None:
    assert code_of(issued) == "draft-signed"
    assert code_of(house.person_signs(house.prepared()).data) == "draft-signed"


def test_prepared_already(house: House) -> None:
    assert code_of(house.prepared()) == "draft-fields"


def test_too_many_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "MAX_PAGES", 0)
    assert code_of(PLAIN) == "draft-pages"


def test_too_many_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "MAX_OBJECTS", 10)
    assert code_of(PLAIN) == "draft-too-complex"


def test_a_page_tree_that_bites_its_tail() -> None:
    writer = PdfFileWriter()
    pages = writer.root["/Pages"]
    pages[pdf_name("/Kids")] = generic.ArrayObject([writer.root.raw_get("/Pages")])
    out = io.BytesIO()
    writer.write(out)
    assert code_of(out.getvalue()) == "draft-damaged"


def test_incomplete_forms_are_refused() -> None:
    from dataclasses import replace

    with pytest.raises(Refused) as refused:
        compose_draft(replace(DRAFT, subject=" "))
    assert refused.value.code == "draft-incomplete"


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(PLAIN) - 1), st.binary(min_size=1, max_size=40))
def test_any_damage_is_accepted_or_refused_with_a_code(place: int, junk: bytes) -> None:
    data = PLAIN[:place] + junk + PLAIN[place + len(junk) :]
    code = "draft-"
    try:
        prepare(data)
    except Refused as refused:
        code = refused.code
    assert code.startswith("draft-")
