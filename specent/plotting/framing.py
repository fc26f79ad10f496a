"""The axes of one panel in print: what is drawn on them, their limits, marks, names and decorations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import holoviews as hv
import numpy as np

from specent.plotting.appearance import options
from specent.plotting.artists import Canvas, draw
from specent.plotting.labels import DirectLabels, direct_labels
from specent.plotting.lettering import LINE, as_number, in_lines, length, printable, roundness, thinned

_TITLE, _LABEL, _MARK = 8.0, 8.0, 7.0
_BETWEEN, _SMALLEST = 5.0, 4.0
# labels beside curves have letters of 7 points in print and of 12 pixels on the screen, bold
_PIXELS = 12 / 7
_ANNOTATIONS = (hv.HLine, hv.VLine, hv.HLines, hv.VLines, hv.HSpan, hv.VSpan, hv.HSpans, hv.VSpans, hv.Text, hv.Labels)
_INHERITED = ("logx", "logy", "xlim", "ylim", "xticks", "yticks", "invert_xaxis", "invert_yaxis", "xlabel", "ylabel")


@dataclass(frozen=True)
class PrintPanel:
    """One set of axes: what is drawn on it, where it stands, its options and its title."""

    element: Any
    row: int
    column: int
    options: dict[str, Any]
    title: str

    @classmethod
    def of(cls, element: Any, row: int, column: int, name: str) -> PrintPanel:
        """The panel of an element or overlay; `name` is its title if it has none itself."""
        # what is set of an element holds for its overlay
        inherited: dict[str, Any] = {}
        for one in reversed(_flat(element)):
            inherited |= {key: value for key, value in options(one).items() if key in _INHERITED}
        own = {**inherited, **options(element)}
        return cls(element, row, column, own, name if own.get("title") is None else str(own["title"]))

    @property
    def members(self) -> list[Any]:
        """The elements that are visible, in the order in which they are drawn."""
        return [one for one in _flat(self.element) if options(one, "style").get("visible") is not False]

    @property
    def hooks(self) -> list[Any]:
        """Decorations that know how to draw themselves on axes of matplotlib."""
        every = [*(self.options.get("hooks") or ())]
        for one in _flat(self.element):
            every += [hook for hook in options(one).get("hooks") or () if all(hook is not other for other in every)]
        return [hook for hook in every if hasattr(hook, "on_axes")]

    def line(self, direction: int) -> int:
        """The column of panels one above the other, or the row of panels side by side."""
        return (self.column, self.row)[direction]

    def number(self, direction: int) -> int:
        """Where the panel stands in it."""
        return (self.row, self.column)[direction]

    def along(self, direction: int) -> Any:
        """The dimension along an axis: that of the first element which is no mere annotation."""
        members = _flat(self.element)
        first = next((one for one in members if not isinstance(one, _ANNOTATIONS)), members[0])
        return first.get_dimension(direction)


def _flat(element: Any) -> list[Any]:
    if isinstance(element, hv.Overlay | hv.NdOverlay):
        return [part for one in element for part in _flat(one)]
    return [element]


@dataclass
class Framed:
    """A panel on its axes, with what stands beside them and the entries of its legend."""

    panel: PrintPanel
    axes: Any
    canvas: Canvas
    entries: dict[str, list[Any]]
    beside: list[Any] = field(default_factory=list)
    # whether a neighbour above, beneath or to the left has the same scale and says so
    inner: frozenset[str] = frozenset()

    @classmethod
    def of(cls, panel: PrintPanel, axes: Any) -> Framed:
        """Draw the elements of a panel; the rest follows with `finish`, once all panels are there."""
        for direction, set_scale in (("logx", axes.set_xscale), ("logy", axes.set_yscale)):
            if panel.options.get(direction):
                set_scale("log")
        if panel.options.get("xaxis") == "top":
            axes.xaxis.tick_top()
            axes.xaxis.set_label_position("top")
        if panel.options.get("yaxis") == "right":
            axes.yaxis.tick_right()
            axes.yaxis.set_label_position("right")
        framed = cls(panel, axes, Canvas(axes), {})
        for number, one in enumerate(panel.members):
            artists = draw(one, framed.canvas, number)
            if one.label and options(one).get("show_legend") is not False:
                framed.entries.setdefault(one.label, []).extend(artists)
        for text in axes.texts:
            text.set_text(printable(text.get_text()))
        if panel.options.get("show_legend") is False or len(framed.entries) < 2:
            framed.entries = {}
        _limit(framed)
        return framed

    def finish(self, room: tuple[float, float]) -> None:
        """Marks, names and decorations; `room` is what a title and a mark of the vertical axis may take in points."""
        for direction in (0, 1):
            _mark(self, direction, room[1])
            _name(self, direction)
        grid = self.panel.options.get("show_grid")
        self.axes.grid(bool(grid))
        _fit_cells(self)
        self.axes.set_title(in_lines(self.panel.title, room[0], _TITLE), linespacing=LINE)
        figure, frame = self.axes.figure, self.axes.get_position()
        known = list(figure.axes)
        for hook in self.panel.hooks:
            if isinstance(hook, DirectLabels):
                self._label(hook)
            else:
                hook.on_axes(self.axes)
        # a colour bar takes its room from the axes, which have theirs already
        self.axes.set_position(frame)
        self.beside = [one for one in figure.axes if all(one is not other for other in known)]
        for number, one in enumerate(self.beside):
            one.set_axes_locator(None)
            one.set_box_aspect(None)
            one.set_position(
                [frame.x1 + (0.03 + 0.2 * number) * frame.width, frame.y0, 0.04 * frame.width, frame.height]
            )
        for one in [*self.axes.child_axes, *self.beside]:
            one.set_ylabel(upright(one.get_ylabel(), self.frame().height), linespacing=LINE)
        for one in [self.axes, *self.axes.child_axes]:
            second = hasattr(one, "set_functions")
            if second and "above" in self.inner:
                self.axes.child_axes.remove(one)
            one.xaxis.labelpad = 4.0 if second else one.xaxis.labelpad
            for axis in (one.xaxis, one.yaxis):
                # a second scale has positions of the axes it belongs to
                _thin(axis, self.axes if second else one)

    def _label(self, names: DirectLabels) -> None:
        """Write names beside their curves anew, for the size of this frame; without room they make a legend."""
        frame, lines = self.frame(), self.axes.get_lines()
        known: list[tuple[Any, str]] = []
        for x, y, name, colour in zip(names.x, names.y, names.texts, names.colours, strict=True):
            text = printable(name)
            own = [one for one in lines if one.get_color() == colour and all(one is not other for other, _ in known)]
            # of several curves of a colour the label belongs to the one that it stands beside
            known += [(min(own, key=lambda line: _distance(line, x, y)), text)] if own else []
            if not own:
                # what has no curve, like a cloud of points, has its name where it is
                DirectLabels((x,), (y,), (text,), (colour,)).on_axes(self.axes)
        others = [line for line in lines if len(line.get_xdata()) > 2 and all(line is not one for one, _ in known)]
        placed = direct_labels(
            [_xy(line) for line, _ in known], [text for _, text in known], [line.get_color() for line, _ in known],
            (_ends(self.axes.get_xlim()), _ends(self.axes.get_ylim()), (_PIXELS * frame.width, _PIXELS * frame.height)),
            log=self.axes.get_xscale() == "log", obstacles=[_xy(line) for line in others],
        )  # fmt: skip
        placed.on_axes(self.axes)
        texts = [text for text in self.axes.texts if text.get_text() in placed.texts]
        if len(placed.texts) == len(known) and not _crowded(texts, self.axes):
            return
        for text in texts:
            text.remove()
        self.entries |= {text: [line] for line, text in known}

    def frame(self) -> Any:
        """The frame of the axes, in points of the sheet."""
        return _in_points(self.axes.get_window_extent(), self.axes.figure)

    def extent(self, *, title: bool) -> Any:
        """All that is drawn of the panel, in points of the sheet; the title may stand over more than the frame."""
        from matplotlib.transforms import Bbox

        figure = self.axes.figure
        heading = self.axes.title
        heading.set_in_layout(title)
        renderer = figure.canvas.get_renderer()
        boxes = [one.get_tightbbox(renderer) for one in [self.axes, *self.beside]]
        heading.set_in_layout(True)
        return _in_points(Bbox.union([box for box in boxes if box is not None]), figure)


def _ends(limits: tuple[float, float]) -> tuple[float, float]:
    return min(limits), max(limits)


def _xy(line: Any) -> tuple[Any, Any]:
    return np.asarray(line.get_xdata(), dtype=float), np.asarray(line.get_ydata(), dtype=float)


def _distance(line: Any, x: float, y: float) -> float:
    """How far above or beneath a position a curve passes."""
    at, values = _xy(line)
    order = np.argsort(at)
    return abs(float(np.interp(x, at[order], values[order])) - y)


def _crowded(texts: Sequence[Any], axes: Any) -> bool:
    """Whether texts touch each other or leave the frame."""
    renderer, frame = axes.figure.canvas.get_renderer(), axes.get_window_extent()
    boxes = [text.get_window_extent(renderer) for text in texts]
    outside = any(box.x0 < frame.x0 or box.x1 > frame.x1 or box.y0 < frame.y0 or box.y1 > frame.y1 for box in boxes)
    return outside or any(one.overlaps(two) for i, one in enumerate(boxes) for two in boxes[:i])


def _in_points(box: Any, figure: Any) -> Any:
    from matplotlib.transforms import Bbox

    return Bbox(box.get_points() * 72 / figure.dpi)


def _limit(framed: Framed) -> None:
    """Limits of both axes: those that are set, otherwise those of the data with a margin."""
    axes, panel = framed.axes, framed.panel
    full = all(isinstance(one, hv.Curve | hv.Area | hv.Image | hv.RGB | hv.HeatMap | hv.QuadMesh | hv.HLine | hv.VLine)
               for one in panel.members)  # fmt: skip
    pictures = any(isinstance(one, hv.Image | hv.RGB | hv.HeatMap | hv.QuadMesh) for one in panel.members)
    axes.margins(x=0.0 if full else 0.05, y=0.0 if pictures else 0.07)
    axes.autoscale_view()
    for direction, set_limits, get in ((0, axes.set_xlim, axes.get_xlim), (1, axes.set_ylim, axes.get_ylim)):
        names = framed.canvas.names[direction]
        if names:
            set_limits(-0.5, len(names) - 0.5)
        # a dimension may have limits too
        of_dimension = panel.along(direction).range if panel.along(direction) is not None else (None, None)
        given = panel.options.get("xy"[direction] + "lim") or of_dimension
        ends = [
            own if end is None or not np.isfinite(end) else float(end) for end, own in zip(given, get(), strict=True)
        ]
        set_limits(*ends)
        if panel.options.get(f"invert_{'xy'[direction]}axis"):
            set_limits(*reversed(get()))


def _mark(framed: Framed, direction: int, room: float) -> None:
    """Marks of an axis as they are set; names are broken into lines as long as the room they may take."""
    from matplotlib import ticker

    letter, known = "xy"[direction], framed.canvas.names[direction]
    axis = (framed.axes.xaxis, framed.axes.yaxis)[direction]
    given = framed.panel.options.get(f"{letter}ticks")
    if known and given is None:
        given = [(position, name) for name, position in known.items()]
    if isinstance(given, list | tuple):
        marks = [mark if isinstance(mark, tuple) else (mark, f"{mark:g}") for mark in given]
        texts = [in_lines(str(text), room, _MARK) for _, text in marks]
        axis.set_major_locator(ticker.FixedLocator([float(position) for position, _ in marks]))
        axis.set_major_formatter(ticker.FixedFormatter(texts))
    elif isinstance(given, int):
        axis.set_major_locator(ticker.MaxNLocator(given))
    elif axis.get_scale() == "log":
        axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(ticker.NullLocator())
    pattern = framed.panel.options.get(f"{letter}formatter")
    if isinstance(pattern, str):
        plain = pattern if "%" in pattern else f"%{pattern}"
        axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: plain % value))
    if framed.panel.options.get(f"{letter}rotation"):
        axis.set_tick_params(labelrotation=float(framed.panel.options[f"{letter}rotation"]))
    kind = framed.panel.options.get(f"{letter}axis", True)
    if kind in (None, False, "bare") or (isinstance(kind, str) and kind.endswith("bare")):
        axis.set_tick_params(left=False, bottom=False)
    if kind in (None, False, "bare") or letter in framed.inner:
        axis.set_tick_params(labelleft=False, labelbottom=False)


def _name(framed: Framed, direction: int) -> None:
    """The label of an axis: as it is set, otherwise that of its dimension, as long as the axis."""
    letter, panel = "xy"[direction], framed.panel
    dimension = panel.along(direction)
    text = panel.options.get(f"{letter}label")
    text = (dimension.pprint_label if dimension is not None else "") if text is None else text
    if panel.options.get(f"{letter}axis", True) in (None, False, "bare") or letter in framed.inner:
        text = ""
    box = framed.frame()
    set_label = (framed.axes.set_xlabel, framed.axes.set_ylabel)[direction]
    text = str(text).strip()
    set_label(upright(text, box.height) if direction else in_lines(text, box.width, _LABEL), linespacing=LINE)


def upright(text: str, height: float) -> str:
    """The label of a vertical axis: as long as the axis, or longer where there would be more than three lines."""
    # more lines would take width from the frame, which would make the axis shorter still
    return in_lines(text, max(height, length(text, _LABEL) / 2.5), _LABEL)


def _thin(axis: Any, axes: Any) -> None:
    """Leave out marks whose text would touch that of others; names are turned instead."""
    from matplotlib import ticker

    if not isinstance(axis.get_major_locator(), ticker.FixedLocator):
        return
    across = axis.axis_name == "x"
    low, high = sorted((axes.xaxis if across else axes.yaxis).get_view_interval())
    marks = [(position, text) for position, text in _marks(axis) if low <= position <= high]
    figure = axes.figure
    points = np.array([(position, 0.0) if across else (0.0, position) for position, _ in marks]).reshape(-1, 2)
    where = axes.transData.transform(points)[:, 0 if across else 1] * 72 / figure.dpi
    lines = [text.split("\n") for _, text in marks]
    if across:
        sizes = [max(length(line, _MARK) for line in text) + _BETWEEN for text in lines]
    else:
        sizes = [_MARK * LINE * len(text) * 0.9 for text in lines]
    chosen = thinned(where, sizes, [_weight(text) for _, text in marks])
    if len(chosen) == len(marks):
        return
    if across and any(_weight(text) < 0 for _, text in marks):
        axis.set_tick_params(labelrotation=90)
        return
    axis.set_major_locator(ticker.FixedLocator([marks[i][0] for i in chosen]))
    axis.set_major_formatter(ticker.FixedFormatter([marks[i][1] for i in chosen]))


def _fit_cells(framed: Framed) -> None:
    """Make the numbers in the cells of a heat map small enough for them, or leave them to the colour bar."""
    columns, rows = (len(names) for names in framed.canvas.names)
    if not (
        columns and rows and framed.axes.texts and any(isinstance(one, hv.HeatMap) for one in framed.panel.members)
    ):
        return
    frame, texts = framed.frame(), framed.axes.texts
    size = max(text.get_fontsize() for text in texts)
    longest = max(length(text.get_text(), size) for text in texts)
    fitting = size * min(1.0, 0.9 * frame.width / columns / longest, 0.9 * frame.height / rows / (LINE * size))
    for text in list(texts):
        text.set_fontsize(fitting)
        if fitting < _SMALLEST:
            text.remove()


def _marks(axis: Any) -> list[tuple[float, str]]:
    locations = list(axis.get_majorticklocs())
    return list(zip(locations, axis.get_major_formatter().format_ticks(locations), strict=True))


def _weight(text: str) -> int:
    """Names weigh less than any number."""
    value = as_number(text)
    return -1 if value is None else roundness(value)


def least_height(framed: Framed) -> float:
    """The height in points at which the names along the vertical axis stand clear of each other."""
    low, high = sorted(framed.axes.get_ylim())
    marks = [(position, text) for position, text in _marks(framed.axes.yaxis) if low <= position <= high]
    if len(marks) < 2 or all(_weight(text) >= 0 for _, text in marks):
        return 0.0
    # a logarithmic axis spaces them otherwise than their positions say
    even = framed.axes.yaxis.get_transform().transform(np.array([low, high, *sorted(at for at, _ in marks)]))
    apart = float(np.diff(even[2:]).min() / (even[1] - even[0]))
    most = max(text.count("\n") + 1 for _, text in marks)
    return float(most * _MARK * LINE / max(apart, 1e-9))


def same_limits(panels: Sequence[Framed]) -> None:
    """Give axes of one dimension the same limits, wide enough for all."""
    for direction in (0, 1):
        groups: dict[tuple[str, str, bool], list[Framed]] = {}
        for one in panels:
            dimension, log = one.panel.along(direction), bool(one.panel.options.get(f"log{'xy'[direction]}"))
            if dimension is not None and not one.canvas.names[direction]:
                groups.setdefault((dimension.name, dimension.pprint_label, log), []).append(one)
        for group in groups.values():
            ends = [(one.axes.get_xlim, one.axes.get_ylim)[direction]() for one in group]
            low, high = min(map(min, ends)), max(map(max, ends))
            names = {0: ("x", "above"), 1: ("y", "y")}[direction]
            for one in group:
                line = [other for other in group if other.panel.line(direction) == one.panel.line(direction)]
                at = [other.panel.number(direction) for other in line]
                # the lowest of a column and the first of a row have the marks, the highest has those on top
                if one.panel.number(direction) != (max(at), min(at))[direction]:
                    one.inner |= {names[0]}
                if one.panel.number(direction) != min(at):
                    one.inner |= {names[1]}
            for one, (first, last) in zip(group, ends, strict=True):
                set_limits = (one.axes.set_xlim, one.axes.set_ylim)[direction]
                set_limits(*((low, high) if first <= last else (high, low)))
