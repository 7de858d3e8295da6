# SPDX-License-Identifier: AGPL-3.0-or-later
"""1 GB of zeros in a box of a few KB, in every box we open: an answer in bounded time and memory."""

from __future__ import annotations

import base64
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from exchange.edxml.write import write
from tests.exchange.sealing.pgp import gpg, gpg_home, make_pair
from tests.exchange.sealing.test_xml_signature import document

GIGABYTE = 1 << 30
MEMORY_MB, SECONDS = 640, 20


def _zeros(size: int = GIGABYTE) -> bytes:
    """Raw deflate of ``size`` zeros (whole megabytes): one megabyte's block, that many times."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return block * (size >> 20) + b"\x03\x00"


def _zlib(raw: bytes, size: int) -> bytes:
    """Raw deflate of zeros as zlib (RFC 1950): the checksum of zeros is known."""
    return b"\x78\xda" + raw + ((size % 65521) << 16 | 1).to_bytes(4, "big")


def _twice() -> bytes:
    """1 GB in a box of about 5 KB: packed, and packed again."""
    return zlib.compress(_zlib(_zeros(), GIGABYTE), 9)


_HEAD = (
    b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n"
    b"2 0 obj\n<< /Type /Pages /Kids [5 0 R] /Count 1 >>\nendobj\n"
    b"5 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 3 0 R >>\nendobj\n"
)


def _pdf(kind: bytes) -> bytes:
    """A PDF in which object 3 is the box; its table stands in the box when that is of cross-references."""
    box = _twice()
    at = len(_HEAD)
    data = _HEAD + b"3 0 obj\n<< %s /Filter [/FlateDecode /FlateDecode] /Length %d >>\nstream\n" % (
        kind,
        len(box),
    )
    data += box + b"\nendstream\nendobj\n"
    if b"/XRef" in kind:
        return data + b"startxref\n%d\n%%%%EOF\n" % at
    offsets = [_HEAD.index(b"%d 0 obj" % one) for one in (1, 2)]
    entries = b"".join(b"%010d 00000 n \n" % one for one in (*offsets, at))
    table = b"xref\n0 1\n0000000000 65535 f \n1 3\n" + entries
    table += b"5 1\n%010d 00000 n \n" % _HEAD.index(b"5 0 obj")
    return data + table + b"trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(data)


_SCRIPT = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({MEMORY_MB} << 20, {MEMORY_MB} << 20))
resource.setrlimit(resource.RLIMIT_CPU, ({SECONDS}, {SECONDS}))
from exchange.documents import first_page
from exchange.trust.anchors import Anchors
from exchange.verifying.file import verify_file
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        data = file.read()
    verdict = verify_file(data, path, anchors=Anchors())
    if path.endswith(".pdf"):
        first_page.of_pdf(data, 5)
    assert not verdict.passed
    print(verdict.kind, verdict.verdict)
"""


def test_files(tmp_path: Path) -> None:
    """PDF (cross-references, a page's content, objects in a stream), edXML around a ZIP, CMS that promises 4 GB."""
    boxes = {
        "xref.pdf": _pdf(b"/Type /XRef /W [1 4 2] /Size 90000000 /Root 1 0 R"),
        "page.pdf": _pdf(b""),
        "objects.pdf": _pdf(b"/Type /ObjStm /N 900000 /First 4000000"),
        "promise.p7m": bytes.fromhex("3084ffffffff06092a864886f70d010702a084fffffff03084ffffffe0")
        + bytes(900),
    }
    raw = _zeros()
    name = b"a.pdf"
    local = (
        struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, 0, 8, 0, 0, 0, len(raw), GIGABYTE, len(name), 0) + name
    )
    central = struct.pack(
        "<IHHHHHHIIIHHHHHII",
        0x02014B50,
        20,
        20,
        0,
        8,
        0,
        0,
        0,
        len(raw),
        GIGABYTE,
        len(name),
        0,
        0,
        0,
        0,
        0,
        0,
    )
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 1, 1, 46 + len(name), len(local) + len(raw), 0)
    boxes["zip.edxml"] = _edxml(base64.b64encode(local + raw + central + name + end))
    for file, data in boxes.items():
        (tmp_path / file).write_bytes(data)
    assert (tmp_path / "page.pdf").stat().st_size < 20_000
    paths = [str(tmp_path / one) for one in boxes]
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, *paths], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("\n") == len(boxes)


def _edxml(attachment: bytes) -> bytes:
    plain = write(document(b"%PDF-1.7 x"))
    begin = plain.index(b">", plain.index(b"<edXML:ContentTransferEncoded")) + 1
    return plain[:begin] + attachment + plain[plain.index(b"<", begin) :]


@pytest.mark.parametrize("nested", [1, 2])
def test_openpgp(nested: int, tmp_path: Path) -> None:
    """A literal packet of 1 GB in one compressed packet, and in one inside another."""

    def packet(tag: int, body: bytes) -> bytes:
        return bytes((0xC0 | tag, 255)) + len(body).to_bytes(4, "big") + body

    literal = bytes((0xC0 | 11, 255)) + (GIGABYTE - (1 << 20)).to_bytes(4, "big") + b"b\x00\x00\x00\x00\x00"
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    inner = packer.compress(literal) + packer.flush(zlib.Z_FULL_FLUSH) + _zeros()
    box = packet(8, b"\x01" + inner)
    if nested == 2:
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        box = packet(8, b"\x01" + packer.compress(box) + packer.flush())
        assert len(box) < 20_000
    with gpg_home() as home:
        own = make_pair(home, "A <a@a.example>")
        (home / "raw").write_bytes(box)
        sealed = gpg(
            home, "--armor", "--encrypt", "-r", own.fingerprint, "--no-literal", "-z", "0", data=box
        ).stdout
        assert sealed.startswith(b"-----BEGIN PGP MESSAGE")
        (tmp_path / "m.asc").write_bytes(sealed)
        (tmp_path / "k.asc").write_bytes(own.secret)
    script = _SCRIPT.replace("anchors=Anchors()", "anchors=Anchors(), pgp_keys=[open('k.asc', 'rb').read()]")
    done = subprocess.run(
        [sys.executable, "-c", script, "m.asc"], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["openpgp", "INDETERMINATE"]
