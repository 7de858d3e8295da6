# SPDX-License-Identifier: AGPL-3.0-or-later
"""Signature wrapping: what is used is what was signed, in XML, PDF, CMS and OpenPGP."""

from __future__ import annotations

import contextlib
import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from lxml import etree

from config.refusal import Refused
from exchange.edxml.write import write
from exchange.sealing.openpgp import OpenPgp
from exchange.sealing.xml_signature import sign, verify
from exchange.trust.pdf_judge import judge_pdf
from exchange.verifying.edxml import verify_edxml
from tests.attacks.conftest import seal_of, speaks_plainly
from tests.exchange.sealing.pgp import gpg, gpg_home, make_pair
from tests.exchange.sealing.province import Province
from tests.exchange.sealing.test_xml_signature import document
from tests.exchange.signing.house import House

DS = "{http://www.w3.org/2000/09/xmldsig#}"
Wrap = Callable[[etree._Element, etree._Element], etree._Element]


def _header(tree: etree._Element) -> etree._Element:
    found = next(one for one in tree.iter() if etree.QName(one).localname == "edXMLHeader")
    assert isinstance(found, etree._Element)
    return found


def _signature(tree: etree._Element) -> etree._Element:
    return next(tree.iter(f"{DS}Signature"))


def inside_the_forged(forged: etree._Element, signed: etree._Element) -> etree._Element:
    """The signed document is a child of the forged one."""
    forged.append(signed)
    return forged


def signature_around_the_signed(forged: etree._Element, signed: etree._Element) -> etree._Element:
    """The forged document has the signature, the signed one lies in a ds:Object of it (enveloping)."""
    signature = copy.deepcopy(_signature(signed))
    etree.SubElement(signature, f"{DS}Object").append(signed)
    _header(forged).append(signature)
    return forged


def signature_of_the_signed(forged: etree._Element, signed: etree._Element) -> etree._Element:
    """The signature is taken out; the signed document is put beside it."""
    signature = _signature(signed)
    _header(forged).append(copy.deepcopy(signature))
    parent = signature.getparent()
    assert parent is not None
    parent.remove(signature)
    _header(forged).append(signed)
    return forged


def two_headers(forged: etree._Element, signed: etree._Element) -> etree._Element:
    """A forged header before the signed one."""
    own = _header(signed)
    own.addprevious(copy.deepcopy(_header(forged)))
    return signed


def two_headers_behind(forged: etree._Element, signed: etree._Element) -> etree._Element:
    """The same behind it."""
    _header(signed).addnext(copy.deepcopy(_header(forged)))
    return signed


def forged_subject_first(forged: etree._Element, signed: etree._Element) -> etree._Element:
    """A second Subject before the signed one."""
    wanted = next(one for one in forged.iter() if etree.QName(one).localname == "Subject")
    own = next(one for one in signed.iter() if etree.QName(one).localname == "Subject")
    own.addprevious(copy.deepcopy(wanted))
    return signed


def by_identifier(forged: etree._Element, signed: etree._Element) -> etree._Element:
    """The reference names the hidden document by its Id."""
    signed.set("Id", "a")
    signature = copy.deepcopy(_signature(signed))
    next(signature.iter(f"{DS}Reference")).set("URI", "#a")
    _header(forged).append(signature)
    _header(forged).append(signed)
    return forged


WRAPS: list[Wrap] = [
    inside_the_forged,
    signature_around_the_signed,
    signature_of_the_signed,
    two_headers,
    two_headers_behind,
    forged_subject_first,
    by_identifier,
]


@pytest.mark.parametrize("wrap", WRAPS, ids=[one.__name__ for one in WRAPS])
def test_xml(province: Province, wrap: Wrap) -> None:
    signed = sign(write(document(b"%PDF-1.7 x")), province.a.chain, province.a.sign)
    forged = write(replace(document(b"%PDF-1.7 y"), subject="Khác hẳn"))
    data = etree.tostring(wrap(etree.fromstring(forged), etree.fromstring(signed)), encoding="UTF-8")
    with contextlib.suppress(Refused):
        assert verify(data, province.judging).outcome != "TOTAL-PASSED"
    verdict, _ = verify_edxml(data, province.judging)
    assert not verdict.passed
    assert speaks_plainly(verdict)


_RANGE = re.compile(rb"/ByteRange\s*\[\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s*\]")


def _moved(data: bytes, evil: bytes, *, longer: bool) -> bytes:
    """The second half that is signed moved behind ``evil`` (signature wrapping); the ByteRange says where it is now."""
    found = list(_RANGE.finditer(data))[-1]
    _, first, start, rest = (int(one) for one in found.groups())
    text = b"/ByteRange [0 %d %d %d]" % (first, start + len(evil), rest)
    assert len(text) <= len(found[0])
    head = data[: found.start()] + text.ljust(len(found[0])) + data[found.end() : start]
    return head + (evil + data[start:] if longer else evil[: len(evil) // 2] + data[start:])


@pytest.mark.parametrize("longer", [True, False])
@pytest.mark.parametrize(
    "evil", [b" " * 400, b"\n4 0 obj\n<< /Length 0 >>\nstream\n\nendstream\nendobj\n" * 8]
)
def test_pdf_signed_bytes_moved(house: House, issued: bytes, evil: bytes, longer: bool) -> None:
    """What lies between is in no range, though every digest is right: not the whole file is covered."""
    verdict = judge_pdf(_moved(issued, evil, longer=longer), house.anchors())
    assert verdict.verdict in ("TOTAL-FAILED", "UNREADABLE")
    assert not verdict.official
    assert speaks_plainly(verdict)


def test_pdf_signature_of_another_file(house: House, issued: bytes) -> None:
    """The seal's Contents of one document in another."""
    other = house.issued()
    mine, theirs = (list(_RANGE.finditer(one))[-1] for one in (issued, other))
    start, end = int(mine[2]), int(mine[3])
    value = other[int(theirs[2]) : int(theirs[3])]
    assert len(value) == end - start
    verdict = judge_pdf(issued[:start] + value + issued[end:], house.anchors())
    assert (verdict.verdict, seal_of(verdict).sub_indication) == ("TOTAL-FAILED", "HASH_FAILURE")


@pytest.fixture
def signers() -> Iterator[tuple[OpenPgp, bytes, bytes, bytes]]:
    """A message by two keys, one of which signed something else; a message by both; their keys."""
    with gpg_home() as home:
        one, two = make_pair(home, "A <a@a.example>"), make_pair(home, "B <b@b.example>")
        both = gpg(
            home, "-a", "--detach-sign", "-u", one.fingerprint, "-u", two.fingerprint, data=b"x"
        ).stdout
        right = gpg(home, "--detach-sign", "-u", one.fingerprint, data=b"x").stdout
        lying = gpg(home, "--detach-sign", "-u", two.fingerprint, data=b"y").stdout
        with OpenPgp.temporary([one.public, two.public]) as reader:
            yield reader, both, right, lying


def test_openpgp_one_of_two_lies(signers: tuple[OpenPgp, bytes, bytes, bytes]) -> None:
    reader, both, right, lying = signers
    assert [one.verdict.verdict for one in reader.verify(b"x", both)] == ["TOTAL-PASSED"] * 2
    for order in (right + lying, lying + right):
        found = [one.verdict.verdict for one in reader.verify(b"x", order)]
        assert "TOTAL-PASSED" not in found or "TOTAL-FAILED" in found
