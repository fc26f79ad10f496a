"""A HoloViews figure as a sheet of a journal: panels of one width, with room for all that is written around them.

A sheet is drawn, the room that titles, labels, second scales, colour bars and legends take is measured, and the sheet
is drawn again with that room, until nothing changes. So nothing is cut off, whatever the names are. All lengths are
points.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import holoviews as hv
import numpy as np

from specent.errors import SpecentError
from specent.plotting import style
from specent.plotting.appearance import TEXT_POINTS, options
from specent.plotting.framing import Framed, PrintPanel, least_height, same_limits
from specent.plotting.lettering import LINE, as_number, in_lines, length

_DPI = 720
_EDGE, _GAP = 3.0, 8.0
# frames of curves and of pictures narrower than this stand above each other; no frame is narrower than the last
_NARROWEST, _NARROWEST_PICTURE, _LEAST = 110.0, 56.0, 8.0
# points on paper that a pixel of a frame may become: small figures stay small
_LARGEST = 0.8
# curves as wide as two columns are no higher than this
_HIGHEST = 200.0
_PASSES = 5
_TITLE, _LEGEND = 8.0, 7.0
_HANDLE, _COLUMN = (2.4 + 0.8) * _LEGEND, 1.2 * _LEGEND

RC: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 7.0,
    # names from data files are no formulas
    "text.parse_math": False,
    "text.hinting": "none",
    "axes.labelsize": 8.0,
    "axes.titlesize": 8.0,
    "axes.titlelocation": "left",
    "axes.titlepad": 4.0,
    "axes.labelpad": 2.5,
    "axes.linewidth": 0.6,
    "axes.formatter.useoffset": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.5,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    **{
        f"{axis}tick.major.{name}": value
        for axis in "xy"
        for name, value in (("width", 0.6), ("size", 2.5), ("pad", 2))
    },
    "legend.fontsize": _LEGEND,
    "legend.frameon": False,
    "legend.borderpad": 0.0,
    "legend.borderaxespad": 0.0,
    "legend.handlelength": 2.4,
    "legend.columnspacing": 1.2,
    "legend.labelspacing": 0.35,
    # dashes are lengths of their own, not multiples of the width of a line
    "lines.scale_dashes": False,
    "lines.solid_capstyle": "butt",
    "lines.solid_joinstyle": "round",
    "image.composite_image": False,
    # TrueType in a PDF; outlines in SVG, which look alike wherever they are opened
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "specent",
}
"""Settings of matplotlib for print, on top of its own defaults."""


@contextmanager
def print_settings() -> Iterator[None]:
    """Matplotlib's defaults and `RC`, whatever the user has set, which is there again afterwards."""
    import matplotlib

    settings: Any = matplotlib.rcParams
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        settings.update(RC)
        yield


@dataclass(frozen=True)
class Room:
    """What is needed beside every column, above and beneath every row, and over and under all of them."""

    left: tuple[float, ...]
    right: tuple[float, ...]
    top: tuple[float, ...]
    bottom: tuple[float, ...]
    least: tuple[float, ...]
    head: tuple[float, ...] = (0.0,)
    foot: tuple[float, ...] = (0.0,)

    @property
    def sides(self) -> tuple[tuple[float, ...], ...]:
        """All of it."""
        return (self.left, self.right, self.top, self.bottom, self.least, self.head, self.foot)

    def with_at_least(self, other: Room) -> Room:
        """The larger of two rooms, side by side."""
        return Room(*(tuple(map(max, one, two)) for one, two in zip(self.sides, other.sides, strict=True)))

    def differs(self, other: Room) -> bool:
        """Whether two rooms differ by more than a point, which is less than the edge of a sheet."""
        pairs = zip(self.sides, other.sides, strict=True)
        return any(abs(one - two) > 1.0 for some in pairs for one, two in zip(*some, strict=True))


