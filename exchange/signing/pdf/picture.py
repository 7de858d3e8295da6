# SPDX-License-Identifier: AGPL-3.0-or-later
"""The image of a hand signature or a seal: checked once, split into colour and transparency, kept.

ND30/2020 Appendix I, II.7.d and II.8.a: PNG with a transparent ground, the signature blue, the seal red.
Decoded with Pillow behind limits of our own; a broken or hostile file is refused with words.
"""

from __future__ import annotations

import io
import warnings
import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from PIL import Image, ImageStat, UnidentifiedImageError
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.writer import BasePdfFileWriter

from config.refusal import Refused
from exchange.signing.pdf.objects import stream

MAX_BYTES = 1024 * 1024
_MAX_SIDE, _LEAST_SIDE = 2400, 40
Ink = Literal["blue", "red"]


@dataclass(frozen=True, slots=True)
class Picture:
    """Pixels as two compressed planes; immutable, used in any number of files."""

    width: int
    height: int
    colours: bytes = field(repr=False)
    alpha: bytes = field(repr=False)

    def embed(self, writer: BasePdfFileWriter) -> generic.IndirectObject:
        """Writes the image with its soft mask (ISO 32000-1 §8.9.5); gives the reference."""
        head = {
            "/Type": "/XObject",
            "/Subtype": "/Image",
            "/Width": self.width,
            "/Height": self.height,
            "/BitsPerComponent": 8,
            "/Filter": "/FlateDecode",
        }
        mask = writer.add_object(_packed(self.alpha, head | {"/ColorSpace": "/DeviceGray"}))
        whole = _packed(self.colours, head | {"/ColorSpace": "/DeviceRGB", "/SMask": mask})
        return writer.add_object(whole)


@lru_cache(maxsize=256)
def picture(data: bytes, ink: Ink) -> Picture:
    """The picture in a PNG file. Raises `Refused` (``picture-…``): no PNG, too large, ground, colour."""
    if len(data) > MAX_BYTES:
        raise _no("picture-too-large", "Ảnh lớn hơn 1 MB.", "The picture is larger than 1 MB.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=["PNG"]) as found:
                if max(found.size) > _MAX_SIDE or min(found.size) < _LEAST_SIDE:
                    raise _no(
                        "picture-size",
                        f"Ảnh phải có cạnh từ {_LEAST_SIDE} đến {_MAX_SIDE} điểm ảnh.",
                        f"Each side of the picture must have {_LEAST_SIDE} to {_MAX_SIDE} pixels.",
                    )
                pixels = found.convert("RGBA")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Warning, Image.DecompressionBombError):
        raise _no(
            "picture-not-png",
            "Ảnh không phải tệp PNG đọc được.",
            "The picture is not a PNG file that can be read.",
        ) from None
    alpha = pixels.getchannel("A")
    low, high = alpha.getextrema()
    if not isinstance(low, int) or low > 32 or high < 128:
        raise _no(
            "picture-ground",
            "Nền ảnh phải trong suốt (ND30/2020, Phụ lục I).",
            "The picture's ground must be transparent (ND30/2020, Appendix I).",
        )
    red, green, blue = ImageStat.Stat(
        pixels.convert("RGB"), alpha.point(lambda one: 255 if one > 96 else 0)
    ).mean
    fits = blue > red + 15 and blue > green if ink == "blue" else red > blue + 40 and red > green + 40
    if not fits:
        raise _no(
            "picture-colour",
            "Hình chữ ký phải màu xanh, hình con dấu phải màu đỏ (ND30/2020, Phụ lục I).",
            "The signature's picture must be blue, the seal's red (ND30/2020, Appendix I).",
        )
    colours = zlib.compress(pixels.convert("RGB").tobytes(), 9)
    return Picture(pixels.width, pixels.height, colours, zlib.compress(alpha.tobytes(), 9))


def _packed(data: bytes, entries: dict[str, object]) -> object:
    """A stream whose bytes are compressed already."""
    made = stream(b"", entries, compressed=False)
    made._encoded_data = data
    return made


def _no(code: str, vi: str, en: str) -> Refused:
    return Refused(code, vi, en)
