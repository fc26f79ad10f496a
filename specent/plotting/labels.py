"""What names the curves of a figure: labels beside them, a legend of line styles, and a scale of colours.

A label stands where its curve is farthest from the others, so that no eye has to travel between a curve and a legend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, FixedTicker, LinearColorMapper
from bokeh.models.annotations import ColorBar, Legend, LegendItem
from numpy.typing import NDArray

from specent.plotting import style
from specent.plotting.appearance import POINTS, dashes

Array = NDArray[np.float64]

_LETTER, _LINE = 6.6, 15.0
_CANDIDATES = 40


def first_time(figure: Any, what: str) -> bool:
    """Whether a Bokeh figure has not been decorated with something yet: HoloViews may call a hook more than once.

    To look through all models of the figure for it would take longer than to draw it.
    """
    tag = f"has {what}"
    if tag in figure.tags:
        return False
    figure.tags = [*figure.tags, tag]
    return True


@dataclass(frozen=True)
class DirectLabels:
    """Names beside their curves, in their colours, at positions of the figure."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    texts: tuple[str, ...]
    colours: tuple[str, ...]

    def __call__(self, plot: Any, _element: Any) -> None:
        """Write the names into a Bokeh figure; they stand on the colour of its ground."""
        figure = plot.state
        if not self.texts or not first_time(figure, "direct labels"):
            return
        columns = {"x": self.x, "y": self.y, "text": self.texts, "colour": self.colours}
        figure.text(
            x="x", y="y", text="text", text_color="colour", source=ColumnDataSource(columns), name="direct labels",
            text_font_size="12px", text_font_style="bold", text_align="center", text_baseline="middle",
            background_fill_color="white", background_fill_alpha=0.75, level="overlay",
        )  # fmt: skip

    def on_axes(self, axes: Any) -> None:
        """Write the names onto axes of Matplotlib."""
        from matplotlib.patheffects import withStroke

        halo = [withStroke(linewidth=2.0, foreground=axes.get_facecolor())]
        for x, y, text, colour in zip(self.x, self.y, self.texts, self.colours, strict=True):
            # a name with a dollar sign is no formula
            axes.text(
                x, y, text, color=colour, ha="center", va="center", weight="bold", path_effects=halo, zorder=5,
                parse_math=False, clip_on=True,
            )  # fmt: skip


@dataclass(frozen=True)
class StyleLegend:
    """What the styles of lines stand for: a row of grey lines with their names under the figure."""

    entries: tuple[tuple[str, str | tuple[int, ...], float], ...]

    def __call__(self, plot: Any, _element: Any) -> None:
        """Add the legend to a Bokeh figure."""
        figure = plot.state
        if not self.entries or not first_time(figure, "line styles"):
            return
        items = []
        nowhere = {"x": [np.nan], "y": [np.nan]}
        for text, dash, width in self.entries:
            line = figure.line(
                x="x", y="y", source=ColumnDataSource(nowhere), color=style.NEUTRAL, line_width=width,
                line_dash=dash if isinstance(dash, str) else list(dash), name="legend of lines",
            )  # fmt: skip
            items.append(LegendItem(label={"value": text}, renderers=[line]))
        legend_below(figure, items, "line styles")

    def on_axes(self, axes: Any) -> None:
        """Add the legend to axes of Matplotlib."""
        from matplotlib.lines import Line2D

        lines = [
            Line2D([], [], color=style.NEUTRAL, label=text, linestyle=dashes(dash), linewidth=POINTS * width)
            for text, dash, width in self.entries
        ]
        axes.legend(handles=lines, loc="best", frameon=False, handlelength=2.6)