def sheet(figure: Any, width: float, title: str | None = None) -> Any:
    """A matplotlib figure of a HoloViews object; to be called within `print_settings`.

    Parameters
    ----------
    figure : HoloViews object
        An element, an overlay, or a layout of them.
    width : float
        Width in points; the height follows.
    title : str, optional
        Title instead of that of the figure.

    Returns
    -------
    matplotlib.figure.Figure
        The sheet, which belongs to no window and is unknown to pyplot.

    Raises
    ------
    SpecentError
        If it is no such object, holds something that cannot be printed, or the width is too small for it.
    """
    own, parts, columns, shared = _parts(figure)
    heading = own if title is None else title
    while True:
        panels = [
            PrintPanel.of(element, number // columns, number % columns, name)
            for number, (element, name) in enumerate(parts)
            if not isinstance(element, hv.Empty)
        ]
        if len(panels) == 1 and title is not None:
            panels, heading = [replace(panels[0], title=title)], ""
        panels = _with_names(panels)
        last = columns == 1
        pictures = all(isinstance(one, hv.RGB | hv.Image) for panel in panels for one in panel.members)
        least = _NARROWEST_PICTURE if pictures else _NARROWEST
        drawn = _fitted(panels, width, heading, shared, _LEAST if last else least)
        if drawn is not None:
            return drawn
        if last:
            raise SpecentError(f"width={width / 72 * 25.4:.0f} mm is too narrow for this figure; give a larger one")
        columns -= 1


def _parts(figure: Any) -> tuple[str, list[tuple[Any, str]], int, bool]:
    """Title, panels with their own, number of columns, and whether axes of one dimension have the same limits."""
    if isinstance(figure, hv.DynamicMap | hv.HoloMap):
        figure = figure[()] if isinstance(figure, hv.DynamicMap) and not figure.kdims else figure.last
    if isinstance(figure, hv.Overlay | hv.NdOverlay | hv.Layout | hv.NdLayout | hv.GridSpace) and not len(figure):
        raise SpecentError("the figure is empty; give what a function of sp.plot returns")
    if isinstance(figure, hv.Element | hv.Overlay | hv.NdOverlay):
        return "", [(figure, "")], 1, False
    if not isinstance(figure, hv.Layout | hv.NdLayout | hv.GridSpace):
        raise SpecentError(f"a {type(figure).__name__} is no figure; give what a function of sp.plot returns")
    whole = options(figure)
    if isinstance(figure, hv.Layout):
        parts = [(one.main if isinstance(one, hv.AdjointLayout) else one, "") for one in figure]
    else:
        parts = [
            (one, ", ".join(f"{dim.label} {name}" for dim, name in zip(figure.kdims, key, strict=True)))
            for key, one in figure.data.items()
        ]
    return html.unescape(str(whole.get("title") or "")), parts, figure.shape[1], bool(whole.get("shared_axes", True))


def _with_names(panels: Sequence[PrintPanel]) -> list[PrintPanel]:
    """Panels that have no names since one to the left has them get these where they begin a row themselves."""
    ticks = panels[0].options.get("yticks")
    named = {"yaxis": "left", "yticks": ticks}
    return [
        replace(one, options=one.options | named) if one.column == 0 and one.options.get("yaxis") == "bare" else one
        for one in panels
    ]


def _fitted(panels: Sequence[PrintPanel], width: float, title: str, shared: bool, least: float) -> Any:
    """The sheet with the room that it needs; nothing if a frame would become narrower than `least`."""
    rows, columns = 1 + max(panel.row for panel in panels), 1 + max(panel.column for panel in panels)
    room = Room((30.0,) * columns, (4.0,) * columns, (12.0,) * rows, (24.0,) * rows, (0.0,) * rows)
    drawn = None
    for number in range(_PASSES):
        frames, height = _frames(panels, room, width)
        if min(frame[2] for frame in frames) < least:
            return None
        drawn, needed = _drawn(panels, frames, (width, height), room, title, shared)
        if not needed.differs(room):
            break
        # lines that break and join again would go on for ever
        room = needed if number < 2 else needed.with_at_least(room)
    return drawn


def _frames(
    panels: Sequence[PrintPanel], room: Room, width: float
) -> tuple[list[tuple[float, float, float, float]], float]:
    """Left, lower, width and height of the frame of every panel, and the height of the sheet."""
    columns, rows = range(len(room.left)), range(len(room.top))
    shares = [max([_size(panel)[0] for panel in panels if panel.column == c], default=1.0) for c in columns]
    free = width - 2 * _EDGE - sum(room.left) - sum(room.right) - _GAP * (len(columns) - 1)
    widths = [min(free * share / sum(shares), _LARGEST * share) for share in shares]
    lefts = [_EDGE + sum(widths[:c]) + sum(room.left[: c + 1]) + sum(room.right[:c]) + _GAP * c for c in columns]
    heights = [
        max([_height(panel, widths[panel.column]) for panel in panels if panel.row == r] + [room.least[r]])
        for r in rows
    ]
    around = sum(room.top) + sum(room.bottom) + room.head[0] + room.foot[0]
    height = 2 * _EDGE + sum(heights) + around + _GAP * (len(rows) - 1)
    uppers = [
        height - _EDGE - room.head[0] - sum(heights[:r]) - sum(room.top[: r + 1]) - sum(room.bottom[:r]) - _GAP * r
        for r in rows
    ]
    frames = [
        (lefts[panel.column], uppers[panel.row] - heights[panel.row], widths[panel.column], heights[panel.row])
        for panel in panels
    ]
    return frames, height


def _size(panel: PrintPanel) -> tuple[float, float]:
    """Width and height of a frame on the screen."""
    across, down = (panel.options.get(name) for name in ("frame_width", "frame_height"))
    return float(across or style.FRAME_WIDTH), float(down or style.FRAME_HEIGHT)


def _height(panel: PrintPanel, width: float) -> float:
    """Height of a frame: of one shape with that on the screen, but rows with names are as high as there."""
    across, down = _size(panel)
    ticks = panel.options.get("yticks")
    marks = [mark for mark in ticks if isinstance(mark, tuple)] if isinstance(ticks, list | tuple) else []
    rows = any(as_number(mark[1]) is None for mark in marks)
    pictures = any(isinstance(one, hv.RGB | hv.Image) for one in panel.members)
    if rows and not pictures:
        return down * TEXT_POINTS
    even = pictures or any(isinstance(one, hv.HeatMap) for one in panel.members)
    return down * width / across if even else min(down * width / across, _HIGHEST)


def _drawn(
    panels: Sequence[PrintPanel],
    frames: Sequence[tuple[float, float, float, float]],
    size: tuple[float, float],
    room: Room,
    title: str,
    shared: bool,
) -> tuple[Any, Room]:
    """The sheet with some room, and the room that it turns out to need."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(size[0] / 72, size[1] / 72), dpi=_DPI)
    FigureCanvasAgg(figure)
    framed = []
    for panel, (left, low, width, height) in zip(panels, frames, strict=True):
        axes = figure.add_axes((left / size[0], low / size[1], width / size[0], height / size[1]))
        framed.append(Framed.of(panel, axes))
    if shared:
        same_limits(framed)
    columns = len(room.left)
    # names that stand once, on the left, may take more
    once = all(panel.options.get("yaxis") == "bare" for panel in panels if panel.column > 0)
    names = max(0.4 / columns, 0.3) if once else 0.4 / columns
    for one, frame in zip(framed, frames, strict=True):
        column = one.panel.column
        title_room = size[0] - _EDGE - frame[0] if column == columns - 1 else frame[2] + room.right[column]
        one.finish((title_room, names * size[0]))
    foot = _legends(figure, framed, room, size[0])
    needed = _needed(framed, len(room.top), len(room.left))
    head = 0.0
    if title:
        text = in_lines(title, size[0] - 2 * _EDGE, _TITLE)
        figure.text(_EDGE / size[0], 1 - _EDGE / size[1], text, va="top", fontsize=_TITLE, linespacing=LINE)
        head = _TITLE * LINE * (text.count("\n") + 1) + 4.0
    return figure, replace(needed, head=(head,), foot=(foot,))


def _legends(figure: Any, framed: Sequence[Framed], room: Room, width: float) -> float:
    """Legends under the axes, or one under all of them where they say the same; returns the height of that one."""
    entries = [_entries(one) for one in framed]
    filled = [some for some in entries if some]
    longest = max(filled, key=len, default={})
    if len(filled) > 1 and all(some.keys() <= longest.keys() for some in filled):
        legend = _legend(framed[0].axes, longest, (_EDGE + room.left[0], _EDGE), width - 2 * _EDGE - room.left[0])
        legend.set_loc("lower left")
        framed[0].axes.figure.add_artist(legend)
        return float(legend.get_window_extent().height * 72 / figure.dpi) + _GAP
    for one, some in zip(framed, entries, strict=True):
        if some:
            frame, extent = one.frame(), one.extent(title=False)
            own = frame.width + room.right[one.panel.column]
            legend = one.axes.add_artist(_legend(one.axes, some, (frame.x0, extent.y0 - 4.0), own))
            # it stands outside the frame, to which axes clip what is added
            legend.set_clip_path(None)
            legend.set_clip_on(False)
    return 0.0


def _entries(one: Framed) -> dict[str, Any]:
    """What a legend says of a panel: what its decorations put there, and its elements."""
    legend = one.axes.get_legend()
    entries: dict[str, Any] = {}
    if legend is not None:
        entries = dict(zip((text.get_text() for text in legend.get_texts()), legend.legend_handles, strict=True))
        legend.remove()
    return entries | {label: tuple(artists) for label, artists in one.entries.items()}


def _legend(axes: Any, entries: dict[str, Any], corner: tuple[float, float], width: float) -> Any:
    """A legend whose upper left corner lies at a point of the sheet, in as many columns as there is room for."""
    from matplotlib.legend import Legend

    texts = [in_lines(label, width - _HANDLE, _LEGEND) for label in entries]
    sizes = [_HANDLE + max(length(line, _LEGEND) for line in text.split("\n")) for text in texts]
    columns = next((n for n in range(len(texts), 1, -1) if _across(sizes, n) <= width), 1)
    return Legend(
        axes, list(entries.values()), texts, loc="upper left", ncols=columns,
        bbox_transform=axes.figure.dpi_scale_trans, bbox_to_anchor=(corner[0] / 72, corner[1] / 72),
    )  # fmt: skip


def _across(sizes: Sequence[float], columns: int) -> float:
    """Width of a legend of some columns, which are filled one after the other."""
    return float(sum(part.max() + _COLUMN for part in np.array_split(sizes, columns))) - _COLUMN


def _needed(framed: Sequence[Framed], rows: int, columns: int) -> Room:
    """The room that what is drawn takes around the frames."""
    left, right, top, bottom, least = [0.0] * columns, [0.0] * columns, [0.0] * rows, [0.0] * rows, [0.0] * rows
    for one in framed:
        row, column = one.panel.row, one.panel.column
        frame, without, whole = one.frame(), one.extent(title=False), one.extent(title=True)
        left[column] = max(left[column], frame.x0 - without.x0)
        right[column] = max(right[column], without.x1 - frame.x1)
        top[row], bottom[row] = max(top[row], whole.y1 - frame.y1), max(bottom[row], frame.y0 - whole.y0)
        least[row] = max(least[row], least_height(one))
    return Room(tuple(left), tuple(right), tuple(top), tuple(bottom), tuple(least))
