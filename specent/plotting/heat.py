"""A matrix over pairs of labels as a heat map: its scale of colours, its numbers, and what is grey."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import holoviews as hv
import numpy as np
import pandas as pd
from bokeh.models import ColumnDataSource, CustomJSHover
from bokeh.models.annotations import Legend, LegendItem
from holoviews.plotting.util import process_cmap
from numpy.typing import NDArray

from specent.plotting import style
from specent.plotting.pair_levels import Array, decimals, every_nth, significant
from specent.plotting.raster import ordinary

NEVER = "#b0b0b0"
NEVER_TEXT = "never falls to half"

MOST_NUMBERS = 15
"""More labels than this have no numbers in their cells."""

MOST_CELLS = 40
"""More labels than this are drawn as an image."""

MOST_PIXELS = 500
"""More labels than this are drawn as medians over blocks of neighbours."""

_SHADES = 256
_NOTHING = {"NaN": "#ffffff00"}


@dataclass(frozen=True)
class Cells:
    """Numbers over pairs of labels with their bounds, each of shape (label, label)."""

    labels: Sequence[str]
    value: Array
    lower: Array
    upper: Array


@dataclass(frozen=True)
class Scale:
    """Which colour stands for which number, and how numbers are written."""

    low: float
    high: float
    cmap: str
    log: bool
    title: str
    digits: int | None
    signed: bool = False
    what: str = "half-entropy"
    cell: tuple[str, str] = ("pair", "@label | @{other_label}")

    @classmethod
    def of_levels(cls, values: Array, axis: str) -> Scale:
        """The scale of all matrices of positions on an axis."""
        low, high = float(values.min()), float(values.max())
        title = f"half-entropy {style.AXIS_LABELS[axis].partition('  (')[0]}"
        # noise levels are ratios: they have three digits, positions on other axes as many decimals
        return cls(
            low, high, style.SEQUENTIAL, axis == "sigma" and high > 4 * low > 0, title,
            None if axis == "sigma" else decimals(values),
        )  # fmt: skip

    @classmethod
    def of_differences(cls, values: Array, axis: str) -> Scale:
        """The scale of a difference, on which white is none."""
        finite = np.abs(values[np.isfinite(values)])
        most = float(finite.max()) if finite.size and finite.max() > 0 else 1.0
        title = f"difference of {style.AXIS_LABELS[axis].partition('  (')[0]}"
        return cls(-most, most, style.DIVERGING, False, title, decimals(np.array([most])), signed=True)

    def text(self, value: float) -> str:
        """A number as it is written in a cell: with a constant number of digits."""
        if self.digits is None:
            return significant(value)
        return f"{value:{'+' if self.signed else ''}.{self.digits}f}"

    def colours(self, values: Array) -> list[str]:
        """The colours of some finite numbers, as hexadecimal text."""
        flat, ends = np.asarray(values), np.array([self.low, self.high])
        if self.log:
            flat, ends = np.log(flat), np.log(ends)
        share = (flat - ends[0]) / max(ends[1] - ends[0], 1e-12)
        palette = process_cmap(self.cmap, _SHADES)
        return [palette[int(i)] for i in np.clip(share * _SHADES, 0, _SHADES - 1)]


def ink(colour: str) -> str:
    """Black or white, whichever is easier to read on a colour (the contrast of WCAG 2.1).

    Examples
    --------
    >>> ink("#440154"), ink("#fde725")
    ('white', 'black')
    """
    # black and white have the same contrast on a luminance of 0.18
    return "white" if luminance(colour) < np.sqrt(1.05 * 0.05) - 0.05 else "black"


def luminance(colour: str) -> float:
    """Relative luminance of a colour such as ``"#ff8800"``, from 0 to 1 (WCAG 2.1).

    Examples
    --------
    >>> luminance("#000000"), round(luminance("#ffffff"), 12)
    (0.0, 1.0)
    """
    shares = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return float(linear @ np.array([0.2126, 0.7152, 0.0722]))


@dataclass(frozen=True)
class SwatchLegend:
    """What a colour of a matrix stands for that is not on its scale, under the figure."""

    text: str
    colour: str

    def __call__(self, plot: Any, _element: Any) -> None:
        """Add the legend to a Bokeh figure."""
        figure = plot.state
        if figure.select(name="swatch legend"):
            return
        square = figure.scatter(
            x="x",
            y="y",
            source=ColumnDataSource({"x": [np.nan], "y": [np.nan]}),
            marker="square",
            color=self.colour,
            size=12,
        )
        items = [LegendItem(label={"value": self.text}, renderers=[square])]
        legend = Legend(items=items, name="swatch legend", border_line_color=None, location="center")
        legend.update(padding=2, background_fill_alpha=0.0, label_text_font_size="12px")
        figure.add_layout(legend, "below")

    def on_axes(self, axes: Any) -> None:
        """Add the legend to axes of Matplotlib."""
        from matplotlib.patches import Patch

        axes.legend(
            handles=[Patch(color=self.colour, label=self.text)], loc="upper center", bbox_to_anchor=(0.5, -0.12),
            frameon=False,
        )  # fmt: skip


def matrix(cells: Cells, analysed: NDArray[np.bool_], scale: Scale, title: str, *, bar: bool, width: int) -> Any:
    """One heat map.

    Parameters
    ----------
    cells : Cells
        The numbers.
    analysed : ndarray of bool, shape (label, label)
        Whether there is such a pair; those without a number never fall to half.
    scale : Scale
        The scale of colours.
    title : str
        Title above it.
    bar : bool
        Whether a colour bar stands beside it.
    width : int
        Largest width and height in pixels.

    Returns
    -------
    holoviews.Overlay
        The cells, and their numbers where there are few.
    """
    count = len(cells.labels)
    never = analysed & ~np.isfinite(cells.value)
    # numbers need room
    size = int(np.clip(46 * count, 260, max(width, 34 * count if count <= MOST_NUMBERS else 0)))
    options = {"cmap": scale.cmap, "colorbar": bar, "clim": (scale.low, scale.high), "logz": scale.log}
    options["clipping_colors"] = _NOTHING
    if bar:
        options["colorbar_opts"] = {
            "title": scale.title,
            "title_standoff": 4,
            "padding": 14,
            "title_text_font_size": "12px",
        }
    draw = _categories if count <= MOST_CELLS else _image
    elements, axes = draw(cells, never, scale, options)
    if never.any():
        axes["hooks"] = [SwatchLegend(NEVER_TEXT, NEVER)]
    frame = style.frame(height=size, backend_opts={"plot.min_border_left": 40, "plot.toolbar.logo": None}) | {
        "frame_width": size,
        "show_grid": False,
        **axes,
    }
    return hv.Overlay(elements).opts(**frame, title=style.TitleText(title), show_legend=False)


def _categories(
    cells: Cells, never: NDArray[np.bool_], scale: Scale, options: dict[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """A heat map of named cells; with their numbers if there are few."""
    names = ordinary(cells.labels)
    # names that are alike once they are cut would be one row
    names = names if len(set(names)) == len(names) else [*cells.labels]
    a, b = hv.Dimension("label", values=names), hv.Dimension("other_label", label="other label", values=names[::-1])
    rows, columns = (index.ravel() for index in np.indices(never.shape))
    numbers = [one.ravel() for one in (cells.value, cells.lower, cells.upper)]
    four = zip(*numbers, never.ravel().tolist(), strict=True)
    words = [_words(scale, *one) for one in four]
    table = pd.DataFrame(dict(zip(("half", "lower", "upper"), numbers, strict=True)))
    for name, texts in (("label", [names[j] for j in columns]), ("other_label", [names[i] for i in rows])):
        table[name] = texts
    # HoloViews cannot lay out the texts of Arrow as a matrix
    table["words"] = pd.Series(words, dtype=object)
    heat = hv.HeatMap(table, [a, b], [hv.Dimension("half", label=scale.title), "lower", "upper", "words"])
    tips = [scale.cell, ("difference" if scale.signed else scale.what, "@words")]
    elements = [heat.opts(**options, tools=["hover"], hover_tooltips=tips)]
    if never.any():
        grey = [(names[j], names[i], 0.0) for i, j in np.argwhere(never)]
        under = hv.HeatMap(grey, [a, b], hv.Dimension("never"))
        elements.insert(0, under.opts(cmap=[NEVER, NEVER], clim=(0.0, 1.0), clipping_colors=_NOTHING))
    if len(names) <= MOST_NUMBERS:
        elements += _numbers(cells, names, scale, (a, b))
    letters = {key: "12px" if len(names) <= 20 else "9px" for key in ("xticks", "yticks")}
    crowded = len(names) > MOST_NUMBERS or max(map(len, names)) > 4
    axes = {"xrotation": 90 if crowded else 0, "xlabel": "", "ylabel": "", "fontsize": {**style.FONTS, **letters}}
    return elements, axes


def _words(scale: Scale, value: float, lower: float, upper: float, never: bool) -> str:
    """What the hover says of a cell."""
    if never:
        return NEVER_TEXT
    if np.isnan(value):
        return "not analysed"
    return scale.text(value) + ("" if scale.signed else f" [{scale.text(lower)}, {scale.text(upper)}]")


def _numbers(cells: Cells, names: list[str], scale: Scale, dims: tuple[Any, Any]) -> list[Any]:
    """The numbers in their cells, black or white, whichever is easier to read on the colour of the cell."""
    rows, columns = np.nonzero(np.isfinite(cells.value))
    values = cells.value[rows, columns]
    inks = [ink(colour) for colour in scale.colours(values)]
    elements = []
    for shade in ("black", "white"):
        some = [
            (names[j], names[i], scale.text(value))
            for i, j, value, one in zip(rows, columns, values, inks, strict=True)
            if one == shade
        ]
        if some:
            labels = hv.Labels(some, [*dims], hv.Dimension("text"))
            elements.append(labels.opts(text_color=shade, text_font_size="10px"))
    return elements


def _image(
    cells: Cells, never: NDArray[np.bool_], scale: Scale, options: dict[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """A raster with a pixel per pair, or per block of pairs."""
    count, block = len(cells.labels), _block(len(cells.labels))
    values = block_medians(cells.value, block).astype(np.float32)
    edge = float(len(values) * block)
    x, y = hv.Dimension("x"), hv.Dimension("y")
    image = hv.Image(values, [x, y], hv.Dimension("half", label=scale.title), bounds=(0.0, -edge, edge, 0.0))
    names = CustomJSHover(
        args={"names": [str(name) for name in cells.labels]}, code="return names[Math.floor(Math.abs(value))] ?? ''"
    )
    elements = []
    if never.any():
        # a block is grey where no pair of it falls to half
        some = np.isnan(values) & (block_medians(np.where(never, 1.0, np.nan), block) == 1)
        grey = hv.Image(np.where(some, 0.0, np.nan).astype(np.float32), [x, y], "never", bounds=image.bounds)
        elements.append(grey.opts(cmap=[NEVER, NEVER], clim=(0.0, 1.0), clipping_colors=_NOTHING))
    tips = [("pair", "$x{custom} | $y{custom}"), ("difference" if scale.signed else scale.what, "@image")]
    elements.append(
        image.opts(**options, tools=["hover"], hover_tooltips=tips, hover_formatters={"$x": names, "$y": names})
    )
    ticks = every_nth(ordinary(cells.labels), 20)
    axes: dict[str, Any] = {
        "xticks": [(i + 0.5, name) for i, name in ticks], "yticks": [(-i - 0.5, name) for i, name in ticks],
        "xrotation": 90, "xlabel": "", "ylabel": "", "xlim": (0.0, float(count)), "ylim": (-float(count), 0.0),
    }  # fmt: skip
    return elements, axes


def _block(count: int) -> int:
    return -(-count // MOST_PIXELS)


def note(count: int) -> str:
    """What is to be said of a matrix over many labels."""
    block = _block(count)
    return "" if block == 1 else f"medians over blocks of {block} by {block} of {count} labels"


def block_medians(values: Array, block: int) -> Array:
    """Medians over blocks of a matrix, of what is there; the last blocks may hold less.

    Examples
    --------
    >>> block_medians(np.array([[1.0, 2.0, 9.0], [3.0, np.nan, 9.0], [5.0, 5.0, np.nan]]), 2).tolist()
    [[2.0, 9.0], [5.0, nan]]
    """
    if block == 1:
        return values
    count = -(-len(values) // block)
    padded = np.full((count * block,) * 2, np.nan)
    padded[: len(values), : len(values)] = values
    blocks = padded.reshape(count, block, count, block).swapaxes(1, 2).reshape(count, count, -1)
    held = np.isfinite(blocks).any(axis=-1)
    medians = np.full((count, count), np.nan)
    medians[held] = np.nanmedian(blocks[held], axis=-1)
    return medians