@dataclass(frozen=True)
class MarkLegend:
    """What marks on the noise axis stand for: entries beside those of the line styles, or under the figure."""

    entries: tuple[tuple[str, str], ...]

    def __call__(self, plot: Any, _element: Any) -> None:
        """Add the entries to a Bokeh figure."""
        figure = plot.state
        if not self.entries or not first_time(figure, "legend of marks"):
            return
        legend = next((one for one in figure.below if one.name == "line styles"), None)
        if legend is None:
            legend = legend_below(figure, [], "line styles")
        nowhere = {"x": [np.nan], "y": [np.nan]}
        items = list(legend.items)
        for text, marker in self.entries:
            mark = figure.scatter(
                x="x", y="y", source=ColumnDataSource(nowhere), marker=marker, name="legend of marks", **MARK_LOOK
            )
            items.append(LegendItem(label={"value": text}, renderers=[mark]))
        legend.items = items

    def on_axes(self, axes: Any) -> None:
        """Add the entries to axes of Matplotlib."""
        from matplotlib.lines import Line2D

        shapes = {"triangle": "^", "inverted_triangle": "v"}
        marks = [
            Line2D([], [], color=style.NEUTRAL, label=text, linestyle="none", marker=shapes[marker], markersize=4.5)
            for text, marker in self.entries
        ]
        known = axes.get_legend()
        before = [] if known is None else list(known.legend_handles)
        texts = [] if known is None else [text.get_text() for text in known.get_texts()]
        axes.legend(before + marks, [*texts, *(text for text, _ in self.entries)], loc="best", frameon=False)


MARK_LOOK: dict[str, Any] = {"color": style.NEUTRAL, "size": 9}
"""How marks on the noise axis are drawn."""


def legend_below(figure: Any, items: list[LegendItem], name: str) -> Legend:
    """A row of entries under a Bokeh figure."""
    legend = Legend(items=items, orientation="horizontal", name=name, border_line_color=None)
    legend.update(background_fill_alpha=0.0, glyph_width=34, label_text_font_size="12px", location="center")
    figure.add_layout(legend, "below")
    return legend


@dataclass(frozen=True)
class ColourScale:
    """Which colour stands for which number, beside a figure: one field of colour for each."""

    title: str
    colours: tuple[str, ...]
    texts: tuple[str, ...]

    def __call__(self, plot: Any, _element: Any) -> None:
        """Add the scale to a Bokeh figure."""
        figure = plot.state
        if not first_time(figure, "colour scale"):
            return
        mapper = LinearColorMapper(palette=list(self.colours), low=-0.5, high=len(self.colours) - 0.5)
        ticks = list(range(len(self.texts)))
        bar = ColorBar(color_mapper=mapper, ticker=FixedTicker(ticks=ticks), title=self.title, name="colour scale")
        bar.update(major_label_overrides=dict(zip(ticks, self.texts, strict=True)), width=16, padding=6)
        figure.add_layout(bar, "right")

    def on_axes(self, axes: Any) -> None:
        """Add the scale to axes of Matplotlib."""
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import ListedColormap, Normalize

        limits = Normalize(-0.5, len(self.colours) - 0.5)
        bar = axes.figure.colorbar(ScalarMappable(limits, ListedColormap(self.colours)), ax=axes, pad=0.02, aspect=30)
        bar.set_ticks(range(len(self.texts)), labels=self.texts)
        bar.ax.minorticks_off()
        bar.set_label(self.title)


def direct_labels(
    curves: Sequence[tuple[Array, Array]],
    texts: Sequence[str],
    colours: Sequence[str],
    frame: tuple[tuple[float, float], tuple[float, float], tuple[int, int]],
    *,
    log: bool = False,
    obstacles: Sequence[tuple[Array, Array]] = (),
) -> DirectLabels:
    """Labels at the clearest positions beside their curves.

    Parameters
    ----------
    curves : sequence of (x, y)
        Positions of every curve, arrays of one shape each.
    texts, colours : sequence of str
        Name and colour of every curve.
    frame : tuple
        Limits of the two axes in view, and width and height of the frame in pixels.
    log : bool
        Whether the horizontal axis is logarithmic. Its direction makes no difference.
    obstacles : sequence of (x, y)
        Curves without a name that labels keep away from as well.

    Returns
    -------
    DirectLabels
        The labels. A curve of which nothing is in view has none.
    """
    paths = [_pixels(x, y, frame, log) for x, y in [*curves, *obstacles]]
    cloud = np.concatenate(paths) if paths else np.zeros((0, 2))
    owner = np.repeat(np.arange(len(paths)), [len(path) for path in paths])
    taken: list[tuple[Array, Array]] = []
    rows = []
    for number, (text, colour) in enumerate(zip(texts, colours, strict=True)):
        half = np.array([0.5 * _LETTER * len(text) + 2, 0.5 * _LINE])
        centres, anchors = _centres(paths[number], half, frame[2])
        if not len(centres):
            continue
        cost = _cost(centres, half, cloud[owner != number], paths[number], taken)
        cost += 6.0 * _crowd(anchors, [path for other, path in enumerate(paths) if other != number])
        best = centres[np.argmin(cost)]
        taken.append((best, half))
        rows.append((*_data(best, frame, log), text, colour))
    x, y, names, hues = zip(*rows, strict=True) if rows else ((), (), (), ())
    return DirectLabels(x, y, names, hues)


