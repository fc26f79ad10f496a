"""The interval of the curve under the pointer, in figures of more curves than can show theirs at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import holoviews as hv
import numpy as np
from bokeh.models import ColumnDataSource, CustomJS, HoverTool

from specent.plotting.labels import first_time

BAND = "band under pointer"
"""Name of the band in a Bokeh figure."""


@dataclass(frozen=True)
class BandUnderPointer:
    """Shows the interval of the curve under the pointer, as a band that a Bokeh figure has once for all its curves."""

    def __call__(self, plot: Any, _element: Any) -> None:
        """Add the band to a Bokeh figure."""
        figure = plot.state
        if not first_time(figure, BAND):
            return
        drawn = [(part.current_frame, part.handles.get("glyph_renderer")) for part in plot.subplots.values()]
        lines = [renderer for element, renderer in drawn if type(element) is hv.Curve and _bounded(element)]
        source = ColumnDataSource({"x": [], "lower": [], "upper": []})
        band = figure.varea(x="x", y1="lower", y2="upper", source=source, fill_alpha=0.2, level="underlay", name=BAND)
        # the script of a page does the same, since its policy allows no code out of a model
        code = """
            const line = cb_data.renderer;
            const under = cb_data.index.line_indices.length > 0;
            if (!lines.includes(line) || (under ? band.tags[0] === line.id : band.tags[0] !== line.id)) return;
            const column = (name) => under ? line.data_source.get_array(name) : [];
            if (under) band.glyph.fill_color = line.glyph.line_color;
            band.data_source.data = { x: column(line.glyph.x.field), lower: column("lower"), upper: column("upper") };
            band.tags = under ? [line.id] : [];
        """
        callback = CustomJS(args={"lines": lines, "band": band}, code=code)
        # the tool that shows values is another one; this one has no text
        figure.add_tools(
            HoverTool(renderers=lines, tooltips=None, callback=callback, name="band of a curve", visible=False)
        )


def _bounded(element: Any) -> bool:
    """Whether a curve has an interval."""
    lower, upper = (np.asarray(element.dimension_values(name), dtype=float) for name in ("lower", "upper"))
    return bool((lower < upper).any())
