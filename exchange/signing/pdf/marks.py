# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a signature looks like on the page, drawn as PDF operators (ND30/2020 Appendix I, II.7.d, II.8.a).

The person's is an image of the hand signature, blue; the organisation's an image of its seal, red, in
real size. Without an image of one's own, a neutral pen stroke and a plain round seal with the agency's
name are drawn. Neither proves anything: the proof is the digital signature behind them.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from exchange.signing.pdf.layout import FONT_NAME, ITALIC_NAME
from exchange.signing.pdf.picture import Picture
from exchange.signing.pdf.typeface import form_face


@dataclass(frozen=True, slots=True)
class Mark:
    """``draw`` gives the operators for a box of (width, height) points; text uses the form's font."""

    draw: Callable[[float, float], bytes]
    pictures: Mapping[str, Picture] = field(default_factory=dict)


_BLUE = b"0.04 0.16 0.60"
_RED = b"0.80 0.05 0.08"
_ROUND = 0.5523
_PICTURE = "/CVP"
_PAINTED = b"q %.2f 0 0 %.2f %.2f %.2f cm " + _PICTURE.encode() + b" Do Q"


def hand_signature(picture: Picture) -> Mark:
    """The image of the hand signature, centred, as large as the box lets it be (II.7.d)."""

    def draw(width: float, height: float) -> bytes:
        scale = min(width / picture.width, height / picture.height)
        across, up = picture.width * scale, picture.height * scale
        return _PAINTED % (across, up, (width - across) / 2, (height - up) / 2)

    return Mark(draw, {_PICTURE: picture})


def seal_picture(picture: Picture) -> Mark:
    """The image of the seal, filling its box: the box has the seal's real size (II.8.a)."""
    return Mark(lambda width, height: _PAINTED % (width, height, 0, 0), {_PICTURE: picture})


def initial(letters: str) -> Mark:
    """Ký nháy: the initials of who took part in drafting, small, in blue."""

    def draw(width: float, height: float) -> bytes:
        face = form_face("Italic")
        size = min(11.0, height * 0.62, (width - 3) / max(0.1, face.width(letters, 1)))
        left, base = (width - face.width(letters, size)) / 2, (height - size * 0.62) / 2
        text = f"{ITALIC_NAME} {size:.2f} Tf {left:.2f} {base:.2f} Td ".encode() + face.show(letters)
        stroke = b"0.7 w %.2f %.2f m %.2f %.2f l S" % (2, base - 2, width - 2, base - 1)
        return b"q " + _BLUE + b" RG " + _BLUE + b" rg BT " + text + b" Tj ET " + stroke + b" Q"

    return Mark(draw)


def line_of_text(text: str) -> Mark:
    """One line in black, upright, size 10, at the right edge (II.8.b, III.1.d: attachments and copies)."""

    def draw(width: float, height: float) -> bytes:
        face = form_face()
        size = min(10.0, 10.0 * (width - 2) / max(1.0, face.width(text, 10.0)))
        left, base = width - face.width(text, size) - 1, (height - size * 0.66) / 2
        head = f"q 0 g BT {FONT_NAME} {size:.2f} Tf {left:.2f} {base:.2f} Td ".encode()
        return head + face.show(text) + b" Tj ET Q"

    return Mark(draw)


def pen_stroke(name: str) -> Mark:
    """A pen stroke in blue that is always the same for a name."""
    seed = hashlib.sha256(name.encode()).digest()

    def draw(width: float, height: float) -> bytes:
        loops = 4 + seed[0] % 3
        step = width * 0.62 / loops
        x, base = width * 0.14, height * 0.40
        out = [b"q " + _BLUE + b" RG 1.5 w 1 J 1 j", b"%.2f %.2f m" % (x, base)]
        for number in range(loops):
            rise = height * (0.20 + seed[number + 1] / 255 * 0.34)
            fall = height * (0.05 + seed[number + 9] / 255 * 0.22)
            lean = step * (0.3 + seed[number + 17] / 255 * 0.9)
            out.append(
                b"%.2f %.2f %.2f %.2f %.2f %.2f c"
                % (x + lean, base + rise, x + step * 1.3, base + rise, x + step * 0.6, base)
            )
            out.append(
                b"%.2f %.2f %.2f %.2f %.2f %.2f c"
                % (x + step * 0.2, base - fall, x + step * 0.7, base - fall, x + step, base)
            )
            x += step
        out.append(
            b"%.2f %.2f %.2f %.2f %.2f %.2f c S"
            % (x + step, base + height * 0.1, width * 0.9, base + height * 0.3, width * 0.94, height * 0.62)
        )
        out.append(
            b"1.1 w %.2f %.2f m %.2f %.2f %.2f %.2f %.2f %.2f c S Q"
            % (
                width * 0.12,
                height * 0.20,
                width * 0.40,
                height * 0.12,
                width * 0.66,
                height * 0.30,
                width * 0.90,
                height * 0.22,
            )
        )
        return b"\n".join(out)

    return Mark(draw)