def _pixels(x: Array, y: Array, frame: Any, log: bool) -> Array:
    """The part of a curve in view in pixels of the frame, evenly spaced along the horizontal axis, shape (n, 2)."""
    (left, right), (low, high), (width, height) = frame
    u, ends = (np.log(x), np.log([left, right])) if log else (x, np.array([left, right]))
    order = np.argsort(u)
    u, v = u[order][np.isfinite(y[order])], y[order][np.isfinite(y[order])]
    if u.size < 2:
        return np.zeros((0, 2))
    across = np.linspace(max(u[0], ends[0]), min(u[-1], ends[1]), 120)
    points = np.stack([(across - ends[0]) / (ends[1] - ends[0]) * width, np.interp(across, u, v)], axis=1)
    points[:, 1] = (points[:, 1] - low) / (high - low) * height
    inside: Array = points[(points[:, 1] >= 0) & (points[:, 1] <= height) & (across[-1] >= across[0])]
    return inside


def _data(pixel: Array, frame: Any, log: bool) -> tuple[float, float]:
    (left, right), (low, high), (width, height) = frame
    ends = np.log([left, right]) if log else np.array([left, right])
    x = ends[0] + pixel[0] / width * (ends[1] - ends[0])
    return float(np.exp(x) if log else x), float(low + pixel[1] / height * (high - low))


def _centres(path: Array, half: Array, size: tuple[int, int]) -> tuple[Array, Array]:
    """Where the middle of a label may stand, inside the frame on either side of its curve, and the points it is at."""
    if not len(path):
        return path, path
    points = path[np.linspace(0, len(path) - 1, min(_CANDIDATES, len(path))).astype(int)]
    shifts = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]) * (half + 4)
    centres = (points[:, None] + shifts).reshape(-1, 2)
    anchors = np.repeat(points, len(shifts), axis=0)
    inside = np.all((centres >= half) & (centres <= np.array(size) - half), axis=1)
    if not inside.any():
        return np.clip(centres, half, np.array(size) - half), anchors
    return centres[inside], anchors[inside]


def _crowd(anchors: Array, others: Sequence[Array]) -> Array:
    """How many other curves pass within a few pixels: where many do, a label could name any of them."""
    crowd = np.zeros(len(anchors))
    for path in others:
        if len(path):
            crowd += ((anchors[:, None] - path) ** 2).sum(axis=2).min(axis=1) < 10.0**2
    return crowd


def _cost(centres: Array, half: Array, others: Array, own: Array, taken: list[tuple[Array, Array]]) -> Array:
    """How much of other curves and labels a label would cover, and how near it would stand to other curves."""
    cost: Array = 2.0 * _covered(centres, half, own) + 4.0 * _covered(centres, half + 2, others)
    if len(others):
        apart = np.maximum(np.abs(centres[:, None] - others) - half, 0.0)
        nearest = np.sqrt((apart**2).sum(axis=2)).min(axis=1)
        # a label as near to another curve as to its own could name either
        cost += 40.0 * np.exp(-nearest / 8.0)
    for centre, size in taken:
        overlap = np.all(np.abs(centres - centre) < half + size, axis=1)
        cost = cost + 1000.0 * overlap
    return cost


def _covered(centres: Array, half: Array, points: Array) -> Array:
    inside = np.all(np.abs(centres[:, None] - points) < half, axis=2)
    return np.asarray(inside.sum(axis=1), dtype=np.float64)
