"""Two versions of a drawing: one for a light page, and the same with the ink that a dark page needs."""

from __future__ import annotations

import colorsys
import re

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}\b|#[0-9a-fA-F]{3}\b")
# less saturated than this is ink or paper, not a colour that means something
_GREY = 0.12
# what white becomes: nearly the background of the dark theme
PAPER = 0.08
MIDDLE = (0.45, 0.7)
"""Greys of a lightness between these are colours of curves, and can be seen on either page."""

CONTRAST = 4.5
"""Of a colour to the paper, at least: what readers of small text need (WCAG 2.2)."""


def transparent(svg: str) -> str:
    """The drawing without the white sheet under it, so that the page shows through.

    Examples
    --------
    >>> transparent('<g id="patch_1"><path d="M 0 0" style="fill: #ffffff"/></g><path/>')
    '<path/>'
    """
    # matplotlib draws the sheet first
    return re.sub(r'<g id="patch_1">.*?</g>', "", svg, count=1, flags=re.DOTALL)


def can_be_dark(svg: str) -> bool:
    """Whether colours may be changed: not where they are read off a scale, or belong to a picture."""
    return "<image" not in svg and "QuadMesh" not in svg


def dark(svg: str) -> str:
    """The drawing with black and white exchanged, and colours that are too dark for a dark page made lighter.

    Examples
    --------
    >>> dark("fill: #000000; stroke: #ffffff")
    'fill: #ffffff; stroke: #141414'
    >>> dark("#e69f00")
    '#e69f00'
    """
    # what names no colour is black
    svg = svg.replace('<style type="text/css">', '<style type="text/css">svg{fill: #000000}', 1)
    return _COLOUR.sub(lambda match: _exchanged(match[0]), svg)


def contrast(colour: str) -> float:
    """Contrast of a colour to the paper of the dark version, from 1 to 21 (WCAG 2.2).

    Examples
    --------
    >>> round(contrast("#ffffff"), 1)
    18.4
    """
    return (_luminance(_parts(colour)) + 0.05) / (_luminance((PAPER,) * 3) + 0.05)


def _parts(colour: str) -> tuple[float, ...]:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    return tuple(int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))


def _luminance(parts: tuple[float, ...]) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _exchanged(colour: str) -> str:
    parts = _parts(colour)
    hue, light, saturation = colorsys.rgb_to_hls(*parts)
    if max(parts) - min(parts) <= _GREY and not MIDDLE[0] < light < MIDDLE[1]:
        # black becomes white, and white the paper
        return _text(hue, PAPER + (1 - PAPER) * (1 - light), saturation)
    while contrast(_text(hue, light, saturation)) < CONTRAST:
        light += 0.01
    return _text(hue, light, saturation)


def _text(hue: float, light: float, saturation: float) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in colorsys.hls_to_rgb(hue, light, saturation))
