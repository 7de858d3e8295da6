# SPDX-License-Identifier: AGPL-3.0-or-later
"""The process that takes text out of files that strangers sent: PDF, OOXML, ODF, HTML. It can do nothing else.

It reads requests on its standard input, ``u32`` kind length · ``u32`` file length · kind · file, and answers pieces of
text, ``u32`` length · UTF-8, the last one empty. What it needs is imported first; then it lets go of the right to open
files and sockets, to write, to grow. A file that is too much for it ends it; its parent starts another.
"""

from __future__ import annotations

import contextlib
import ctypes
import encodings
import importlib
import io
import logging
import pkgutil
import resource
import signal
import stat
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator
from typing import BinaryIO

import pypdf
from lxml import etree

from mailserver.message import html_text
from mailserver.message.charsets import decode

_HEAD = struct.Struct("<II")
_PIECE = struct.Struct("<I")
_MEMORY = 768 * 1024 * 1024
_CPU_S = 20
_CPU_MOST_S = 1200
_MEMBERS = 4000
_UNPACKED = 64 * 1024 * 1024
_PAGES = 1000
_CHUNK = 64 * 1024
_TEXT = 2 * 1024 * 1024
_BREAKS = frozenset({"p", "h", "br", "tab", "tr", "row", "c", "si", "line-break", "list-item", "table-cell"})
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_NEW_USER, _NEW_NET = 0x10000000, 0x40000000


def let_go() -> None:
    """Give up all that reading a file's text does not need."""
    for package in (encodings, pypdf):  # both import on demand, which can't be done later
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            with contextlib.suppress(Exception):
                importlib.import_module(found.name)
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.unshare(
        _NEW_USER | _NEW_NET
    )  # where the kernel lets us; without a free descriptor there is no socket anyway
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, 3),
    ):
        resource.setrlimit(what, (most, most))


def _allow_more_time() -> None:
    spent = resource.getrusage(resource.RUSAGE_SELF)
    until = int(spent.ru_utime + spent.ru_stime) + _CPU_S
    resource.setrlimit(resource.RLIMIT_CPU, (min(until, _CPU_MOST_S), _CPU_MOST_S))


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer requests until the input ends."""
    while len(head := source.read(_HEAD.size)) == _HEAD.size:
        name, size = _HEAD.unpack(head)
        kind = source.read(name).decode()
        data = source.read(size)
        _allow_more_time()
        left = _TEXT
        try:
            for text in _KINDS[kind](data):
                piece = text[:left].encode("utf-8", "replace")
                left -= len(text)
                if piece:
                    sink.write(_PIECE.pack(len(piece)) + piece)
                    sink.flush()
                if left <= 0:
                    break
        except MemoryError:
            return
        except Exception:  # noqa: S110 - the file is broken; what came out of it so far is what there is
            pass
        sink.write(_PIECE.pack(0))
        sink.flush()


def _pdf(data: bytes) -> Iterator[str]:
    reader = pypdf.PdfReader(io.BytesIO(data), strict=False)
    if reader.is_encrypted and not reader.decrypt(""):
        return
    for page in reader.pages[:_PAGES]:
        yield page.extract_text() + "\n"


def _members(data: bytes, wanted: Callable[[str], bool]) -> Iterator[tuple[str, Iterator[bytes]]]:
    """The wanted members of a ZIP, unpacked piece by piece up to a bound over all of them; never onto a disk."""
    archive = zipfile.ZipFile(io.BytesIO(data))
    left = [_UNPACKED]

    def pieces(one: zipfile.ZipInfo) -> Iterator[bytes]:
        with archive.open(one) as opened:
            while left[0] > 0 and (piece := opened.read(_CHUNK)):
                left[0] -= len(piece)
                yield piece

    for one in archive.infolist()[:_MEMBERS]:
        if not stat.S_ISLNK(one.external_attr >> 16) and not one.flag_bits & 1 and wanted(one.filename):
            yield one.filename, pieces(one)


def _xml(pieces: Iterator[bytes], texts: frozenset[str] | None) -> Iterator[str]:
    """The text of elements ``texts`` (None: of all), a line for each paragraph or cell."""
    parser = etree.XMLPullParser(
        events=("start", "end"), resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    out: list[str] = []
    shared = False
    for piece in pieces:
        parser.feed(piece)
        for event, element in parser.read_events():
            if not isinstance(element, etree._Element) or not isinstance(element.tag, str):
                continue
            name = etree.QName(element).localname
            if event == "start":
                if name == "c":
                    shared = element.get("t") == "s"  # XLSX: an index into the shared strings, no text
                continue
            if texts is not None and name in texts and not (name == "v" and shared):
                out.append(element.text or "")
            if name in _BREAKS:
                if texts is None:
                    out += [str(one) for one in element.itertext()]
                yield "".join(out) + "\n"
                out = []
                element.clear(keep_tail=True)  # type: ignore[call-arg]
    yield "".join(out)


def _openxml(data: bytes) -> Iterator[str]:
    wanted = ("word/", "xl/sharedStrings", "xl/worksheets/", "ppt/slides/", "ppt/notesSlides/")
    names = lambda name: name.startswith(wanted) and name.endswith(".xml")  # noqa: E731
    for _, pieces in _members(data, names):
        with contextlib.suppress(etree.XMLSyntaxError, zipfile.BadZipFile):
            yield from _xml(pieces, frozenset({"t", "v"}))


def _opendocument(data: bytes) -> Iterator[str]:
    for _, pieces in _members(data, lambda name: name in ("content.xml", "styles.xml")):
        with contextlib.suppress(etree.XMLSyntaxError, zipfile.BadZipFile):
            yield from _xml(pieces, None)


def _html(data: bytes) -> Iterator[str]:
    yield html_text(decode(data))


def _plain(data: bytes) -> Iterator[str]:
    yield decode(data)


_KINDS: dict[str, Callable[[bytes], Iterator[str]]] = {
    "pdf": _pdf,
    "openxml": _openxml,
    "opendocument": _opendocument,
    "html": _html,
    "plain": _plain,
}


def main() -> None:
    """Let go, then serve."""
    logging.disable(logging.CRITICAL)
    let_go()
    serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
