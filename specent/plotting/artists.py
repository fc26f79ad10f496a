"""HoloViews elements as artists on the axes of matplotlib: one function per sort of element, registered at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import holoviews as hv
import numpy as np
from numpy.typing import NDArray

from specent.errors import SpecentError
from specent.plotting import style
from specent.plotting.appearance import POINTS, Appearance

_MARKERS = {
    "circle": "o", "square": "s", "diamond": "d", "triangle": "^", "inverted_triangle": "v", "cross": "+", "plus": "P",
    "star": "*", "asterisk": (6, 2, 0), "dash": "_", "hex": "h", "dot": ".",
}  # fmt: skip
_STEPS = {"steps-mid": "steps-mid", "steps-pre": "steps-pre", "steps-post": "steps-post"}


@dataclass
class Canvas:
    """Axes, and the positions at which they show names."""

    axes: Any
    names: tuple[dict[str, int], dict[str, int]] = field(default_factory=lambda: ({}, {}))

    def positions(self, element: Any, index: int, direction: int) -> NDArray[Any]:
        """Column `index` of an element along the horizontal (0) or vertical (1) direction; names become numbers."""
        values = np.asarray(element.dimension_values(index))
        if values.dtype.kind not in "OUS":
            return values
        known = self.names[direction]
        for name in (*(element.get_dimension(index).values or ()), *values):
            known.setdefault(str(name), len(known))
        return np.array([known[str(value)] for value in values], dtype=float)


def draw(element: Any, canvas: Canvas, number: int) -> list[Any]:
    """Draw one element, the `number`-th of its overlay, over those before it.

    Returns
    -------
    list of Artist
        What stands for the element in a legend.

    Raises
    ------
    SpecentError
        If elements of this sort cannot be printed.
    """
    drawer = next((_DRAWERS[kind] for kind in type(element).__mro__ if kind in _DRAWERS), None)
    if drawer is None:
        known = ", ".join(sorted(kind.__name__ for kind in _DRAWERS))
        raise SpecentError(f"a {type(element).__name__} cannot be printed; figures are printed of {known}")
    artists = drawer(element, canvas, Appearance(element, number))
    for artist in artists:
        # in the order of the overlay, above the grid
        artist.set_zorder(2 + 0.001 * number)
    return artists


def _curve(element: Any, canvas: Canvas, pen: Appearance) -> list[Any]:
    xy = (canvas.positions(element, 0, 0), canvas.positions(element, 1, 1))
    return list(canvas.axes.plot(
        *xy, color=pen.colour("line_color"), alpha=pen.alpha("line_alpha"), linewidth=pen.width(2), ls=pen.dash(),
        drawstyle=_STEPS.get(pen.plot.get("interpolation", ""), "default"),
    ))  # fmt: skip


def _area(element: Any, canvas: Canvas, pen: Appearance) -> list[Any]:
    x, low = canvas.positions(element, 0, 0), element.dimension_values(1)
    high = element.dimension_values(2) if len(element.vdims) > 1 else np.zeros_like(low)
    return [_filled(canvas.axes, x, low, high, pen)]


def _spread(element: Any, canvas: Canvas, pen: Appearance) -> list[Any]:
    x, middle = canvas.positions(element, 0, 0), element.dimension_values(1)
    below, above = element.dimension_values(2), element.dimension_values(len(element.vdims))
    return [_filled(canvas.axes, x, middle - below, middle + above, pen)]


def _filled(axes: Any, x: Any, low: Any, high: Any, pen: Appearance) -> Any:
    # an edge would show at both ends of a band
    return axes.fill_between(x, low, high, color=pen.colour("fill_color"), alpha=pen.alpha("fill_alpha"), linewidth=0.0)


def _points(element: Any, canvas: Canvas, pen: Appearance) -> list[Any]:
    marker = pen.get("marker", default="circle")
    size = np.asarray(pen.get("size", default=6), dtype=float) * POINTS
    face, edge = pen.colour("fill_color"), pen.colour("line_color")
    artist = canvas.axes.scatter(
        canvas.positions(element, 0, 0), canvas.positions(element, 1, 1), s=size**2,
        marker=_MARKERS.get(str(marker), marker), linewidths=pen.width(1), zorder=2,
        **({"color": face} if str(marker) in ("x", "cross", "asterisk", "dash") else {"c": face, "edgecolors": edge}),
    ) if isinstance(marker, str) else None  # fmt: skip
    if artist is None:
        raise SpecentError("marks of several shapes in one element cannot be printed; draw an element for each shape")
    fill = pen.alpha("fill_alpha")
    if fill is not None and np.ndim(face) < 2:
        artist.set_facecolor(_with_alpha(face, fill))
    elif pen.alpha() is not None:
        artist.set_alpha(pen.alpha())
    return [artist]


def _with_alpha(colour: Any, alpha: float) -> Any:
    from matplotlib import colors

    return colors.to_rgba(colour, alpha)


def _segments(element: Any, canvas: Canvas, pen: Appearance) -> list[Any]:
    columns = [canvas.positions(element, index, index % 2) for index in range(4)]
    ends = np.stack(columns, axis=-1).reshape(-1, 2, 2).astype(float)
    there = np.isfinite(ends).all(axis=(1, 2))
    return [_lines(canvas, ends[there], pen, there)]


def _paths(element: Any, canvas: Canvas, pen: Appearance) -> list[Any]:
    return [_lines(canvas, [np.asarray(part)[:, :2] for part in element.split(datatype="array")], pen)]


def _lines(canvas: Canvas, lines: Any, pen: Appearance, there: NDArray[np.bool_] | None = None) -> Any:
    """Lines in one colour, or in one for every row of the element, of which only some are there."""
    from matplotlib.collections import LineCollection

    colours = pen.colour("line_color")
    if isinstance(colours, list) and there is not None:
        colours = [colour for colour, drawn in zip(colours, there, strict=True) if drawn]
    lines = LineCollection(
        lines, colors=colours, alpha=pen.alpha("line_alpha"), linewidths=pen.width(1),
        linestyles=[pen.dash()], capstyle="butt",
    )  # fmt: skip
    canvas.axes.add_collection(lines)
    return lines


def _rectangles(element: Any, canvas: Canvas, pen: Appearance) -> list[Any]:
    from matplotlib.collections import PolyCollection

    left, low, right, high = (canvas.positions(element, index, index % 2) for index in range(4))
    corners: Any = np.array([[left, low], [right, low], [right, high], [left, high]], dtype=float).transpose(2, 0, 1)
    boxes = PolyCollection(
        corners, facecolors=pen.colour("fill_color"), alpha=pen.alpha("fill_alpha"), linewidths=pen.width(1),
        edgecolors=pen.get("line_color", default="none"),
    )  # fmt: skip
    if pen.get("line_alpha") == 0:
        boxes.set_linewidth(0.0)
    canvas.axes.add_collection(boxes)
    return [boxes]


def _polygons(element: Any, canvas: Canvas, pen: Appearance) -> list[Any]:
    from matplotlib.collections import PolyCollection

    areas = PolyCollection(
        [np.asarray(part)[:, :2] for part in element.split(datatype="array")], facecolors=pen.colour("fill_color"),
        alpha=pen.alpha("fill_alpha"), linewidths=pen.width(1), edgecolors=pen.get("line_color", default="none"),
    )  # fmt: skip
    canvas.axes.add_collection(areas)
    return [areas]


def _histogram(element: Any, canvas: Canvas, pen: Appearance) -> list[Any]:
    edges, heights = np.asarray(element.edges), element.dimension_values(1)
    return list(canvas.axes.bar(
        edges[:-1], heights, np.diff(edges), align="edge", color=pen.colour("fill_color"),
        alpha=pen.alpha("fill_alpha"), edgecolor=pen.get("line_color", default="none"), linewidth=pen.width(1),
    ))  # fmt: skip


def _bars(element: Any, canvas: Canvas, pen: Appearance) -> list[Any]:
    x, heights = canvas.positions(element, 0, 0), element.dimension_values(len(element.kdims))
    width = float(pen.get("bar_width", default=0.8))
    return list(canvas.axes.bar(x, heights, width, color=pen.colour("fill_color"), alpha=pen.alpha("fill_alpha")))


def _error_bars(element: Any, canvas: Canvas, pen: Appearance) -> list[Any]:
    x, middle = canvas.positions(element, 0, 0), element.dimension_values(1)
    low, high = middle - element.dimension_values(2), middle + element.dimension_values(len(element.vdims))
    return [_lines(canvas, np.stack([x, low, x, high], axis=-1).reshape(-1, 2, 2), pen)]


def _line_across(element: Any, canvas: Canvas, pen: Appearance) -> list[Any]:
    vertical = isinstance(element, hv.VLine | hv.VLines)
    several = isinstance(element, hv.VLines | hv.HLines)
    across = canvas.axes.axvline if vertical else canvas.axes.axhline
    colour, alpha = pen.colour("line_color"), pen.alpha("line_alpha")
    values = element.dimension_values(0) if several else [element.data]
    return [across(value, color=colour, alpha=alpha, lw=pen.width(2), ls=pen.dash()) for value in values]


def _span(element: Any, canvas: Canvas, pen: Appearance) -> list[Any]:
    vertical = isinstance(element, hv.VSpan | hv.VSpans)
    several = isinstance(element, hv.VSpans | hv.HSpans)
    across = canvas.axes.axvspan if vertical else canvas.axes.axhspan
    ends = zip(element.dimension_values(0), element.dimension_values(1), strict=True) if several else [element.data]
    colour, alpha = pen.colour("fill_color"), pen.alpha("fill_alpha")
    return [across(*pair, facecolor=colour, alpha=alpha, linewidth=0.0) for pair in ends]


def _text(element: Any, canvas: Canvas, pen: Appearance) -> list[Any]:
    x, y, text, _size, across, down, rotation = element.data
    return [canvas.axes.text(x, y, str(text), ha=across, va=down, rotation=rotation, **pen.font(), clip_on=True)]


def _labels(element: Any, canvas: Canvas, pen: Appearance) -> list[Any]:
    across = pen.get("text_align", default="center")
    down = {"middle": "center", "alphabetic": "baseline"}.get(
        str(pen.get("text_baseline", default="middle")), pen.get("text_baseline")
    )
    columns = canvas.positions(element, 0, 0), canvas.positions(element, 1, 1), element.dimension_values(2)
    font = {**pen.font(), "ha": across, "va": down, "rotation": float(np.rad2deg(pen.get("angle", default=0.0)))}
    dx, dy = float(pen.plot.get("xoffset") or 0.0), float(pen.plot.get("yoffset") or 0.0)
    return [
        canvas.axes.text(x + dx, y + dy, str(text), clip_on=True, **font) for x, y, text in zip(*columns, strict=True)
    ]


def _heat_map(element: Any, canvas: Canvas, pen: Appearance) -> list[Any]:
    x, y = canvas.positions(element, 0, 0), canvas.positions(element, 1, 1)
    values = np.asarray(element.dimension_values(2), dtype=float)
    columns, rows = (
        np.arange(len(names)) if names else np.unique(at) for names, at in zip(canvas.names, (x, y), strict=True)
    )
    table = np.full((len(rows), len(columns)), np.nan)
    table[np.searchsorted(rows, y), np.searchsorted(columns, x)] = values
    mesh = canvas.axes.pcolormesh(
        columns, rows, np.ma.masked_invalid(table), cmap=pen.colours(), norm=pen.scale(values), shading="nearest"
    )
    return _with_bar(mesh, element, canvas, pen)


def _image(element: Any, canvas: Canvas, pen: Appearance) -> list[Any]:
    values = np.asarray(element.dimension_values(2, flat=False), dtype=float)
    shaded = {"cmap": pen.colours(), "norm": pen.scale(values)}
    picture = _placed(element, canvas.axes, np.ma.masked_invalid(values), alpha=pen.alpha(), **shaded)
    return _with_bar(picture, element, canvas, pen)


def _rgb(element: Any, canvas: Canvas, pen: Appearance) -> list[Any]:
    channels = range(2, 2 + len(element.vdims))
    values = np.stack([element.dimension_values(index, flat=False) for index in channels], axis=-1)
    shades = values / 255 if values.dtype.kind in "iu" else values
    return [_placed(element, canvas.axes, np.clip(shades, 0, 1), alpha=pen.alpha())]


def _placed(element: Any, axes: Any, values: Any, **shaded: Any) -> Any:
    """A picture on the axes; where these are logarithmic, it is even between the logarithms of its ends."""
    left, low, right, high = element.bounds.lbrt()
    pairs = (((left, right), axes.get_xscale()), ((low, high), axes.get_yscale()))
    x, y = (np.log10(pair) if scale == "log" else pair for pair, scale in pairs)
    # these logarithms are no limits of the axes
    limits = axes.dataLim.frozen()
    axes.set_autoscale_on(False)
    picture = axes.imshow(
        values, extent=(*x, *y), origin="lower", aspect="auto", interpolation="nearest",
        transform=axes.transLimits + axes.transAxes, **shaded,
    )  # fmt: skip
    picture.sticky_edges.x.clear()
    picture.sticky_edges.y.clear()
    axes.set_autoscale_on(True)
    axes.dataLim.set(limits)
    axes.update_datalim([(left, low), (right, high)])
    return picture


def _quad_mesh(element: Any, canvas: Canvas, pen: Appearance) -> list[Any]:
    values = np.asarray(element.dimension_values(2, flat=False), dtype=float)
    edges = [element.interface.coords(element, index, edges=True, ordered=True) for index in range(2)]
    mesh = canvas.axes.pcolormesh(
        *edges, np.ma.masked_invalid(values), cmap=pen.colours(), norm=pen.scale(values), rasterized=True
    )
    return _with_bar(mesh, element, canvas, pen)


def _with_bar(shaded: Any, element: Any, canvas: Canvas, pen: Appearance) -> list[Any]:
    """The artist, with its colour bar beside the axes if it has one."""
    if pen.plot.get("colorbar"):
        from matplotlib import colors, ticker

        beside = canvas.axes.inset_axes([1.03, 0.0, 0.04, 1.0])
        bar = canvas.axes.figure.colorbar(shaded, cax=beside)
        if isinstance(shaded.norm, colors.LogNorm):
            ends = (float(shaded.norm.vmin or 1.0), float(shaded.norm.vmax or 1.0))
            bar.set_ticks([mark for mark, _ in style.ticks(np.array(ends)) if ends[0] <= mark <= ends[1]])
            beside.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
        bar.minorticks_off()
        text = pen.plot.get("clabel") or (pen.plot.get("colorbar_opts") or {}).get("title")
        bar.set_label(text or element.vdims[0].pprint_label)
        bar.outline.set_linewidth(0.5)
    return [shaded]


_DRAWERS: dict[type, Callable[[Any, Canvas, Appearance], list[Any]]] = {
    hv.Curve: _curve,
    hv.Area: _area,
    hv.Spread: _spread,
    hv.ErrorBars: _error_bars,
    hv.Scatter: _points,
    hv.Points: _points,
    hv.Segments: _segments,
    hv.Path: _paths,
    hv.Rectangles: _rectangles,
    hv.Polygons: _polygons,
    hv.Histogram: _histogram,
    hv.Bars: _bars,
    **dict.fromkeys((hv.HLine, hv.VLine, hv.HLines, hv.VLines), _line_across),
    **dict.fromkeys((hv.HSpan, hv.VSpan, hv.HSpans, hv.VSpans), _span),
    hv.Text: _text,
    hv.Labels: _labels,
    hv.HeatMap: _heat_map,
    hv.Image: _image,
    hv.RGB: _rgb,
    hv.QuadMesh: _quad_mesh,
}
