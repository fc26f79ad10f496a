"""Text in print: how long it is, where it breaks, and which marks of an axis have room for theirs."""

from __future__ import annotations

import itertools
import re
import unicodedata
from bisect import bisect_right
from functools import cache, lru_cache
from typing import Any

import numpy as np

# digits in groups of three, as in 10 000
_THOUSANDS = re.compile(r"[-+]?\d{1,3}( \d{3})+")
# what stands in brackets stays on one line
_WORD = re.compile(r"(?:\[[^\[\]]{,16}\]|\([^()]{,16}\)|\S)+")

LINE = 1.25
"""Height of a line, in sizes of its letters."""


@cache
def _renderer() -> Any:
    from matplotlib.backends.backend_agg import RendererAgg

    renderer: Any = RendererAgg
    # fine enough that rounding to pixels makes no difference
    return renderer(8, 8, 720)


@lru_cache(4096)
def length(text: str, size: float) -> float:
    """Length of one line of text in points, for letters of a size in points; within `sheets.print_settings`."""
    from matplotlib.font_manager import FontProperties

    return float(_renderer().get_text_width_height_descent(text, FontProperties(size=size), False)[0]) / 10


@cache
def _known() -> frozenset[int]:
    """The characters that the letters of print have, plain and bold."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    fonts = (get_font(findfont(FontProperties(family="DejaVu Sans", weight=weight))) for weight in ("normal", "bold"))
    plain, bold = (frozenset(font.get_charmap()) for font in fonts)
    return plain & bold


def printable(text: str) -> str:
    """Text in characters that can be printed: of others, which only some machines have, the code is printed.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        The text; runs of characters that DejaVu Sans lacks as ``[U+732B U+72AC]``. What only modifies the character
        before it, and what no paper shows, is left out.

    Examples
    --------
    >>> printable("Ärger | 猫犬, σ"), printable("ok \U0001f98a\ufe0f")
    ('Ärger | [U+732B U+72AC], σ', 'ok [U+1F98A]')
    """
    known = _known()
    if all(ord(letter) in known or letter == "\n" for letter in text):
        return text
    letters = [" " if letter in "\t\r\v\f" else letter for letter in text]
    seen = [one for one in letters if one == "\n" or unicodedata.category(one) not in ("Cc", "Cf", "Mn", "Me", "Cs")]
    result = []
    for there, group in itertools.groupby(seen, lambda one: one == "\n" or ord(one) in known):
        run = "".join(group)
        result.append(run if there else f"[{' '.join(f'U+{ord(one):04X}' for one in run)}]")
    return "".join(result)


def in_lines(text: str, width: float, size: float) -> str:
    """Text in `printable` lines no longer than `width` points; a word that is longer is broken.

    Parameters
    ----------
    text : str
        The text; where it has lines already they stay apart.
    width : float
        Points.
    size : float
        Size of the letters in points.

    Returns
    -------
    str
        The lines.
    """
    text = printable(text)
    return "\n".join(line for given in text.split("\n") for line in _lines(_WORD.findall(given) or [""], width, size))


def _lines(words: list[str], width: float, size: float) -> list[str]:
    lines, line = [], ""
    for word in words:
        longer = f"{line} {word}" if line else word
        if length(longer, size) <= width:
            line = longer
            continue
        lines += [line] if line else []
        while length(word, size) > width and len(word) > 1:
            # at least one letter a line, or this would not end
            fit = max(1, bisect_right(range(1, len(word)), width, key=lambda end: length(word[:end], size)))
            lines.append(word[:fit])
            word = word[fit:]
        line = word
    return [*lines, line]


def thinned(positions: Any, sizes: Any, weights: Any) -> list[int]:
    """Which of some marks can have their text without touching each other, the weightier first.

    Parameters
    ----------
    positions, sizes : array, shape (marks,)
        Middle and length of every text, in points along the axis.
    weights : array, shape (marks,)
        The larger, the sooner it is chosen.

    Returns
    -------
    list of int
        Indices in ascending order.

    Examples
    --------
    >>> thinned([0.0, 5.0, 10.0], [6.0, 6.0, 6.0], [1, 0, 1])
    [0, 2]
    """
    chosen: list[int] = []
    for i in np.argsort(-np.asarray(weights, dtype=float), kind="stable").tolist():
        if all(abs(positions[i] - positions[j]) >= 0.5 * (sizes[i] + sizes[j]) for j in chosen):
            chosen.append(i)
    return sorted(chosen)


def as_number(text: object) -> float | None:
    """The number that a mark of an axis says, nothing if it is a name.

    Examples
    --------
    >>> as_number("0.5"), as_number("−2"), as_number("10 000"), as_number("1 2"), as_number("cat")
    (0.5, -2.0, 10000.0, None, None)
    """
    plain = str(text).replace("−", "-")
    if _THOUSANDS.fullmatch(plain):
        plain = plain.replace(" ", "")
    try:
        return float(plain)
    except ValueError:
        return None


def roundness(value: float) -> int:
    """How round a number is: 2 for 0 and powers of ten, 1 for halves of them, otherwise 0.

    Examples
    --------
    >>> [roundness(value) for value in (0.0, 0.1, 50.0, 3.0)]
    [2, 2, 1, 0]
    """
    if value == 0:
        return 2
    power = np.log10(abs(value))
    if abs(power - round(power)) < 1e-9:
        return 2
    return int(abs(power + np.log10(2) - round(power + np.log10(2))) < 1e-9)