def round_seal(agency: str, superior: str = "") -> Mark:
    """A round red seal: the superior body (or the agency) along the rim, the agency in the middle."""

    def draw(width: float, height: float) -> bytes:
        radius = min(width, height) / 2 - 1
        middle = (width / 2, height / 2)
        out = [b"q " + _RED + b" RG " + _RED + b" rg"]
        out.append(b"1.8 w " + _circle(middle, radius) + b" S")
        out.append(b"0.6 w " + _circle(middle, radius - 2.6) + b" S")
        out.append(b"0.9 w " + _circle(middle, radius * 0.68) + b" S")
        out.append(_around((superior or agency).upper(), middle, radius * 0.755))
        out.append(_star((middle[0], middle[1] - radius * 0.83), radius * 0.10) + b" f")
        out.append(_inside(agency.upper(), middle, radius * 0.62))
        out.append(b"Q")
        return b"\n".join(out)

    return Mark(draw)


def _circle(middle: tuple[float, float], radius: float) -> bytes:
    x, y = middle
    k = radius * _ROUND
    points = (
        (x + radius, y + k, x + k, y + radius, x, y + radius),
        (x - k, y + radius, x - radius, y + k, x - radius, y),
        (x - radius, y - k, x - k, y - radius, x, y - radius),
        (x + k, y - radius, x + radius, y - k, x + radius, y),
    )
    curves = b" ".join(b"%.2f %.2f %.2f %.2f %.2f %.2f c" % one for one in points)
    return b"%.2f %.2f m " % (x + radius, y) + curves


def _star(middle: tuple[float, float], radius: float) -> bytes:
    points = []
    for number in range(10):
        reach = radius if number % 2 == 0 else radius * 0.40
        angle = math.pi / 2 + number * math.pi / 5
        points.append((middle[0] + reach * math.cos(angle), middle[1] + reach * math.sin(angle)))
    lines = b" ".join(b"%.2f %.2f l" % one for one in points[1:])
    return b"%.2f %.2f m " % points[0] + lines + b" h"


def _around(text: str, middle: tuple[float, float], radius: float) -> bytes:
    """Text along the upper rim, over at most 290 degrees."""
    face = form_face()
    size = radius * 0.24
    longest = math.radians(290) * radius
    if face.width(text, size) > longest:
        size *= longest / face.width(text, size)
    gap = 0.5 if face.width(text, size) + 0.5 * len(text) < longest else 0.0
    whole = face.width(text, size) + gap * (len(text) - 1)
    angle = math.pi / 2 + whole / radius / 2
    out = [b"BT", f"{FONT_NAME} {size:.2f} Tf".encode()]
    for letter in text:
        half = face.width(letter, size) / radius / 2
        angle -= half
        turn = angle - math.pi / 2
        x = middle[0] + radius * math.cos(angle) - face.width(letter, size) / 2 * math.cos(turn)
        y = middle[1] + radius * math.sin(angle) - face.width(letter, size) / 2 * math.sin(turn)
        out.append(
            b"%.4f %.4f %.4f %.4f %.2f %.2f Tm "
            % (math.cos(turn), math.sin(turn), -math.sin(turn), math.cos(turn), x, y)
            + face.show(letter)
            + b" Tj"
        )
        angle -= half + gap / radius
    out.append(b"ET")
    return b"\n".join(out)


def _inside(text: str, middle: tuple[float, float], radius: float) -> bytes:
    """Text in centred lines inside a circle, as large as it fits."""
    face = form_face()
    size = radius * 0.42
    while True:
        lines = face.wrap(text, size, radius * 1.6)
        leading = size * 1.12
        half = leading * len(lines) / 2
        widest = max(face.width(one, size) for one in lines) / 2
        if size < 3.5 or math.hypot(max(0.0, half - leading * 0.25), widest) <= radius:
            break
        size *= 0.93
    out = [b"BT", f"{FONT_NAME} {size:.2f} Tf".encode()]
    for number, line in enumerate(lines):
        x = middle[0] - face.width(line, size) / 2
        y = middle[1] + half - leading * (number + 0.80)
        out.append(b"1 0 0 1 %.2f %.2f Tm " % (x, y) + face.show(line) + b" Tj")
    out.append(b"ET")
    return b"\n".join(out)
