"""The options that HoloViews elements have for Bokeh, as matplotlib takes them.

Lengths on the screen are pixels; `POINTS` and `TEXT_POINTS` turn those of lines and of letters into points on paper, so
that text of 14 pixels is printed at 8 points.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import holoviews as hv
import numpy as np
from holoviews.plotting.util import process_cmap

from specent.plotting import style

POINTS = 0.5
"""Printed points per pixel on the screen, of lines and marks."""

TEXT_POINTS = 8 / 14
"""Printed points per pixel on the screen, of letters."""

# pixels of stroke and gap, as Bokeh draws them
_DASHES = {"dashed": [6], "dotted": [2, 4], "dotdash": [2, 4, 6, 4], "dashdot": [6, 4, 2, 4]}
_DEFAULT_SIZE, _LEAST_SIZE = 7.0, 4.5


def options(element: Any, group: str = "plot") -> dict[str, Any]:
    """The options of an element, or of an overlay or layout itself, as they were set for Bokeh."""
    return dict(hv.Store.lookup_options("bokeh", element, group).kwargs)


class Appearance:
    """The style of one element; what is taken from its columns has become arrays."""

    def __init__(self, element: Any, number: int) -> None:
        self.element, self.number = element, number
        self.style, self.plot = options(element, "style"), options(element)

    def get(self, *names: str, default: Any = None) -> Any:
        """The first of some style options that is set."""
        value = next((self.style[name] for name in names if self.style.get(name) is not None), default)
        if isinstance(value, hv.Cycle):
            return style.PALETTE[self.number % len(style.PALETTE)]
        if isinstance(value, hv.dim):
            return value.apply(self.element)
        column = isinstance(value, str) and self.element.get_dimension(value) is not None
        return self.element.dimension_values(value) if column else value

    def colour(self, *names: str) -> Any:
        """A colour, or one for every row; numbers go through the colour map."""
        value = self.get(*names, "color", default=style.PALETTE[self.number % len(style.PALETTE)])
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
            return self.colours()(self.scale(value)(value))
        return value.tolist() if isinstance(value, np.ndarray) else value

    def alpha(self, *names: str) -> float | None:
        """Opacity, as all of an element or one part of it has it."""
        value = self.get(*names, "alpha")
        return None if value is None else float(value)

    def width(self, default: float = 1.0) -> float:
        """Width of lines in points."""
        return float(self.get("line_width", default=default)) * POINTS

    def dash(self) -> Any:
        """The pattern of lines as matplotlib takes it, in points."""
        return dashes(self.get("line_dash", default="solid"))

    def colours(self) -> Any:
        """The colour map."""
        known = self.get("cmap", default="viridis")
        missing = (self.plot.get("clipping_colors") or {}).get("NaN")
        return _colour_map(known if isinstance(known, str) else tuple(map(str, known)), missing)

    def scale(self, values: Any) -> Any:
        """How numbers go onto the colour map."""
        from matplotlib import colors

        finite = np.asarray(values)[np.isfinite(values)]
        low, high = self.plot.get("clim") or (None, None)
        low = (finite.min() if finite.size else 0.0) if low is None or not np.isfinite(low) else low
        high = (finite.max() if finite.size else 1.0) if high is None or not np.isfinite(high) else high
        log = self.plot.get("logz") or self.plot.get("cnorm") == "log"
        return (colors.LogNorm if log and low > 0 else colors.Normalize)(float(low), float(high))

    def font(self) -> dict[str, Any]:
        """How text is written."""
        bold = "bold" if "bold" in str(self.get("text_font_style", default="")) else "normal"
        return {
            "color": self.get("text_color", "color", default="black"),
            "fontsize": font_size(self.get("text_font_size")),
            "fontweight": bold,
            "alpha": self.alpha("text_alpha"),
        }


@cache
def _colour_map(known: str | tuple[str, ...], missing: str | None) -> Any:
    from matplotlib import colors

    shades = process_cmap(known, 256) if isinstance(known, str) else list(known)
    result = colors.LinearSegmentedColormap.from_list("printed", shades, N=len(shades))
    return result if missing is None else result.with_extremes(bad=missing)


def font_size(text: Any) -> float:
    """Points on paper of a font size on the screen, such as "11px" or "8pt"."""
    if text is None:
        return _DEFAULT_SIZE
    number = float(str(text).rstrip("ptxem ") or 12)
    return max(_LEAST_SIZE, number * TEXT_POINTS * (4 / 3 if str(text).endswith("pt") else 1.0))


def dashes(pattern: Any) -> Any:
    """A pattern of lines, by its name or as pixels of strokes and gaps, as matplotlib takes it."""
    if isinstance(pattern, str) and pattern not in _DASHES:
        return "solid" if pattern in ("", "solid") else dashes([float(length) for length in pattern.split()])
    lengths = [float(length) * POINTS for length in (_DASHES[pattern] if isinstance(pattern, str) else pattern)]
    return (0, tuple(lengths * (1 + len(lengths) % 2))) if lengths else "solid"
