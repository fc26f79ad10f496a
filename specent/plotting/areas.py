"""Areas that are stacked over an axis, with their names inside them.

A name stands where its area is thickest over the whole of it. One that fits nowhere is left to the legend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource
from bokeh.models.annotations import LegendItem
from numpy.typing import NDArray

from specent.plotting.heat import ink
from specent.plotting.labels import first_time, legend_below

Array = NDArray[np.float64]
Frame = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]

# width of a letter and height of a line, on the screen in pixels of letters of 12, in print in points of letters of 7
_SCREEN, _PRINT = (6.6, 15.0), (4.5, 8.5)
_POINTS = 200


@dataclass(frozen=True)
class Area:
    """One area: its name, its colour, and its lower and upper edge over the axis."""

    name: str
    colour: str
    x: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def place(area: Area, frame: Frame, letter: tuple[float, float], *, log: bool) -> tuple[float, float] | None:
    """Where the middle of the name of an area stands; nothing if the area is nowhere thick enough.

    Parameters
    ----------
    area : Area
        The area.
    frame : tuple
        Limits of both axes, and width and height of the frame in pixels or points.
    letter : tuple of float
        Width of a letter and height of a line in the same.
    log : bool
        Whether the horizontal axis is logarithmic.

    Returns
    -------
    tuple of float, or None
        The position on both axes.

    Examples
    --------
    >>> box = Area("ab", "#000000", (0.0, 10.0), (0.0, 0.0), (4.0, 4.0))
    >>> place(box, ((0.0, 10.0), (0.0, 10.0), (100.0, 100.0)), (6.0, 12.0), log=False)
    (5.0, 2.0)
    >>> place(box, ((0.0, 10.0), (0.0, 10.0), (100.0, 20.0)), (6.0, 12.0), log=False) is None
    True
    """
    (left, right), (bottom, top), (width, height) = frame
    u, ends = (np.log(area.x), np.log([left, right])) if log else (np.array(area.x), np.array([left, right]))
    order = np.argsort(u)
    across = np.linspace(float(ends[0]), float(ends[1]), _POINTS)
    low, high = (np.interp(across, u[order], np.array(edge)[order]) for edge in (area.low, area.high))
    low, high = np.clip(low, bottom, top), np.clip(high, bottom, top)
    beyond = (across < u.min()) | (across > u.max())
    low[beyond] = high[beyond] = bottom
    half = int(np.ceil(0.5 * (letter[0] * len(area.name) + 4) / width * (_POINTS - 1)))
    if 2 * half + 1 > _POINTS:
        return None
    windows = [np.lib.stride_tricks.sliding_window_view(edge, 2 * half + 1) for edge in (low, high)]
    floor, ceiling = windows[0].max(axis=1), windows[1].min(axis=1)
    room = (ceiling - floor) / (top - bottom) * height
    # of places as good as each other the middle one
    best = np.flatnonzero(room >= room.max() - 1e-9)
    at = int(best[len(best) // 2])
    if room[at] < letter[1]:
        return None
    where = (
        0.5 * (across[half + best[0]] + across[half + best[-1]]) if np.ptp(best) == len(best) - 1 else across[half + at]
    )
    return float(np.exp(where) if log else where), float(0.5 * (floor[at] + ceiling[at]))


@dataclass(frozen=True)
class AreaNames:
    """Names in their areas, and in the legend those that fit nowhere; anew for every size of the frame."""

    areas: tuple[Area, ...]
    ends: tuple[float, float]
    ylim: tuple[float, float]
    size: tuple[float, float]
    log: bool
    opacity: float

    def _placed(self, size: tuple[float, float], letter: tuple[float, float]) -> list[tuple[float, float] | None]:
        frame = (self.ends, self.ylim, size)
        return [place(area, frame, letter, log=self.log) for area in self.areas]

    def __call__(self, plot: Any, _element: Any) -> None:
        """Write the names into a Bokeh figure."""
        figure = plot.state
        if not first_time(figure, "names of areas"):
            return
        spots = self._placed(self.size, _SCREEN)
        inside = [(spot, area) for spot, area in zip(spots, self.areas, strict=True) if spot is not None]
        columns: dict[str, Sequence[Any]] = {
            "x": [spot[0] for spot, _ in inside], "y": [spot[1] for spot, _ in inside],
            "text": [area.name for _, area in inside], "colour": [self._ink(area) for _, area in inside],
        }  # fmt: skip
        figure.text(
            x="x", y="y", text="text", text_color="colour", source=ColumnDataSource(columns), name="direct labels",
            text_font_size="12px", text_font_style="bold", text_align="center", text_baseline="middle", level="overlay",
        )  # fmt: skip
        outside = [area for spot, area in zip(spots, self.areas, strict=True) if spot is None]
        if not outside:
            return
        legend = next((one for one in figure.below if one.name == "line styles"), None)
        legend = legend_below(figure, [], "line styles") if legend is None else legend
        nowhere = {"x": [np.nan], "y": [np.nan]}
        for area in outside:
            mark = figure.scatter(
                x="x", y="y", source=ColumnDataSource(nowhere), marker="square", color=area.colour, size=12,
                fill_alpha=self.opacity, name="legend of areas",
            )  # fmt: skip
            legend.items = [*legend.items, LegendItem(label={"value": area.name}, renderers=[mark])]

    def on_axes(self, axes: Any) -> None:
        """Write the names onto axes of Matplotlib."""
        from matplotlib.patches import Patch

        extent, inch = axes.get_window_extent(), axes.figure.dpi / 72
        spots = self._placed((extent.width / inch, extent.height / inch), _PRINT)
        for spot, area in zip(spots, self.areas, strict=True):
            if spot is not None:
                axes.text(
                    *spot, area.name, color=self._ink(area), ha="center", va="center", weight="bold", zorder=5,
                    parse_math=False, clip_on=True,
                )  # fmt: skip
        patches = [
            Patch(color=area.colour, alpha=self.opacity, linewidth=0, label=area.name)
            for spot, area in zip(spots, self.areas, strict=True)
            if spot is None
        ]
        if patches:
            known = axes.get_legend()
            handles = [] if known is None else list(known.legend_handles)
            texts = [] if known is None else [text.get_text() for text in known.get_texts()]
            axes.legend(
                [*handles, *patches], [*texts, *(one.get_label() for one in patches)], loc="best", frameon=False
            )

    def _ink(self, area: Area) -> str:
        """Black or white, whichever is easier to read on the colour over a white ground."""
        shades = [int(area.colour[i : i + 2], 16) for i in (1, 3, 5)]
        seen = [round(self.opacity * shade + (1 - self.opacity) * 255) for shade in shades]
        return ink("#" + "".join(f"{shade:02x}" for shade in seen))
