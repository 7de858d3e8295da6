# SPDX-License-Identifier: AGPL-3.0-or-later
"""The pages of a PDF as pictures, made by PDFium in a process of its own with limits on time and memory.

``python -m exchange.signing.pdf.render WIDTH`` (or ``text``) reads a PDF from stdin and writes, for each page,
4 bytes of length (big-endian) and a PNG (or its text, UTF-8). What a hostile file can do is use up its own limits.
"""

from __future__ import annotations

import io
import resource
import subprocess
import sys

from config.refusal import Refused

MOST_PAGES = 60
_SECONDS = 30
_MEMORY = 1536 * 1024 * 1024
_MAX_OUTPUT = 96 * 1024 * 1024
_MOST_PIXELS = 12_000_000
_MOST_TEXT = 200_000
_TEXT = "text"


def render(pdf: bytes, width: int = 1080) -> tuple[bytes, ...]:
    """A PNG, ``width`` pixels across, of every page. The same file gives the same pictures.

    Raises `Refused` (``not-shown``) when the file can't be drawn within the limits.
    """
    return _asked(pdf, str(width))


def texts_of(pdf: bytes) -> tuple[str, ...]:
    """The text layer of every page, "" of one that is a picture. Raises as `render`."""
    return tuple(one.decode("utf-8", "replace").replace("\r\n", "\n") for one in _asked(pdf, _TEXT))


def _asked(pdf: bytes, what: str) -> tuple[bytes, ...]:
    try:
        done = subprocess.run(
            [sys.executable, "-m", "exchange.signing.pdf.render", what],
            input=pdf,
            capture_output=True,
            timeout=_SECONDS * 4,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _not_shown() from None
    if done.returncode or not 0 < len(done.stdout) <= _MAX_OUTPUT:
        raise _not_shown()
    pages, at = [], 0
    while at < len(done.stdout):
        size = int.from_bytes(done.stdout[at : at + 4], "big")
        pages.append(done.stdout[at + 4 : at + 4 + size])
        at += 4 + size
    return tuple(pages)


def _not_shown() -> Refused:
    return Refused(
        "not-shown",
        f"Không vẽ được các trang để xem trước khi ký (tối đa {MOST_PAGES} trang). Ký tại máy ở cơ quan.",
        f"The pages can't be drawn to be read before signing (at most {MOST_PAGES}). Sign at the office.",
    )


def _main(what: str) -> int:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    import pypdfium2

    document = pypdfium2.PdfDocument(sys.stdin.buffer.read())
    document.init_forms()
    if not 0 < len(document) <= MOST_PAGES:
        return 3
    for page in document:
        if what == _TEXT:
            text = page.get_textpage().get_text_bounded().encode()[:_MOST_TEXT]
            sys.stdout.buffer.write(len(text).to_bytes(4, "big") + text)
            continue
        across, up = page.get_size()
        scale = int(what) / max(1.0, across)
        if across * up * scale * scale > _MOST_PIXELS:
            return 3
        picture = page.render(scale=scale, may_draw_forms=True).to_pil().convert("RGB").quantize(64)
        out = io.BytesIO()
        picture.save(out, "PNG")
        sys.stdout.buffer.write(len(out.getvalue()).to_bytes(4, "big") + out.getvalue())
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1]))
