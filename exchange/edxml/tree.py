# SPDX-License-Identifier: AGPL-3.0-or-later
"""Bytes of an edXML file → element tree, behind our own limits.

lxml's ``huge_tree`` is needed (one attachment is one text node, often over 10 MB) and takes the parser's
own guards away, so the guards stand here and run before the parser: size, number of tags and attributes,
no DOCTYPE, UTF-8 only. Comments are dropped, so that a comment inside a value cannot cut it in two.
"""

from __future__ import annotations

import re
from typing import Any

from lxml import etree

from config.refusal import Refused
from exchange.edxml.model import NAMESPACE

MAX_BYTES = 75_000_000
MAX_DEPTH = 32
MAX_TAGS = 100_000
XLINK = "http://www.w3.org/1999/xlink"

_ENCODING = re.compile(rb"^\s*<\?xml[^>]*?encoding\s*=\s*[\"']([^\"']*)[\"']", re.S)
_PROLOG = re.compile(rb"\A(?:\xef\xbb\xbf)?(?:\s+|<\?.*?\?>|<!--.*?-->)*", re.S)
_ROOT_NAME = re.compile(rb"<[A-Za-z_][\w.:-]*")
OTHER_NAMESPACES = ("http://www.e-doc.vn/Schema/", "http://www.go.vn/eDoc")


def not_readable(code: str, vi: str, en: str) -> Refused:
    """A refusal of the file as a whole (R-MET-16)."""
    return Refused(code, vi, en, rule="R-MET-16")


def parse(data: bytes) -> tuple[etree._Element, bool]:
    """The root element, and whether the one repair rule was needed (edxml.md section 8.4).

    Repair: a file that is not namespace-well-formed is parsed once more with ``xmlns:xlink`` and
    ``xmlns:edXML`` declared on the root; no other prefix, never a recovering parser. Raises ``Refused``.
    """
    _guard(data)
    repaired = False
    try:
        root = _parse(data)
    except etree.XMLSyntaxError as error:
        again = _with_prefixes(data) if _undeclared_prefix(error) else None
        if again is None:
            raise _syntax(error) from None
        try:
            root = _parse(again)
        except etree.XMLSyntaxError as second:
            raise _syntax(second) from None
        repaired = True
    _shape(root)
    return root, repaired


def _guard(data: bytes) -> None:
    if not data.strip():
        raise not_readable("edxml-empty", "Tệp edXML rỗng.", "The edXML file is empty.")
    if len(data) > MAX_BYTES:
        raise not_readable(
            "edxml-too-large",
            f"Tệp edXML vượt quá {MAX_BYTES // 1_000_000} MB.",
            f"The edXML file is over {MAX_BYTES // 1_000_000} MB.",
        )
    declared = _ENCODING.match(data[:512].removeprefix(b"\xef\xbb\xbf"))
    if declared and declared[1].lower() not in (b"utf-8", b"utf8"):
        raise not_readable("edxml-encoding", "Tệp edXML phải dùng UTF-8.", "An edXML file must be UTF-8.")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise not_readable(
            "edxml-encoding",
            f"Byte {error.start} không phải UTF-8.",
            f"Byte {error.start} is not UTF-8.",
        ) from None
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise not_readable(
            "edxml-doctype",
            "Tệp edXML không được có DOCTYPE hoặc thực thể.",
            "An edXML file must not have a DOCTYPE or entities.",
        )
    if data.count(b"<") > 2 * MAX_TAGS or data.count(b"=") > 2 * MAX_TAGS:
        raise not_readable("edxml-too-many-tags", "Quá nhiều phần tử XML.", "Too many XML elements.")


def _parse(data: bytes) -> etree._Element:
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=True,
        remove_comments=True,
        recover=False,
    )
    return etree.fromstring(data, parser)


def _syntax(error: etree.XMLSyntaxError) -> Refused:
    line = error.lineno or 0
    return not_readable(
        "edxml-not-well-formed",
        f"Không phải XML đúng chuẩn (dòng {line}).",
        f"Not well-formed XML (line {line}).",
    )


def _undeclared_prefix(error: etree.XMLSyntaxError) -> bool:
    wanted = etree.ErrorTypes.NS_ERR_UNDEFINED_NAMESPACE
    log: Any = error.error_log  # the stubs do not know its items
    return any(entry.type == wanted for entry in log)


def _with_prefixes(data: bytes) -> bytes | None:
    prolog = _PROLOG.match(data)
    start = prolog.end() if prolog else 0
    name = _ROOT_NAME.match(data, start)
    if name is None:
        return None
    end = data.find(b">", name.end())
    tag = data[name.end() : end]
    added = b""
    for prefix, uri in ((b"xlink", XLINK), (b"edXML", NAMESPACE)):
        if b"xmlns:" + prefix not in tag:
            added += b" xmlns:" + prefix + b'="' + uri.encode() + b'"'
    return data[: name.end()] + added + data[name.end() :] if added else None


def _shape(root: etree._Element) -> None:
    depth = 0
    for event, node in etree.iterwalk(root, events=("start", "end", "pi", "comment")):
        if event == "start":
            depth += 1
            if depth > MAX_DEPTH:
                raise not_readable(
                    "edxml-too-deep",
                    f"XML lồng nhau quá {MAX_DEPTH} cấp.",
                    f"XML nested deeper than {MAX_DEPTH}.",
                )
        elif event == "end":
            depth -= 1
        elif event == "pi":
            raise not_readable(
                "edxml-processing-instruction",
                f"Có lệnh xử lý ở dòng {node.sourceline}.",
                f"A processing instruction in line {node.sourceline}.",
            )
    name = etree.QName(root)
    if name.localname != "edXML" or name.namespace != NAMESPACE:
        known = f" ({name.namespace})" if name.namespace in OTHER_NAMESPACES else ""
        raise not_readable(
            "edxml-root",
            f"Phần tử gốc không phải edXML của QCVN 102:2016{known}.",
            f"The root is not the edXML of QCVN 102:2016{known}.",
        )
