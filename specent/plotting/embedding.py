"""Figures as a page embeds them: as wide as the page lets them be, and their titles as text of the page."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import holoviews as hv
from bokeh.models import Column, GridPlot, LayoutDOM, Model, Plot, Toolbar
from bokeh.models.annotations import Legend, Title
from bokeh.models.widgets import Div

_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True)
class Embedded:
    """A Bokeh model, the lines of its title, and the number of panels side by side."""

    model: LayoutDOM
    lines: Sequence[str]
    panels: int


def embedded(figure: Any, *, still: bool) -> Embedded:
    """The Bokeh model of a figure; a picture that stands still keeps its size and has no tools.

    A drag moves nothing before the script of the page says so, because a finger scrolls the page.
    """
    root: LayoutDOM = hv.renderer("bokeh").get_plot(figure).state
    # to look through all parts takes long
    parts = list(root.references())
    for part in parts:
        if isinstance(part, Toolbar):
            part.update(logo=None, active_drag=None, active_scroll=None)
        if still and isinstance(part, Plot):
            part.update(sizing_mode=None, toolbar_location=None)
        elif still and isinstance(part, GridPlot):
            part.update(toolbar_location=None)
        elif isinstance(part, Plot):
            part.update(sizing_mode="stretch_width", frame_width=None, width=None)
            _lay_out_legends(part)
        elif isinstance(part, GridPlot | Column):
            part.update(sizing_mode="stretch_width")
    plots = [part for part in parts if isinstance(part, Plot)]
    if len(plots) == 1 and not still:
        # margins line up the panels of one figure, and a telephone has no width to spare
        plots[0].update(min_border_left=None)
    grids = [part for part in parts if isinstance(part, GridPlot)]
    panels = max((len({column for _, _, column, *_ in grid.children}) for grid in grids), default=1)
    return Embedded(root, _title(parts, plots), panels)


def _title(parts: Sequence[Model], plots: Sequence[Plot]) -> list[str]:
    """The lines of the title, which is taken out of the figure: text of a page is broken where it is too long."""
    columns = [part for part in parts if isinstance(part, Column)]
    text = ""
    for column in columns:
        # HoloViews puts the title of several panels above them
        for division in [part for part in column.children if isinstance(part, Div)]:
            text = text or html.unescape(_TAG.sub("", division.text))
            column.children.remove(division)
    if not columns and len(plots) == 1 and isinstance(plots[0].title, Title):
        text = str(plots[0].title.text)
        plots[0].update(title=None)
    return [line for line in text.split("\n") if line.strip()]


def _lay_out_legends(plot: Plot) -> None:
    """Legends beside a figure would leave too little of its width: they go under it."""
    for legend in [part for part in plot.right if isinstance(part, Legend)]:
        plot.right.remove(legend)
        legend.update(ncols=2, orientation="vertical", location="left")
        plot.add_layout(legend, "below")
