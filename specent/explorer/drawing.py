"""Figures as Bokeh models for the page: in the width of the page, dark or light, with a mark at the noise level."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bokeh.events import Tap
from bokeh.models import Axis, CustomJS, Grid, LayoutDOM, Plot, Text
from bokeh.models.annotations import ColorBar, Label, Legend, Span, Title

GROUND, PAPER, INK, LINES = "#16191d", "#1f242a", "#e8e8e8", "#414850"
"""Colours of a dark figure: around and within its frame, of its text, of its grid."""

MARK = "#d1495b"
"""Colour of the mark at the noise level."""

# at most so often the page asks for what is at the pointer, in milliseconds
_PAUSE = 60
_HOVER = """
if (mark.tags[0] || !Number.isFinite(cb_obj.x)) { return }
const ends = [range.start, range.end]
if (cb_obj.x < Math.min(...ends) || cb_obj.x > Math.max(...ends)) { return }
clearTimeout(mark.waiting)
const go = () => { mark.last = Date.now(); mark.location = x }
const x = cb_obj.x
const left = PAUSE - (Date.now() - (mark.last ?? 0))
if (left <= 0) { go() } else { mark.waiting = setTimeout(go, left) }
""".replace("PAUSE", str(_PAUSE))


@dataclass(eq=False)
class Drawing:
    """A drawn figure: its model, the lines of its title, and the marks in it that stand at the noise level."""

    model: LayoutDOM
    lines: Sequence[str] = ()
    marks: list[Span] = field(default_factory=list)

    def move(self, position: float, pinned: bool) -> None:
        """Put the marks to a position on the noise axis."""
        for mark in self.marks:
            mark.update(location=position, tags=[pinned])


def drawn(
    figure: Any,
    *,
    dark: bool = False,
    position: float | None = None,
    pinned: bool = False,
    hovered: Callable[[float, Drawing], None] | None = None,
    tapped: Callable[[float, float], None] | None = None,
    stretched: bool = True,
) -> Drawing:
    """The Bokeh model of a figure.

    Parameters
    ----------
    figure : HoloViews object
        What is drawn.
    dark : bool
        Whether it stands on a dark page.
    position : float, optional
        Where on the horizontal axis the noise level is; without it there is no mark.
    pinned : bool
        Whether the mark stays while the pointer moves.
    hovered : callable, optional
        Called with the position of the pointer, and the drawing.
    tapped : callable, optional
        Called with the position that is tapped or clicked.
    stretched : bool
        Whether the figure takes the width there is.
    """
    # the page is laid out before figures are imported
    from specent.plotting.embedding import embedded

    embedding = embedded(figure, still=not stretched)
    drawing = Drawing(embedding.model, embedding.lines)
    for part in list(drawing.model.references()):
        if isinstance(part, Plot):
            # few marks: without a graphics card the browser would spend seconds on copying them out of WebGL
            part.update(output_backend="canvas")
            # pictures keep their shape
            part.update(**({"min_width": 280, "width_policy": "max"} if stretched else {"sizing_mode": "fixed"}))
            if position is not None:
                drawing.marks.append(_marked(part, position, pinned))
            if hovered is not None and position is not None:
                _listen(part, drawing, hovered)
            if tapped is not None:
                part.on_event(Tap, lambda event: tapped(event.x, event.y))
        if dark:
            _darken(part)
    return drawing


def _marked(plot: Plot, position: float, pinned: bool) -> Span:
    mark = Span(location=position, dimension="height", line_color=MARK, line_width=1.6, level="overlay", tags=[pinned])
    plot.add_layout(mark)
    return mark


def _listen(plot: Plot, drawing: Drawing, hovered: Callable[[float, Drawing], None]) -> None:
    mark = drawing.marks[-1]
    plot.js_on_event("mousemove", CustomJS(args={"mark": mark, "range": plot.x_range}, code=_HOVER))
    mark.on_change("location", lambda _name, _old, new: hovered(float(new), drawing))


def _darken(part: Any) -> None:
    if isinstance(part, Plot):
        part.update(background_fill_color=PAPER, border_fill_color=GROUND, outline_line_color=LINES)
    elif isinstance(part, Axis):
        part.update(
            axis_label_text_color=INK, major_label_text_color=INK, axis_line_color=LINES, major_tick_line_color=LINES,
            minor_tick_line_color=LINES,
        )  # fmt: skip
    elif isinstance(part, Grid):
        part.update(grid_line_color=LINES)
    elif isinstance(part, Title):
        part.update(text_color=INK)
    elif isinstance(part, Legend):
        part.update(background_fill_color=PAPER, label_text_color=INK, border_line_color=LINES)
    elif isinstance(part, ColorBar):
        part.update(background_fill_color=GROUND, title_text_color=INK, major_label_text_color=INK)
    elif isinstance(part, Text) and part.text_outline_color == "white":
        part.update(text_outline_color=PAPER)
    elif isinstance(part, Label):
        part.update(text_color=INK)
